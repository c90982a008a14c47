"""Scores of all classes, kept by `mim test --dump`."""
import runpy
import sys
from pathlib import Path

import mmaction
import mmengine
import numpy as np
import pytest
import torch
from evaluating import write_annotations
from launching import ROOT, launch, test_command
from mmaction.registry import MODELS
from mmengine.config import Config
from numbered_video import write_video

from gaie_mmaction.datasets.annotations import read_annotations
from gaie_mmaction.evaluation import check_submission

CONFIG = """
_base_ = '{root}/configs/demo/gaie_demo.py'
model = dict(backbone=dict(embed_dims=24, num_heads=2, depth=2, merge_layers=(0, )),
             cls_head=dict(in_channels=24))
test_dataloader = dict(batch_size=2, num_workers=0,
                       dataset=dict(data_root='{data}', data_prefix=dict(video='')))
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Five clips without labels, tested with random weights."""
    folder = tmp_path_factory.mktemp('dump')
    write_video(folder / '0054.mp4', 120)
    write_annotations(folder / 'test.csv', [f'0054_{k}' for k in range(5)], step=20)
    (folder / 'config.py').write_text(CONFIG.format(root=ROOT, data=folder))
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(folder / 'config.py').model)
    torch.nn.init.normal_(model.cls_head.fc_cls.weight, std=3)  # so that the classes differ
    torch.save(dict(state_dict=model.state_dict()), folder / 'random.pth')
    # with --dump the evaluators are a list, so the metric has a number
    launch(test_command('config.py', 'random.pth', '--work-dir', 'work', '--dump', 'scores.pkl',
                        '--cfg-options', 'test_evaluator.0.out_file=out/Submission.zip',
                        'test_evaluator.0.format=2023', mim=False), folder)
    return folder


@pytest.fixture
def run_script(folder, monkeypatch):
    """Runs a script of MMAction2 in the folder."""

    def run(name, *arguments):
        script = Path(mmaction.__file__).parent / '.mim/tools' / name
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, 'argv', [str(script), 'config.py', *arguments])
        runpy.run_path(str(script), run_name='__main__')

    return run


def test_dump_holds_id_and_all_scores(folder):
    samples = mmengine.load(str(folder / 'scores.pkl'))
    assert [sample['clip_id'] for sample in samples] == [f'0054_{k}' for k in range(5)]
    scores = torch.stack([sample['pred_score'] for sample in samples])
    assert scores.shape == (5, 32) and scores.dtype == torch.float32
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(5))
    assert len(torch.unique(scores)) > 100
    ids = [clip['clip_id'] for clip in read_annotations(str(folder / 'test.csv'), 32)]
    report = check_submission(str(folder / 'out' / 'Submission.zip'), ids, 32)
    assert report.faults == {} and report.format == '2023'
    assert list(report.targets.values()) == scores.argmax(dim=1).tolist()
    assert not (folder / 'prediction.csv').exists()


def test_leaderboard_file_from_a_dump(folder, run_script):
    """The way out that the metric names where it cannot write: `mim run mmaction eval_metric`."""
    run_script('analysis_tools/eval_metric.py', 'scores.pkl', '--cfg-options',
               'test_evaluator.out_file=later.csv')
    rows = (folder / 'later.csv').read_text().splitlines()[1:]
    scores = [sample['pred_score'].numpy() for sample in mmengine.load(folder / 'scores.pkl')]
    assert rows == [f'0054_{k},{np.argmax(score)}' for k, score in enumerate(scores)]


def test_dump_is_there_although_the_metric_refuses(folder, run_script):
    with pytest.raises(ValueError, match='1 of 5 clips of .* have no prediction, e.g. 0054_4'):
        run_script('test.py', 'random.pth', '--work-dir', 'piece', '--dump', 'piece.pkl',
                   '--cfg-options', 'test_evaluator.0.out_file=piece.csv',
                   'test_dataloader.dataset.indices=4')
    piece, whole = (mmengine.load(folder / name) for name in ('piece.pkl', 'scores.pkl'))
    assert [sample['clip_id'] for sample in piece] == [f'0054_{k}' for k in range(4)]
    for one, other in zip(piece, whole):
        torch.testing.assert_close(one['pred_score'], other['pred_score'])
    assert not (folder / 'piece.csv').exists()
