"""Checkpoints that do not fit, and test parts with and without labels."""
import pytest
import torch
from evaluating import write_annotations
from mmengine.config import Config

from gaie_mmaction.apis import build_recognizer, load_weights
from gaie_mmaction.benchmark import read_test_part


@pytest.fixture
def cfg(root):
    cfg = Config.fromfile(root / 'configs/demo/gaie_demo.py')
    cfg.model.backbone.update(depth=1, merge_layers=(0, ))
    return cfg


def save(path, state):
    torch.save(dict(state_dict=state, meta=dict(epoch=1)), path)
    return str(path)


def test_loads(cfg, tmp_path):
    source, target = build_recognizer(cfg), build_recognizer(cfg)
    state = {f'module.{key}': value for key, value in source.state_dict().items()}
    load_weights(target, save(tmp_path / 'a.pth', state), 'a.py')  # of a distributed run
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value)


def test_says_what_does_not_fit(cfg, tmp_path):
    model = build_recognizer(cfg)
    state = model.state_dict()
    state['cls_head.fc_cls.weight'] = torch.zeros(7, 96)
    state['backbone.other'] = state.pop('backbone.fc_norm.weight')
    path = save(tmp_path / 'a.pth', state)
    with pytest.raises(ValueError) as error:
        load_weights(model, path, 'configs/a.py')
    text = str(error.value)
    assert text.startswith(f'checkpoint {path} does not fit configs/a.py:\n')
    for part in ('fc_cls.weight: (7, 96) in the file, (32, 96) here', 'left over: backbone.other',
                 'missing: backbone.fc_norm.weight', 'the config that it was trained with'):
        assert part in text


def test_damaged_and_missing_files(cfg, tmp_path):
    (tmp_path / 'a.pth').write_bytes(b'nothing')
    for name, kind, reason in (
            ('a', ValueError, "is not a checkpoint: it begins with b'nothing'"),
            ('b', FileNotFoundError, 'does not exist')):
        with pytest.raises(kind, match=f'{name}.pth {reason}'):
            load_weights(build_recognizer(cfg), str(tmp_path / f'{name}.pth'), 'a.py')


@pytest.mark.parametrize('labels, labelled', [([-1, -1], False), ([3, 0], True)])
def test_read_test_part(cfg, tmp_path, labels, labelled):
    write_annotations(tmp_path / 'test.csv', ['0001_0', '0001_1'], labels)
    cfg.test_dataloader.dataset.data_root = str(tmp_path)
    path, num_clips, is_labelled = read_test_part(cfg)
    assert (path, num_clips) == (str(tmp_path / 'test.csv'), 2)
    assert is_labelled == labelled
    assert cfg.test_dataloader.dataset.type == 'IMiGUEDataset'  # the config stays whole
    (tmp_path / 'test.csv').unlink()
    with pytest.raises(FileNotFoundError, match='test.csv'):
        read_test_part(cfg)
