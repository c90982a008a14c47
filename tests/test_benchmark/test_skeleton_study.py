"""The study of skeletons: its clips and splits, its table, and a run of two steps."""
import numpy as np
import pandas as pd
import pytest
from mmaction.models.utils import Graph
from mmengine.config import Config

from gaie_mmaction.benchmark import skeleton_study
from gaie_mmaction.benchmark.study import append_rows, read_rows
from gaie_mmaction.datasets import SkeletonLayout
from gaie_mmaction.utils.safe_pickle import load_pickle_safely


@pytest.fixture
def cfg(root):
    return Config.fromfile(root / 'configs/study/utd_mhad.py')


@pytest.fixture
def data(tmp_path):
    """Four trials of three actions by eight subjects."""
    random = np.random.default_rng(0)
    keys = [(action, subject, trial) for action in (1, 2, 3) for subject in range(1, 9)
            for trial in range(1, 5)]
    lengths = random.integers(5, 9, len(keys))
    action, subject, trial = np.array(keys).T
    np.savez(tmp_path / 'data.npz', joints=random.normal(size=(lengths.sum(), 20, 3)),
             length=lengths, action=action, subject=subject, trial=trial)
    return tmp_path / 'data.npz'


def test_clips_and_splits(cfg, data, tmp_path):
    skeleton_study.convert_utd_mhad(data, tmp_path / 's.pkl', cfg)
    content = load_pickle_safely(str(tmp_path / 's.pkl'))
    arrays = dict(np.load(data))
    clip = next(one for one in content['annotations'] if one['frame_dir'] == 'a2_s3_t1')
    k = 4 * (8 + 2)  # of the second action, the third subject
    first = arrays['length'][:k].sum()
    expected = arrays['joints'][first:first + arrays['length'][k]]
    scale = np.linalg.norm(expected[0, 1] - expected[0, 3])
    np.testing.assert_allclose(clip['keypoint'][0], (expected - expected[0, 3]) / scale, rtol=1e-4,
                               atol=1e-5)
    assert clip['label'] == 1 and clip['total_frames'] == len(expected)
    splits = content['split']
    assert {clip_id[4] for clip_id in splits['train0']} == set('1357')
    assert {clip_id[4] for clip_id in splits['test0']} == set('2468')
    # a choice never sees a test subject
    assert {clip_id[4] for clip_id in splits['train3']} == set('157')
    assert {clip_id[4] for clip_id in splits['test3']} == {'3'}
    for budget, size in (('0.1', 2), ('0.25', 4), ('1.0', 16)):
        drawn = splits[f'train0-{budget}-1']
        assert len(set(drawn)) == 3 * size and set(drawn) <= set(splits['train0'])
        assert [sum(one.startswith(f'a{k}') for one in drawn) for k in (1, 2, 3)] == [size] * 3
    assert splits['train0-0.1-0'] != splits['train0-0.1-1']


def test_other_data(cfg, tmp_path):
    np.savez(tmp_path / 'other.npz', joints=np.zeros((3, 20, 3)), length=[3])
    with pytest.raises(ValueError, match=r"other.npz is not UTD-MHAD: it lacks \['action', 'subj"):
        skeleton_study.convert_utd_mhad(tmp_path / 'other.npz', tmp_path / 's.pkl', cfg)


def test_layout_is_a_tree(cfg):
    layout = cfg.study.arms['ST-GCN'].model.backbone.graph_cfg.layout
    SkeletonLayout([''] * 20, layout.inward, layout.center, range(4, 8), range(8, 12))
    assert Graph(layout=layout, mode='stgcn_spatial').A.shape == (3, 20, 20)


def test_table(cfg, tmp_path):
    rows = [dict(budget=budget, arm=arm, training='finetuned', seed=seed, fold=0, clips=54,
                 gmacs=.0144, top1=top1 + .01 * seed)
            for budget, base in (('0.1', .4), ('1.0', .8)) for seed in range(3)
            for arm, top1 in (('pretrained', base + .1), ('from scratch', base))]
    append_rows(tmp_path / 'rows.csv', rows)
    lines = skeleton_study.make_table(read_rows(tmp_path / 'rows.csv'), cfg.study)
    assert lines[0].split(' | ')[1:3] == ['labels 10%, 54 clips, finetuned',
                                          'labels 100%, 54 clips, finetuned']
    assert lines[2:] == ['| **pretrained** | 51.0 | 91.0 | 3 |',
                         '| from scratch | 41.0 (-10.0 ± 0.0) | 81.0 (-10.0 ± 0.0) | 3 |']


def test_the_document_follows_from_the_csv(root, cfg):
    lines = skeleton_study.make_table(read_rows(root / 'docs/study/utd_mhad.csv'), cfg.study)
    assert '\n'.join(['<!-- begin utd_mhad -->', *lines, '<!-- end utd_mhad -->']) in (
        root / 'docs/skeletons.md').read_text()


@pytest.mark.slow
def test_run_and_resume(root, data, tmp_path):
    config, table = tmp_path / 'config.py', tmp_path / 'rows.csv'
    config.write_text(f"""
_base_ = '{root}/configs/study/utd_mhad.py'
two = dict(train_cfg=dict(max_iters=2))
study = dict(seeds=1, budgets={{'0.1': two, '0.25': two, '1.0': two}}, pretraining=two)
""")
    study = skeleton_study.SkeletonStudy(config, tmp_path / 's.pkl', tmp_path)
    skeleton_study.convert_utd_mhad(data, study.skeletons, Config.fromfile(config))
    rows = skeleton_study.run_study(study, table, 1)
    assert len(rows) == 9 and set(rows.clips) == {6, 12, 48} and rows.top1.between(0, 1).all()
    rows.drop(index=4).to_csv(table, index=False)
    repeated = skeleton_study.run_study(study, table, 1)
    pd.testing.assert_frame_equal(repeated.sort_values(['budget', 'arm'], ignore_index=True),
                                  rows.sort_values(['budget', 'arm'], ignore_index=True))
