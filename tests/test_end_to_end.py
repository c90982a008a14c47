"""Train, kill, resume and test through mim, on real video files."""
import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from launching import launch, test_command, train_command
from running import run_tool

from gaie_mmaction.apis.unlabelled import write_windows
from gaie_mmaction.release import prepare
from gaie_mmaction.synthetic.release import make_release

ROOT = Path(__file__).parents[1]
CONFIG = """
_base_ = '{root}/configs/demo/gaie_demo.py'
# nothing random but the order of the clips, which depends on seed and epoch alone
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
    make_release(folder / 'release', 0, dict(train=2, validate=1, test=1), 1, 2)
    prepare(folder / 'release', folder, test_labels=folder / 'release/test_answers.csv',
            workers=2)
    write_windows(folder / 'videos', folder / 'windows.csv', per_video=4, window=32)
    for name, text in (('config', CONFIG), ('masked', MASKED)):
        (folder / f'{name}.py').write_text(text.format(root=ROOT, data=folder))
    return folder


def losses(data, work):
    """Loss by iteration; of one that was run twice the last."""
    found = {}
    for path in sorted((data / work).glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            if 'loss' in entry:
                found[entry['iter']] = entry['loss']
    return found


@pytest.fixture(scope='module')
def unbroken(data):
    launch(train_command('config.py', '--work-dir', 'unbroken'), data)
    return losses(data, 'unbroken')


def test_every_step_is_trained(unbroken):
    assert sorted(unbroken) == list(range(1, 17))


@pytest.mark.slow
@pytest.mark.parametrize('name', ['config', 'masked'])
def test_killed_and_resumed_run_continues(data, unbroken, name):
    config, work = f'{name}.py', f'{name}_killed'
    if name == 'masked':
        launch(train_command(config, '--work-dir', 'unbroken_masked'), data)
        unbroken = losses(data, 'unbroken_masked')
    process = subprocess.Popen(
        train_command(config, '--work-dir', work), cwd=data,
        env=dict(os.environ, OMP_NUM_THREADS='1'), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True)
    log = data / work / 'last_checkpoint'
    start = time.time()
    while not (log.exists() and log.read_text().endswith('epoch_2.pth')):
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.time() - start < 150
        time.sleep(.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (data / work / 'epoch_4.pth').exists()
    output = launch(train_command(config, '--work-dir', work, '--resume'), data)
    assert 'resumed epoch: 2' in output
    resumed = losses(data, work)
    assert sorted(resumed) == list(range(1, 17)) == sorted(unbroken)
    for iteration, loss in unbroken.items():
        assert resumed[iteration] == pytest.approx(loss, rel=2e-4), iteration


def test_mim_test_writes_the_leaderboard_file(data, unbroken):
    launch(test_command('config.py', 'unbroken/epoch_4.pth', '--work-dir', 'test'), data)
    metrics = json.loads(next((data / 'test').glob('*/*.json')).read_text())
    rows = list(csv.DictReader(open(data / 'prediction.csv')))
    answers = list(csv.DictReader(open(data / 'release' / 'test_answers.csv')))
    assert [row['Id'] for row in rows] == [answer['clip_id'] for answer in answers]
    hits = [row['Target'] == answer['label'] for row, answer in zip(rows, answers)]
    assert metrics['acc/top1'] == pytest.approx(sum(hits) / len(hits))
    assert 0 <= metrics['acc/top1'] <= metrics['acc/top5'] <= 1


def test_pictures_during_training(data, unbroken):
    pictures = sorted(path.name for path in (data / 'unbroken').glob('*/vis_data/vis_image/*'))
    assert pictures == ['tokens_0003_0_4.png', 'tokens_0003_1_4.png']  # after 4 epochs


@pytest.fixture
def run(data, unbroken, monkeypatch):
    """Run a tool of tools/visualize on the trained model."""
    monkeypatch.chdir(data)
    return lambda tool, *arguments: run_tool(
        f'visualize/{tool}.py', 'config.py', 'unbroken/epoch_4.pth', *arguments)


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
