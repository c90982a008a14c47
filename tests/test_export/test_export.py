"""Exported files give what the recognizer gives, kept tokens included."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmaction.models import ActionDataPreprocessor
from small_model import write_small_model

from gaie_mmaction import export
from gaie_mmaction.apis import load_config, load_recognizer
from gaie_mmaction.export import FORMATS, compare, reference_outputs, sample_frames
from gaie_mmaction.ops import merge_tokens, select_tokens
from gaie_mmaction.ops.tracing import is_exporting

SHAPE = (2, 3, 8, 48, 48)
NECKS = {
    'GAIE': dict(type='GAIENeck', token_keep_ratio=.7),
    'key, prop_attn': dict(type='GAIENeck', token_keep_ratio=.5, metric='key', prop_attn=True),
    'GAIE+': dict(type='GAIENeck', token_keep_ratio=.8, prop_attn=True, size_weighted=True,
                  background_weight=.5, selection='peaks'),
    'ToMe': dict(type='ToMeNeck', token_keep_ratio=.7),
    'EViT': dict(type='EViTNeck', token_keep_ratio=.7),
    'plain': None,
    'nothing to merge': dict(type='GAIENeck', token_keep_ratio=1.),
    'vid-TLDR': dict(type='VidTLDRNeck', token_keep_ratio=.7),
}


def make_model(tmp_path, root, neck=NECKS['GAIE']):  # noqa: B008
    config, checkpoint = write_small_model(tmp_path, root)
    cfg = load_config(config)
    cfg.model.backbone.neck = neck
    return load_recognizer(cfg, checkpoint)[0]


@pytest.mark.parametrize('preprocessor', [
    None, dict(to_rgb=True, mean=[1., 90., 200.], std=[1., 60., 99.], format_shape='NCTHW'),
    dict(format_shape='NCTHW')], ids=['own', 'BGR', 'none'])
def test_graph_takes_pixels(tmp_path, root, preprocessor):
    """Normalisation and head are those of the recognizer; each merge tells what it kept."""
    model = make_model(tmp_path, root)
    if preprocessor:
        model.data_preprocessor = ActionDataPreprocessor(**preprocessor)
    frames = sample_frames((2, 3, 16, 96, 96))
    scores, *kept = reference_outputs(model, frames)
    inputs = [torch.from_numpy(clip)[None] for clip in frames]
    with torch.no_grad():
        batch = model.data_preprocessor(dict(inputs=inputs, data_samples=None))
        expected = model(batch['inputs'], stage='head').numpy()
    assert scores == pytest.approx(expected, abs=1e-5)
    assert export.TraceableRecognizer(model).output_names == ('scores', 'kept_1', 'kept_2')
    assert [places.shape for places in kept] == [(2, 101), (2, 71)]
    for one, other in zip([np.arange(144)[None].repeat(2, 0), *kept], kept):
        assert all(set(after) < set(before) for before, after in zip(one, other))


@pytest.mark.parametrize('name', NECKS)
def test_trace(tmp_path, root, name):
    model = make_model(tmp_path, root, NECKS[name])
    frames = sample_frames(SHAPE)
    with torch.no_grad():
        outputs = export.trace(model, SHAPE).module()(torch.from_numpy(frames))
    found = compare(reference_outputs(model, frames), [out.numpy() for out in outputs])
    assert found.within(1e-5) and found.scale > .5


class Operators(torch.nn.Module):
    """Selection and merge, and whether they are traced for an export."""

    def forward(self, importance, x, dst):
        merge = select_tokens(importance, importance.shape[1] - dst.shape[1])
        return *merge, merge_tokens(x, *merge, dst), x.new_tensor(is_exporting())


def test_operators_in_an_exported_program():
    """They are others there, with the same values; torch.compile keeps the fast ones."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for num_keep in range(1, 30, 3):
            importance = torch.randint(0, 5, (2, 30), generator=generator).float()  # many ties
            dst = torch.randint(0, num_keep, (2, 30 - num_keep), generator=generator)
            inputs = importance, torch.randn(2, 30, 3, generator=generator), dst
            *expected, exporting = Operators()(*inputs)
            *found, exporting_program = torch.export.export(Operators(), inputs).module()(*inputs)
            assert (exporting, exporting_program) == (0, 1)
            torch.testing.assert_close(found, expected)
        torch._dynamo.reset()
        compiled = torch.compile(Operators(), fullgraph=True, backend='aot_eager')
        torch.testing.assert_close(compiled(*inputs), Operators()(*inputs))


def write_and_run(model, name, path):
    """Returns the file's outputs and how they compare with the model's."""
    frames = sample_frames(SHAPE, seed=1)
    written = dict(export.write_formats(model, SHAPE, {name: path}))
    outputs = FORMATS[name].load(written[name])(frames)
    return outputs, compare(reference_outputs(model, frames), outputs)


@pytest.fixture
def onnx():
    return [pytest.importorskip(name) for name in ('onnxscript', 'onnxruntime', 'onnx')][-1]


@pytest.mark.parametrize('name', ['GAIE', 'nothing to merge', 'vid-TLDR',
                                  pytest.param('ToMe', marks=pytest.mark.slow)])
def test_onnx(tmp_path, root, onnx, name):
    model = make_model(tmp_path, root, NECKS[name])
    _, found = write_and_run(model, 'onnx', tmp_path / 'model.onnx')
    graph = onnx.load(tmp_path / 'model.onnx').graph
    assert found.within(1e-4) and found.scale > .5
    names = export.TraceableRecognizer(model).output_names
    assert [value.name for value in graph.output] == list(names)
    if name == 'GAIE':
        scatters = [node for node in graph.node if node.op_type == 'ScatterElements']
        assert any(value.s == b'add' for node in scatters for value in node.attribute)


class Select(torch.nn.Module):

    def forward(self, importance):
        return select_tokens(importance, 20)


def test_onnx_breaks_ties_as_pytorch(tmp_path, onnx):
    generator = torch.Generator().manual_seed(0)
    importance = torch.randint(0, 4, (500, 30), generator=generator).float()  # ties everywhere
    program = torch.export.export(Select(), (importance, ))
    FORMATS['onnx'].write(program, ('keep', 'merge'), tmp_path / 'select.onnx')
    found = FORMATS['onnx'].load(tmp_path / 'select.onnx')(importance.numpy())
    for one, other in zip(found, select_tokens(importance, 20)):
        assert (one == other.numpy()).all()


@pytest.mark.parametrize('name', ['plain', 'GAIE'])
def test_int8_is_near(tmp_path, root, onnx, name):
    model = make_model(tmp_path, root, NECKS[name])
    _, found = write_and_run(model, 'onnx-int8', tmp_path / 'model.onnx')
    graph = onnx.load(tmp_path / 'model.onnx').graph
    assert 1e-5 < found.max_error < .15 * found.scale
    assert found.within(0, FORMATS['onnx-int8'].lower_precision)
    products = [node for node in graph.node if node.op_type == 'MatMulInteger']
    # qkv, projection and two layers of the MLP in each of 3 blocks, and the head
    assert len(products) == 13
    kinds = {weights.name: weights.data_type for weights in graph.initializer}
    # signed weights would saturate, but only on processors that this one may not be
    assert {kinds[node.input[1]] for node in products} == {onnx.TensorProto.UINT8}


def test_largest_int8_products_do_not_saturate(tmp_path, onnx):
    """Two neighbouring products of 255 x 255; where int8 saturates, scores lose half."""
    layer = torch.nn.Linear(64, 8)
    torch.nn.init.ones_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    x = torch.ones(4, 64)
    FORMATS['onnx-int8'].write(torch.export.export(layer, (x, )), ('scores', ), tmp_path / 'm.onnx')
    scores, = FORMATS['onnx-int8'].load(tmp_path / 'm.onnx')(x.numpy())
    assert scores == pytest.approx(np.full((4, 8), 64.), rel=1e-3)


def test_lower_precision_has_a_limit():
    """Errors seen without and with saturation."""
    right = export.Comparison(.0123, scale=1.845, same_top1=True, kept_agreement=(1., .98))
    wrong = export.Comparison(.4664, scale=1.845, same_top1=True, kept_agreement=(1., 1.))
    limit = FORMATS['onnx-int8'].lower_precision
    assert right.within(1e-4, limit) and not wrong.within(1e-4, limit)
    assert FORMATS['onnx'].lower_precision is None and not right.within(1e-4)


@pytest.mark.parametrize('name, neck', [('torch-export', 'GAIE'), ('torch-export-bf16', 'plain')])
def test_torch_export(tmp_path, root, name, neck):
    model = make_model(tmp_path, root, NECKS[neck])
    outputs, found = write_and_run(model, name, tmp_path / 'model.pt2')
    assert outputs[0].dtype == np.float32
    if name.endswith('bf16'):
        assert 1e-4 < found.max_error < .1 * found.scale
    else:
        assert found.within(1e-5)


def test_comparison_by_hand():
    expected = np.array([[1., 2.], [4., 3.]]), np.array([[0, 1], [2, 3]])
    found = compare(expected, (np.array([[1., 2.5], [3., 4.]]), np.array([[0, 1], [3, 4]])))
    assert (found.max_error, found.scale, found.same_top1) == (1., 4., False)
    assert found.kept_agreement == (.75, )
    assert not found.within(2)
    assert compare(expected, expected).within(0)
    assert compare(expected, (expected[0] * np.nan, expected[1])).max_error == float('inf')


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(FORMATS, 'onnx', replace(FORMATS['onnx'], needs=('json', 'no_such_module')))
    with pytest.raises(export.ExportError, match=r'onnx needs no_such_module: pip .*\[export\]'):
        export.check_available('onnx')
    monkeypatch.setenv('PATH', '')
    monkeypatch.delenv('CXX', raising=False)
    with pytest.raises(export.ExportError, match='compiler'):
        export.check_available('aotinductor')


def test_what_cannot_be_exported(tmp_path, root, onnx, monkeypatch):
    path = tmp_path / 'model.onnx'
    with pytest.raises(TypeError, match='RandomDropNeck draws the tokens of each clip anew'):
        write_and_run(make_model(tmp_path, root, dict(type='RandomDropNeck')), 'onnx', path)

    def fail(*_, **__):
        raise torch.onnx.OnnxExporterError('long report') from RuntimeError('no operator')

    monkeypatch.setattr(torch.onnx, 'export', fail)
    with pytest.raises(export.ExportError, match='take --format torch-export .no operator'):
        write_and_run(make_model(tmp_path, root, None), 'onnx', path)
    assert not path.exists()
