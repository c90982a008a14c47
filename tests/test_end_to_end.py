"""Train and test through mim, and tools on the trained model, on real video files.

Kills and resuming: test_hooks/test_checkpoint.py, test_hooks/test_preemption.py and
test_distributed.py.
"""
import csv
import json
import os
import signal
import subprocess
import time

import pytest
from launching import ROOT, launch, test_command, train_command
from one_epoch import prepare_release
from running import run_tool

from gaie_mmaction.apis.unlabelled import write_windows

CONFIG = """
_base_ = '{root}/configs/demo/gaie_demo.py'
train_dataloader = dict(
    batch_size=4, num_workers=1,
    dataset=dict(data_root='{data}', pipeline={{{{_base_.test_pipeline}}}}))
val_dataloader = dict(num_workers=1, dataset=dict(data_root='{data}'))
test_dataloader = dict(num_workers=1, dataset=dict(data_root='{data}'))
test_evaluator = dict(out_file='{data}/prediction.csv')
model = dict(
    backbone=dict(embed_dims=24, num_heads=2, depth=3, neck=dict(prop_attn=True),
                  merge_layers=(0, 1)),
    cls_head=dict(in_channels=24))
custom_hooks = [
    dict(type='TokenKeepRatioWarmupHook', end=2), dict(type='TokenMapHook', num_clips=2)]
train_cfg = dict(max_epochs=4, val_interval=4)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=-1))
"""

MASKED = """
_base_ = '{root}/configs/pretraining/videomae_demo.py'
# nothing random but the order of the clips and the masks
steps = [
    dict(type='CenterCrop', crop_size=96), dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs')]
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='RepeatAugment', num_repeats=2, transforms=steps)]
train_dataloader = dict(
    num_workers=1, dataset=dict(data_root='{data}', pipeline=train_pipeline))
model = dict(backbone=dict(embed_dims=24, num_heads=2, depth=2), decoder_depth=1, decoder_dims=16)
train_cfg = dict(max_epochs=4)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=-1))
"""


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A tiny release, prepared, and configs over it."""
    folder = tmp_path_factory.mktemp('end_to_end')
    prepare_release(folder, train=2, test_labels=True)
    write_windows(folder / 'videos', folder / 'windows.csv', per_video=4, window=32)
    for name, text in (('config', CONFIG), ('masked', MASKED)):
        (folder / f'{name}.py').write_text(text.format(root=ROOT, data=folder))
    return folder


@pytest.fixture(scope='module')
def trained(data):
    launch(train_command('config.py', '--work-dir', 'trained'), data)
    return data / 'trained'


def losses(work):
    """Loss by iteration; of one that was run twice the last."""
    found = {}
    for path in sorted(work.glob('*/vis_data/scalars.json')):
        entries = map(json.loads, path.read_text().splitlines())
        found.update({entry['iter']: entry['loss'] for entry in entries if 'loss' in entry})
    return found


@pytest.mark.slow
def test_killed_masked_pretraining_continues(data):
    """With the same masks and so the same losses."""
    launch(train_command('masked.py', '--work-dir', 'masked'), data)
    unbroken = losses(data / 'masked')
    process = subprocess.Popen(
        train_command('masked.py', '--work-dir', 'killed'), cwd=data, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True)
    log = data / 'killed' / 'last_checkpoint'
    while not (log.exists() and log.read_text().endswith('epoch_2.pth')):
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (data / 'killed' / 'epoch_4.pth').exists()
    output = launch(train_command('masked.py', '--work-dir', 'killed', '--resume'), data)
    assert 'resumed epoch: 2' in output  # a new start would give the same losses
    resumed = losses(data / 'killed')
    assert sorted(resumed) == sorted(unbroken)
    assert resumed == pytest.approx(unbroken, rel=2e-4)


def test_mim_test_writes_the_leaderboard_file(data, trained):
    launch(test_command('config.py', 'trained/epoch_4.pth', '--work-dir', 'test'), data)
    metrics = json.loads(next((data / 'test').glob('*/*.json')).read_text())
    rows = list(csv.DictReader(open(data / 'prediction.csv')))
    answers = list(csv.DictReader(open(data / 'release' / 'test_answers.csv')))
    assert [row['Id'] for row in rows] == [answer['clip_id'] for answer in answers]
    hits = [row['Target'] == answer['label'] for row, answer in zip(rows, answers)]
    assert metrics['acc/top1'] == pytest.approx(sum(hits) / len(hits))
    assert 0 <= metrics['acc/top1'] <= metrics['acc/top5'] <= 1


def test_every_step_and_its_pictures(trained):
    assert sorted(losses(trained)) == list(range(1, 17))
    pictures = sorted(path.name for path in trained.glob('*/vis_data/vis_image/*'))
    assert pictures == ['tokens_0003_0_4.png', 'tokens_0003_1_4.png']  # after 4 epochs


@pytest.fixture
def run(data, trained, monkeypatch):
    """Run a tool of tools/visualize on the trained model."""
    monkeypatch.chdir(data)
    return lambda tool, *arguments: run_tool(
        f'visualize/{tool}.py', 'config.py', 'trained/epoch_4.pth', *arguments)


def test_picture(data, run):
    code, output = run('token_map', '--clip-id', '0004_3', '--out', 'map.png')
    assert code is None and output.startswith('0004_3: predicted ')
    assert (data / 'map.png').stat().st_size > 20000
    code, _ = run('token_map', '--clip-id', 'nothing', '--out', 'no.png')
    assert 'clip nothing is not in test.csv' in code


def test_importance_beside_grad_cam(data, run):
    _, output = run('importance_cam', '--clip-id', '0004_3', '--out', 'cam.png')
    ranks = [float(line.split()[-1]) for line in output.splitlines() if line.startswith('rank')]
    assert len(ranks) == 2 and all(-1 <= rank <= 1 for rank in ranks)
    assert (data / 'cam.png').stat().st_size > 20000


def test_region_survival(data, run):
    _, output = run('region_survival', '--regions', 'release/regions.csv', '--max-clips', '4',
                    '--rivals', 'ToMeNeck', 'KeepFirstNeck', '--out', 'region.png')
    assert 'kept, 4 clips' in output
    rows = list(csv.DictReader(open(data / 'region.csv')))
    assert [row['reducer'] for row in rows] == [
        name for name in ('GAIENeck', 'ToMeNeck', 'KeepFirstNeck') for _ in range(2)]
    # ceil(.7 * 144) = 101 of 144 tokens are kept at first, then ceil(.7 * 101) = 71
    assert [row['chance %'] for row in rows] == ['70.1', '49.3'] * 3
    # every region is seen in all four tubelets, of which the first three hold 108 tokens
    first = [float(row['kept %']) for row in rows if row['reducer'] == 'KeepFirstNeck']
    assert 50 <= first[0] <= 75 and 25 <= first[1] <= 50
    assert (data / 'region.png').stat().st_size > 20000
