"""Late fusion: reading dumps, matching, calibration, weights, and the tool."""
import itertools
import os
import pickle
import runpy
import sys
from pathlib import Path

import mmaction
import mmengine
import numpy as np
import pytest
import torch
from evaluating import make_samples, write_annotations
from mmaction.evaluation import get_weighted_score, mean_class_accuracy
from running import run_tool
from scipy.special import softmax

from gaie_mmaction.evaluation import fusion
from gaie_mmaction.evaluation.score_dump import match, read_dump

CLASSES = 32


def make_scores(clips=160, seed=0, strength=2., part='0054'):
    """Ids, logits and labels of a network that is right more often than not."""
    random = np.random.default_rng(seed)
    labels = np.arange(clips) % CLASSES
    logits = random.normal(size=(clips, CLASSES)) + strength * np.eye(CLASSES)[labels]
    return [f'{part}_{k}' for k in range(clips)], logits.astype(np.float32), labels


def write_dump(path, ids, scores, labels):
    """Same as `mim test --dump`."""
    mmengine.dump(make_samples(ids, scores, labels), str(path))
    return str(path)


def make_streams(*strengths):
    """Probabilities of networks of these strengths, and the labels."""
    return [softmax(make_scores(seed=seed, strength=strength)[1], axis=1)
            for seed, strength in enumerate(strengths)], make_scores()[2]


@pytest.fixture
def dumps(tmp_path):
    """Two networks, the second one with its clips in another order."""
    paths = []
    for seed in (0, 1):
        ids, logits, labels = make_scores(seed=seed)
        order = np.random.default_rng(seed).permutation(len(ids)) if seed else range(len(ids))
        paths.append(write_dump(tmp_path / f'{seed}.pkl', [ids[k] for k in order],
                                softmax(logits, axis=1)[order], labels[order]))
    return paths


def row(result, part, network):
    """Weight, temperature, Top-1, Top-5 and mean class accuracy."""
    table = result.table
    found = table[(table.part == part) & (table.network.map(os.path.basename) == network)]
    return found.iloc[0].tolist()[3:]


def test_clips_are_matched_by_id(dumps):
    streams = match([read_dump(path) for path in dumps])
    for seed, stream in enumerate(streams):
        ids, logits, labels = make_scores(seed=seed)
        assert stream.ids == ids and stream.scores.dtype == np.float64
        np.testing.assert_allclose(stream.scores, softmax(logits, axis=1), rtol=1e-6)
        np.testing.assert_array_equal(stream.labels, labels)
    assert read_dump(dumps[1]).ids != ids


@pytest.mark.parametrize('kind, weights', [
    ('probabilities', (1, 1)), ('probabilities', (2, .5)), ('probabilities', (0, 3)),
    ('logits', (1, 1)), ('logits', (.3, .7))])
def test_agrees_with_report_accuracy(tmp_path, monkeypatch, capsys, kind, weights):
    """MMAction2's tool matches by order, so here the order is the same."""
    paths = []
    for seed in (0, 1):
        ids, logits, labels = make_scores(seed=seed, strength=3.)
        scores = softmax(logits, axis=1) if kind == 'probabilities' else logits
        paths.append(write_dump(tmp_path / f'{seed}.pkl', ids, scores, labels))
    script = Path(mmaction.__file__).parent / '.mim/tools/analysis_tools/report_accuracy.py'
    options = ['--apply-softmax'] if kind == 'logits' else []
    monkeypatch.setattr(sys, 'argv', [str(script), '--preds', *paths, '--coefficients',
                                      *map(str, weights), *options])
    runpy.run_path(str(script), run_name='__main__')
    mean1, top1, top5 = [float(line.split(': ')[1])
                         for line in capsys.readouterr().out.splitlines()[-3:]]
    found = fusion.fuse_dumps(paths, weights)
    assert found.kinds == [kind, kind]
    assert row(found, 'test', 'fused')[2:] == pytest.approx([100 * top1, 100 * top5, 100 * mean1],
                                                            abs=.0101)
    assert 20 < 100 * top1 < 99


def test_classes_without_clips(tmp_path):
    """Where MMAction2's mean class accuracy differs: 31 is predicted, but has no clips."""
    labels, scores = np.array([0, 0, 1, 1]), np.eye(32)[[0, 31, 1, 1]]
    path = write_dump(tmp_path / 'a.pkl', ['a', 'b', 'c', 'd'], scores, labels)
    assert row(fusion.fuse_dumps([path]), 'test', 'fused')[4] == 75
    assert mean_class_accuracy(list(scores), labels.tolist()) == .5


def test_sum_is_that_of_mmaction2():
    streams, _ = make_streams(2., 2., 2.)
    np.testing.assert_allclose(fusion.fuse(streams, (1, .2, .5)),
                               get_weighted_score(streams, (1, .2, .5)), rtol=1e-6)


def test_kinds():
    logits = make_scores()[1].astype(np.float64)
    probabilities = softmax(logits, axis=1)
    assert fusion.get_kind(probabilities) == 'probabilities'
    assert fusion.get_kind(logits) == 'logits'
    assert fusion.get_kind(probabilities.astype(np.float16).astype(float)) == 'probabilities'
    assert fusion.to_probabilities(probabilities, 'probabilities') is probabilities
    np.testing.assert_allclose(fusion.to_probabilities(logits, 'logits'), probabilities)
    for temperature in (.5, 3.):  # the same for logits and for their probabilities
        np.testing.assert_allclose(
            fusion.to_probabilities(probabilities, 'probabilities', temperature),
            fusion.to_probabilities(logits, 'logits', temperature), rtol=1e-6)
    with pytest.raises(ValueError, match='are not probabilities'):
        fusion.to_probabilities(logits, 'probabilities')
    with pytest.raises(ValueError, match="kind must be one of"):
        fusion.to_probabilities(logits, 'both')


def test_temperature_is_found():
    """Labels drawn from softmax(logits): scaled logits need that scale as temperature."""
    random = np.random.default_rng(0)
    logits = 2 * random.normal(size=(4000, 8))
    labels = (softmax(logits, axis=1).cumsum(axis=1) < random.random((4000, 1))).sum(axis=1)
    for scale in (.5, 1., 4.):
        found = fusion.fit_temperature(scale * logits, labels, 'logits')
        assert found == pytest.approx(scale, rel=.1)
        assert fusion.fit_temperature(softmax(scale * logits, axis=1), labels,
                                      'probabilities') == pytest.approx(found, rel=1e-3)
        losses = [fusion.negative_log_likelihood(
            fusion.to_probabilities(scale * logits, 'logits', found * factor), labels)
            for factor in (.8, 1., 1.25)]
        assert losses[1] == min(losses)


@pytest.mark.parametrize('scale', [100., 1000.])
def test_temperature_of_large_logits(scale):
    """Where probabilities underflow the loss still has one minimum, here at the upper bound."""
    rng = np.random.default_rng(0)
    logits, labels = scale * rng.normal(size=(50, 8)), rng.integers(0, 8, 50)
    assert fusion.fit_temperature(logits, labels, 'logits') == pytest.approx(20, rel=1e-3)


def test_grid_finds_the_best():
    streams, labels = make_streams(2., 1.5, 0.)
    found = fusion.search_weights(streams, labels, steps=5)

    def top1(weights):
        return (fusion.fuse(streams, weights).argmax(axis=1) == labels).mean()

    every = [np.array(weights) / 5 for weights in itertools.product(range(6), repeat=3)
             if sum(weights) == 5]
    assert len(every) == 21 and top1(found) == max(map(top1, every)) > top1((1, 0, 0))
    best = [weights for weights in every if top1(weights) == top1(found)]
    losses = [fusion.negative_log_likelihood(fusion.fuse(streams, weights), labels)
              for weights in best]
    assert (best[int(np.argmin(losses))] == found).all()
    assert len(fusion.weight_grid(2, 20)) == 21 and len(fusion.weight_grid(1, 20)) == 1
    assert len(fusion.weight_grid(6, 20)) <= 20000


def test_nelder_mead_finds_the_best():
    streams, labels = make_streams(2., 1.)
    found = fusion.search_weights(streams, labels, 'nelder-mead')
    losses = [fusion.negative_log_likelihood(fusion.fuse(streams, (k / 1000, 1 - k / 1000)), labels)
              for k in range(1001)]
    assert found.sum() == pytest.approx(1)
    assert found[0] == pytest.approx(np.argmin(losses) / 1000, abs=3e-3)


def test_search_on_the_validation_part(tmp_path):
    """There the second network is better; on the fused part it would be the first."""
    paths, probabilities = {}, {}
    for part, strengths in (('0001', (.5, 3.)), ('0054', (3., .5))):
        for network, strength in enumerate(strengths):
            ids, logits, labels = make_scores(96, network, strength, part)
            paths[part, network] = write_dump(tmp_path / f'{part}_{network}.pkl', ids, logits,
                                              labels)
            probabilities[part, network] = softmax(logits.astype(np.float64), axis=1)
    preds, vals = ([paths[part, network] for network in (0, 1)] for part in ('0054', '0001'))
    for method in fusion.METHODS:
        found = fusion.fuse_dumps(preds, val_preds=vals, search=method)
        expected = fusion.search_weights(
            [probabilities['0001', network] for network in (0, 1)], labels, method)
        assert found.weights == pytest.approx(expected) and found.weights[1] > .5
        assert row(found, 'validation', 'fused')[2] >= row(found, 'validation', '0001_1.pkl')[2]
        note, = found.notes
        assert note.startswith('warning: the weights of 2 networks were fitted on 96 clips. The 95')
    found = fusion.fuse_dumps(preds, val_preds=vals, calibrate=True)
    for network in (0, 1):
        expected = fusion.fit_temperature(
            np.log(probabilities['0001', network]), labels, 'logits')
        for part, name in (('validation', '0001'), ('test', '0054')):
            weight, temperature = row(found, part, f'{name}_{network}.pkl')[:2]
            assert (float(weight), float(temperature)) == (1, pytest.approx(expected, abs=6e-3))
    assert 'warning: the temperatures were fitted on 96 clips' in found.notes[0]


def test_nothing_is_fitted_on_the_fused_clips(tmp_path, dumps):
    with pytest.raises(ValueError, match='160 clips are in --val-preds and in the fused part too'):
        fusion.fuse_dumps(dumps, val_preds=dumps, search='grid')
    ids, logits, labels = make_scores(part='0001')
    vals = [write_dump(tmp_path / f'val{k}.pkl', ids, logits, -np.ones_like(labels))
            for k in (0, 1)]
    with pytest.raises(ValueError, match='160 clips of --val-preds have no label'):
        fusion.fuse_dumps(dumps, val_preds=vals, search='grid')


def test_tool(tmp_path, dumps):
    ids, first, _ = make_scores()
    for seed, path in enumerate(dumps):
        write_dump(path, ids[::-1], make_scores(seed=seed)[1][::-1].copy(), [-1] * len(ids))
    out = tmp_path / 'prediction.csv'
    ann_file = write_annotations(tmp_path / 'test.csv', ids)
    arguments = ['fuse_scores.py', *dumps, '--ann-file', ann_file, '--out', out]
    code, output = run_tool(*arguments)
    assert code is None
    assert '160 of 160 clips have no label: no accuracy of the test part' in output
    fused = softmax(first, axis=1) + softmax(make_scores(seed=1)[1], axis=1)
    assert out.read_text().split() == ['Id,Target', *(
        f'{clip_id},{target}' for clip_id, target in zip(ids, fused.argmax(axis=1)))]
    out.unlink()
    write_annotations(tmp_path / 'test.csv', [*ids, '0055_0'])
    code, _ = run_tool(*arguments)
    assert not out.exists() and code == (f'1 clips of {ann_file} are not in the dumps, e.g. 0055_0;'
                                         f' {out} was not written')


@pytest.mark.parametrize('options', [
    ['--search', 'grid'], ['--calibrate'], ['--val-preds', 'x'], ['--val', 'a', 'b'],
    ['--search', 'grid', '--weights', '1', '1', '--val-preds', 'x', 'y']])
def test_options_that_contradict(options):
    assert run_tool('fuse_scores.py', 'a.pkl', 'b.pkl', *options)[0] == 2


@pytest.mark.parametrize('classes', [31, 33, 40])
def test_leaderboard_file_of_other_classes(tmp_path, classes):
    """Its targets would not be the leaderboard's; own data says how many classes it has."""
    ids = [f'0054_{k}' for k in range(2 * classes)]
    labels = np.arange(2 * classes) % classes
    dump = write_dump(tmp_path / 'a.pkl', ids, np.eye(classes, dtype=np.float32)[labels], labels)
    ann_file = write_annotations(tmp_path / 'test.csv', ids, labels)
    found, out = fusion.fuse_dumps([dump]), tmp_path / 'prediction.csv'
    with pytest.raises(ValueError, match=f'scores of {classes} classes, but the leaderboard has 32 '
                                         r'\(--num-classes\)'):
        fusion.write_fusion(found, str(out), ann_file, 32, '2025')
    assert not out.exists()
    fusion.write_fusion(found, str(out), ann_file, classes, '2025')
    assert out.read_text().split()[1:] == [f'{one},{two}' for one, two in zip(ids, labels)]


def test_dumps_of_different_clips(tmp_path, dumps):
    ids, logits, labels = make_scores()

    def fail(first, *dump):
        other = write_dump(tmp_path / 'other.pkl', *dump)
        with pytest.raises(ValueError) as error:
            fusion.fuse_dumps([first, other])
        return str(error.value).replace(str(tmp_path) + '/', '')

    assert '1 clips are only in 0.pkl, e.g. 0054_0' in fail(dumps[0], ids[1:], logits[1:], labels)
    assert '1 clips are only in other.pkl, e.g. 0060_0' in fail(
        dumps[0], ['0060_0', *ids[1:]], logits, labels)
    assert 'have different labels for 160 clips' in fail(dumps[0], ids, logits, np.roll(labels, 1))
    wide = write_dump(tmp_path / 'wide.pkl', ids[:8], logits[:8], labels[:8])
    assert 'has 32 classes, but' in fail(wide, ids[:8], logits[:8, :8], labels[:8])


@pytest.mark.parametrize('weights, said', [
    ((0, 0), 'sum to zero'), ((1, -1), 'not negative'), ((1, ), '2 streams, but 1 weights'),
    ((1, float('nan')), 'finite')])
def test_wrong_weights(dumps, weights, said):
    with pytest.raises(ValueError, match=said):
        fusion.fuse_dumps(dumps, weights)


def change_dump(path, change):
    samples = make_samples(*make_scores(8))
    samples[3].update(change) if isinstance(change, dict) else change(samples)
    path.write_bytes(pickle.dumps(samples))
    return samples


def test_the_limit_of_shared_tensors_can_be_raised(tmp_path, monkeypatch):
    shared = torch.ones(100_000)
    change_dump(tmp_path / 'a.pkl', lambda samples: samples.__setitem__(slice(None), [
        dict(clip_id=str(k), pred_score=shared, gt_label=0) for k in range(40)]))
    with pytest.raises(ValueError, match='raise gaie_mmaction.utils.safe_pickle.MAX_GROWTH'):
        read_dump(str(tmp_path / 'a.pkl'))
    monkeypatch.setattr('gaie_mmaction.utils.safe_pickle.MAX_GROWTH', 100)
    assert read_dump(str(tmp_path / 'a.pkl')).scores.shape == (40, 100_000)


def test_scores_with_a_gradient(tmp_path):
    samples = change_dump(tmp_path / 'a.pkl', lambda all: all[3]['pred_score'].requires_grad_())
    found = read_dump(str(tmp_path / 'a.pkl'))
    np.testing.assert_array_equal(found.scores[3], samples[3]['pred_score'].detach().double())


SHARED = torch.ones(100_000)  # bytes of one tensor for 400 clips


@pytest.mark.parametrize('change, said', [
    (dict(clip_id='0054_0'), 'occur more than once, e.g. 0054_0'),
    (dict(clip_id=7), '1 clips have an id that is not a text, e.g. 7'),
    (dict(clip_id=['a']), 'an id that is not a text'),
    (dict(pred_score=torch.full((32, ), torch.nan)), 'not finite, e.g. 0054_3'),
    (dict(pred_score=torch.ones(2, 32)), 'one score per class'),
    (dict(pred_score='much'), 'must be a tensor, but is a str'),
    (dict(pred_score=np.array(['a'])), 'is not a number'),
    (dict(pred_score=torch.ones(32).bfloat16()), 'is torch.bfloat16'),
    (dict(pred_score=torch.ones(32) * 1j), 'is torch.complex64, but'),
    (dict(pred_score=torch.ones(32).long()), 'is torch.int64, but'),
    (dict(gt_label=torch.tensor([1, 2])), r'shape \(2,\), but must b'),
    (dict(gt_label=torch.tensor([32])), 'labels up to 32'),
    (dict(gt_label=10**30), 'clip 0054_3 is not a number'),
    (dict(gt_label=torch.tensor([1.7])), 'gt_label of clip 0054_3 is torch.float32 of shape'),
    (dict(gt_label=None), 'must be a tensor, but is a NoneType'),
    (dict(gt_label='3'), 'must be a tensor, but is a str'),
    (lambda samples: samples[3].pop('clip_id'), "1 of 8 clips have no clip_id: add 'clip_id'"),
    (lambda samples: samples.clear(), 'is not a list of clips'),
    (lambda samples: samples.__setitem__(slice(None), [
        dict(clip_id=str(k), pred_score=SHARED, gt_label=0) for k in range(400)]),
     'the scores of 400 clips and 100000 classes would take more than'),
])
def test_wrong_dumps(tmp_path, change, said):
    path = tmp_path / 'a.pkl'
    change_dump(path, change)
    with pytest.raises(ValueError, match=said) as error:
        read_dump(str(path))
    assert str(path) in str(error.value)
