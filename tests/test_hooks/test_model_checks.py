"""A model that does not fit its classes or its checkpoint is found out before it runs."""
import pytest
import torch
from numbered_video import write_video
from tiny_training import make_runner, write_config

from gaie_mmaction.policy import load_checkpoint_safely

EMA = "custom_hooks = [dict(type='LossLog'), dict(type='EMAHook', momentum=0.1)]"


@pytest.mark.parametrize('num_classes', [3, 5])
@pytest.mark.parametrize('loader', ['train', 'val'])
def test_number_of_classes(tmp_path, loader, num_classes):
    names = [str(label) for label in range(num_classes)]
    runner = make_runner(write_config(tmp_path), **{
        f'{loader}_dataloader__dataset__metainfo': dict(classes=names)})
    message = (f'the model has 4 classes, but the dataset of {loader}_dataloader {num_classes}: '
               f'set model.cls_head.num_classes={num_classes}')
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert not list((tmp_path / 'work').glob('*.pth')) and runner.iter == 0


@pytest.mark.parametrize('neck', ['GAIENeck', 'ToMeNeck'])
@pytest.mark.parametrize('step', ['train', 'test'])
def test_a_backbone_that_ignores_its_reducer(tmp_path, neck, step):
    """MMAction2's takes any argument, and would be the plain network."""
    runner = make_runner(write_config(tmp_path, """
model = dict(backbone=dict(
    _delete_=True, type='VisionTransformer', img_size=16, patch_size=8, embed_dims=8, depth=2,
    num_heads=2, num_frames=4, tubelet_size=2, merge_layers=(0, ), neck=dict(type='NECK')))
""".replace('NECK', neck)))
    with pytest.raises(ValueError, match=f'names the token reducer {neck}, but the backbone '
                                         "VisionTransformer ignores it: .*'GAIEVisionTransformer'"):
        getattr(runner, step)()
    assert not list((tmp_path / 'work').glob('*.pth'))


VIDEO_DATASET = """
loader = dict(_delete_=True, batch_size=1, num_workers=0,
              sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(
    type='DATASET', ann_file='ANN', test_mode=True, metainfo=dict(classes=list('abcd')), pipeline=[
        dict(type='DecordInit'), dict(type='UniformSample', clip_len=4, test_mode=True),
        dict(type='DecordDecode'), dict(type='Resize', scale=(16, 16), keep_ratio=False),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs', meta_keys=KEYS)]))
val_dataloader = test_dataloader = loader
"""


def test_a_forgotten_label(tmp_path):
    write_video(tmp_path / 'a.mp4', 8)
    (tmp_path / 'ann.txt').write_text(f'{tmp_path}/a.mp4 1\n{tmp_path}/b.mp4\n')
    more = VIDEO_DATASET.replace('DATASET', 'IMiGUEDataset').replace('KEYS', "('clip_id', )")
    more = more.replace('ANN', str(tmp_path / 'ann.txt'))
    runner = make_runner(write_config(tmp_path, f'{more}\ntrain_dataloader = loader\n'))
    with pytest.raises(ValueError, match='ann.txt has 1 clips without a label, e.g. b: training'):
        runner.train()
    assert runner.iter == 0


@pytest.mark.parametrize('step', ['train', 'test'])
@pytest.mark.parametrize('dataset, keys, way', [
    ('VideoDataset', ('img_shape', ), r"dataset.type='IMiGUEDataset'.*type='AccMetric'"),
    ('IMiGUEDataset', ('img_shape', ), "add 'clip_id' to meta_keys of PackActionInputs in"),
    ('IMiGUEDataset', ('clip_id', ), None)])
def test_clips_without_ids(tmp_path, step, dataset, keys, way):
    """MMAction2's own dataset has none, which was found out after the first epoch."""
    write_video(tmp_path / 'a.mp4', 8)
    (tmp_path / 'ann.txt').write_text(f'{tmp_path}/a.mp4 1\n')
    more = VIDEO_DATASET.replace('DATASET', dataset).replace('KEYS', repr(keys))
    runner = make_runner(write_config(tmp_path, more.replace('ANN', str(tmp_path / 'ann.txt'))))
    if way is None:
        getattr(runner, step)()
        return
    with pytest.raises(ValueError, match=f'the {dataset} of (val|test)_dataloader gives none: .*'
                                         + way):
        getattr(runner, step)()
    assert runner.iter == 0


def test_leaderboard_file_goes_to_the_work_folder(tmp_path, monkeypatch):
    """Of an unlabelled part; a second test says that it replaces the file."""
    monkeypatch.chdir(tmp_path)
    config, work = write_config(tmp_path), tmp_path / 'work'
    options = dict(test_evaluator__out_file=None, test_dataloader__dataset__labelled=False,
                   val_evaluator__out_file=None)
    make_runner(config, train_cfg__max_epochs=3, **options).train()
    assert not list(work.glob('*.csv'))  # the validation part has labels
    for runs in (1, 2):
        make_runner(config, **options).test()
        assert len((work / 'prediction.csv').read_text().splitlines()) == 1 + 7
        text = ''.join(path.read_text() for path in work.glob('*/*.log'))
        assert text.count('predictions are written to') == runs
        assert text.count('replacing an earlier file') == runs - 1
    assert not (tmp_path / 'prediction.csv').exists()


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    config = write_config(tmp_path_factory.mktemp('trained'), EMA)
    make_runner(config, train_cfg__max_epochs=1).train()
    return str(config.parent / 'work' / 'epoch_1.pth')


@pytest.mark.parametrize('option, line, more', [
    (dict(model__cls_head__num_classes=3), 'fc_cls.weight: (4, 8) in the file, (3, 8) here', 0),
    (dict(model__backbone__depth=3), 'missing: backbone.blocks.2.norm1.weight', 9),
    (dict(model__backbone__depth=1), 'left over: backbone.blocks.1.norm1.weight', 9),
])
def test_refuses_to_test_another_model(tmp_path, trained, option, line, more):
    runner = make_runner(write_config(tmp_path, EMA), load_from=trained, **option)
    with pytest.raises(ValueError, match='does not fit the config, and nothing was') as error:
        runner.test()
    assert line in str(error.value)
    assert (f'and {more} more' in str(error.value)) == (more > 0)
    assert not (tmp_path / 'work' / 'prediction.csv').exists()


def test_a_training_may_start_from_part_of_a_checkpoint(tmp_path, trained):
    options = dict(train_cfg__max_epochs=1, model__cls_head__num_classes=3)
    for loader in ('train', 'val'):
        options[f'{loader}_dataloader__dataset__metainfo'] = dict(classes=list('abc'))
        options[f'{loader}_dataloader__dataset__num_clips'] = 3  # labels 0, 1 and 2
    runner = make_runner(write_config(tmp_path), load_from=trained, **options)
    runner.train()
    assert runner.iter == 1


def test_features_need_no_head(tmp_path, trained):
    """As MMAction2's clip_feature_extraction has it."""
    runner = make_runner(write_config(tmp_path), load_from=trained,
                         model__cls_head=dict(type='FeatureHead', _delete_=True))
    runner.load_or_resume()
    assert not [key for key in runner.model.state_dict() if key.startswith('cls_head.')]


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_tests_what_fits(tmp_path, trained, prefix):
    """With the averaged weights, and as distributed training of other code writes it."""
    content = load_checkpoint_safely(trained)
    for part in ('state_dict', 'ema_state_dict'):
        content[part] = {prefix + key if part == 'state_dict' else key: value
                         for key, value in content[part].items()}
    torch.save(content, tmp_path / 'saved.pth')
    config = write_config(tmp_path, '' if prefix else EMA)
    assert 'acc/top1' in make_runner(config, load_from=str(tmp_path / 'saved.pth')).test()
