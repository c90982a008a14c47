"""Two processes over gloo do what one does."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_training import make_runner, read_losses, write_config

from gaie_mmaction.compat import load_checkpoint_safely

MIM = str(Path(sys.executable).with_name('mim'))


def mim(command, config, *options):
    """Run mim with two processes, which find tiny_training.py as this one does."""
    folder = Path(__file__).parent
    environment = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=os.pathsep.join(
        [str(folder.parent), str(folder), os.environ.get('PYTHONPATH', '')]))
    return subprocess.run(
        [MIM, command, 'mmaction', str(config), '--launcher', 'pytorch', '--gpus', '2', *options],
        env=environment, cwd=config.parent, capture_output=True, text=True)


def metrics(work):
    """Accuracies that a validation or a test has logged last."""
    path = sorted(work.glob('*/*.json'))[-1]
    values = json.loads(path.read_text().splitlines()[-1])
    return {name: value for name, value in values.items() if name.startswith('acc/')}


@pytest.fixture(scope='module')
def one(tmp_path_factory):
    """A training by one process, with batches of 4; its validation part has 7 clips."""
    folder = tmp_path_factory.mktemp('one')
    runner = make_runner(write_config(folder))
    runner.train()
    return folder / 'work', runner.message_hub


@pytest.mark.slow
def test_training_by_two_processes(tmp_path, one):
    one, hub = one
    result = mim('train', write_config(tmp_path, 'train_dataloader = dict(batch_size=2)'))
    assert result.returncode == 0, result.stderr[-3000:]
    work = tmp_path / 'work'
    lines = (work / 'losses.txt').read_text().splitlines()
    assert sorted(line.split()[1] for line in lines) == ['0'] * 12 + ['1'] * 12
    assert read_losses(work) == pytest.approx(read_losses(one), rel=1e-4)
    mine, other = (load_checkpoint_safely(str(folder / 'epoch_3.pth'))['state_dict']
                   for folder in (work, one))
    for name, value in other.items():
        torch.testing.assert_close(mine[name], value, rtol=1e-3, atol=1e-4)
    # 7 clips for two processes: one of them was predicted twice
    assert (work / 'prediction.csv').read_text() == (one / 'prediction.csv').read_text()


@pytest.mark.slow
@pytest.mark.parametrize('num_clips', [7, 8])
def test_evaluation_by_two_processes(tmp_path, one, num_clips):
    """The same weights: exactly the same metric and file."""
    checkpoint = one[0] / 'epoch_3.pth'
    more = f'test_dataloader = dict(dataset=dict(num_clips={num_clips}))'
    runner = make_runner(write_config(tmp_path / 'one', more), load_from=str(checkpoint))
    expected = runner.test()
    result = mim('test', write_config(tmp_path / 'two', more), '--checkpoint', str(checkpoint))
    assert result.returncode == 0, result.stderr[-3000:]
    found = metrics(tmp_path / 'two' / 'work')
    assert found == {name: expected[name] for name in ('acc/top1', 'acc/top5', 'acc/mean1')}
    assert 0 < found['acc/top1']
    one_file, two_file = (tmp_path / name / 'work' / 'prediction.csv' for name in ('one', 'two'))
    assert two_file.read_bytes() == one_file.read_bytes()
    assert len(two_file.read_text().splitlines()) == 1 + num_clips


@pytest.mark.slow
def test_sigterm_to_two_processes(tmp_path, one):
    """Both leave after the same step, though only one got the signal."""
    config = write_config(
        tmp_path, "custom_hooks = [dict(type='LossLog'), dict(type='SignalOneProcess', step=6)]\n"
        'train_dataloader = dict(batch_size=2)')
    result = mim('train', config)
    assert result.returncode != 0 and 'SIGTERM: step 6 is saved in' in result.stdout
    assert '(exitcode: 143)' in ' '.join(result.stderr.replace(' :', ':').split()), result.stderr
    work = tmp_path / 'work'
    assert load_checkpoint_safely(str(work / 'preempted.pth'))['meta']['iter'] == 6
    assert len((work / 'losses.txt').read_text().splitlines()) == 2 * 6
    result = mim('train', config, '--resume')
    assert result.returncode == 0, result.stderr[-3000:]
    assert read_losses(work) == pytest.approx(read_losses(one[0]), rel=1e-4)


def start_one_process(backend, launcher, imports='gaie_mmaction'):
    """One process of a launcher, without a GPU, in a fresh interpreter."""
    code = (f'import torch, {imports}\nfrom mmengine.dist import init_dist, get_dist_info\n'
            f"init_dist('{launcher}', '{backend}')\n"
            'print(get_dist_info(), torch.distributed.get_backend())\n'
            'torch.distributed.destroy_process_group()')
    variables = dict(
        pytorch=dict(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1'),
        slurm=dict(SLURM_PROCID='0', SLURM_NTASKS='1', SLURM_NODELIST='n1', SLURM_LOCALID='0'))
    environment = dict(os.environ, MASTER_ADDR='127.0.0.1', MASTER_PORT='0',
                       CUDA_VISIBLE_DEVICES='', **variables[launcher])
    return subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True,
                          text=True)


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm'])
def test_gloo_without_gpu(launcher):
    result = start_one_process('gloo', launcher)
    assert result.stdout == '(0, 1) gloo\n', result.stderr


def test_nccl_without_gpu():
    result = start_one_process('nccl', 'pytorch')
    assert 'add --cfg-options env_cfg.dist_cfg.backend=gloo' in result.stderr


def test_mmengine_still_wants_a_gpu():
    """Otherwise the workaround can go."""
    result = start_one_process('gloo', 'pytorch', imports='mmengine')
    assert 'torch.cuda.set_device(local_rank)' in result.stderr
