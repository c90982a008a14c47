"""Two processes over gloo do what one does."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from launching import run
from tiny_training import MASKED, assert_same_weights, make_runner, read_losses, write_config

from gaie_mmaction.policy import load_checkpoint_safely

MIM = str(Path(sys.executable).with_name('mim'))


def mim(command, config, *options):
    """Run mim with two processes."""
    return run([MIM, command, 'mmaction', str(config), '--launcher', 'pytorch', '--gpus', '2',
                *options], config.parent)


def metrics(work):
    """Accuracies that a validation or a test has logged last."""
    path = sorted(work.glob('*/*.json'))[-1]
    values = json.loads(path.read_text().splitlines()[-1])
    return {name: value for name, value in values.items() if name.startswith('acc/')}


@pytest.fixture(scope='module')
def one(tmp_path_factory):
    """A training by one process, with batches of 4; its validation part has 7 clips."""
    folder = tmp_path_factory.mktemp('one')
    make_runner(write_config(folder)).train()
    return folder / 'work'


@pytest.mark.slow
def test_training_by_two_processes(tmp_path, one):
    result = mim('train', write_config(tmp_path, 'train_dataloader = dict(batch_size=2)'))
    assert result.returncode == 0, result.stderr[-3000:]
    work = tmp_path / 'work'
    lines = (work / 'losses.txt').read_text().splitlines()
    assert sorted(line.split()[1] for line in lines) == ['0'] * 12 + ['1'] * 12
    assert read_losses(work) == pytest.approx(read_losses(one), rel=1e-4)
    assert_same_weights(work, one, parts=('state_dict', ), rtol=1e-3, atol=1e-4)
    # 7 clips for two processes: one of them was predicted twice
    assert (work / 'prediction.csv').read_text() == (one / 'prediction.csv').read_text()


@pytest.mark.slow
def test_masked_pretraining_by_two_processes(tmp_path):
    """Each draws its own masks; both step with the same gradient."""
    config = write_config(tmp_path, MASKED + 'train_dataloader = dict(batch_size=2)')
    result = mim('train', config)
    assert result.returncode == 0, result.stderr[-3000:]
    lines = [line.split()[:3] for line in (tmp_path / 'work/losses.txt').read_text().splitlines()]
    losses = {(int(step), rank): float(loss) for step, rank, loss in lines}
    assert len(losses) == 24 and all(
        losses[step, '0'] != losses[step, '1'] for step in range(1, 13))
    assert sum(loss for (step, _), loss in losses.items() if step > 8) < sum(
        loss for (step, _), loss in losses.items() if step <= 4)


@pytest.mark.slow
def test_classifier_retraining_by_two_processes(tmp_path, one):
    """Parameters without gradients must not stop the exchange."""
    more = f"""
load_from = '{one}/epoch_3.pth'
custom_hooks = [dict(type='LossLog'), dict(type='ClassifierRetraining')]
find_unused_parameters = True
"""
    make_runner(write_config(tmp_path / 'alone', more)).train()
    result = mim('train', write_config(
        tmp_path / 'both', more + 'train_dataloader = dict(batch_size=2)'))
    assert result.returncode == 0, result.stderr[-3000:]
    assert_same_weights(tmp_path / 'both/work', tmp_path / 'alone/work', parts=('state_dict', ),
                        rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('num_clips', [7, 8])
def test_evaluation_by_two_processes(tmp_path, one, num_clips):
    """The same weights: exactly the same metric and file."""
    checkpoint = one / 'epoch_3.pth'
    more = f'test_dataloader = dict(dataset=dict(num_clips={num_clips}))'
    expected = make_runner(write_config(tmp_path / 'one', more), load_from=str(checkpoint)).test()
    result = mim('test', write_config(tmp_path / 'two', more), '--checkpoint', str(checkpoint))
    assert result.returncode == 0, result.stderr[-3000:]
    found = metrics(tmp_path / 'two' / 'work')
    assert found == {name: expected[name] for name in ('acc/top1', 'acc/top5', 'acc/mean1')}
    assert 0 < found['acc/top1']
    one_file, two_file = (tmp_path / name / 'work' / 'prediction.csv' for name in ('one', 'two'))
    assert two_file.read_bytes() == one_file.read_bytes()
    assert len(two_file.read_text().splitlines()) == 1 + num_clips


@pytest.mark.slow
@pytest.mark.parametrize('step, in_validation', [(6, False), (12, True)])
def test_sigterm_to_two_processes(tmp_path, one, step, in_validation):
    """Both leave after the same step, though only one got the signal."""
    config = write_config(
        tmp_path, "custom_hooks = [dict(type='LossLog'), dict(type='SignalOneProcess', "
        f'step={step}, in_validation={in_validation})]\n'
        'train_dataloader = dict(batch_size=2)')
    result = mim('train', config)
    assert result.returncode != 0 and f'SIGTERM: step {step} is saved in' in result.stdout
    assert '(exitcode: 143)' in ' '.join(result.stderr.replace(' :', ':').split()), result.stderr
    work = tmp_path / 'work'
    assert load_checkpoint_safely(str(work / 'preempted.pth'))['meta']['iter'] == step
    assert len((work / 'losses.txt').read_text().splitlines()) == 2 * step
    assert not (work / 'prediction.csv').exists()
    result = mim('train', config, '--resume')
    assert result.returncode == 0, result.stderr[-3000:]
    assert read_losses(work) == pytest.approx(read_losses(one), rel=1e-4)
    assert (work / 'prediction.csv').read_text() == (one / 'prediction.csv').read_text()


@pytest.mark.slow
def test_fsdp_trains_but_does_not_resume(tmp_path):
    """What docs/training.md says of it; once one of the last two fails, that can change."""
    # a limit that is never reached, so that the norm is logged
    config = 'optim_wrapper = dict(clip_grad=dict(max_norm=1e9))\n'
    make_runner(write_config(tmp_path / 'one', config)).train()
    config = write_config(tmp_path / 'two', config + """
train_dataloader = dict(batch_size=2)
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy', model_wrapper=dict(type='MMFullyShardedDataParallel', device_id='cpu'),
    # without offload_to_cpu, which on a CPU frees what it should copy
    state_dict_cfg=dict(state_dict_type='FULL_STATE_DICT',
                        state_dict_config=dict(type='FullStateDictConfig'),
                        optim_state_dict_config=dict(type='FullOptimStateDictConfig')))
""")
    result = mim('train', config)
    assert result.returncode == 0, result.stderr[-3000:]
    one, two = (tmp_path / name / 'work' for name in ('one', 'two'))
    assert len((two / 'losses.txt').read_text().splitlines()) == 2 * 12
    assert read_losses(two) == pytest.approx(read_losses(one), rel=1e-5)
    assert (two / 'prediction.csv').read_text() == (one / 'prediction.csv').read_text()
    norms = [json.loads(next(work.glob('*/vis_data/scalars.json')).read_text().splitlines()[0])
             ['grad_norm'] for work in (one, two)]
    assert norms[1] < .9 * norms[0]  # that of the first process's own half
    result = mim('train', config, '--resume', str(two / 'epoch_2.pth'))
    assert result.returncode != 0 and 'in optim_state_dict_to_load' in result.stderr


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


@pytest.mark.parametrize('launcher', [
    'pytorch', pytest.param('slurm', marks=pytest.mark.slow)])
def test_gloo_without_gpu(launcher):
    result = start_one_process('gloo', launcher)
    # some releases of gloo print a line of their own
    assert result.stdout.splitlines()[-1:] == ['(0, 1) gloo'], result.stderr


def test_nccl_without_gpu():
    result = start_one_process('nccl', 'pytorch')
    assert 'add --cfg-options env_cfg.dist_cfg.backend=gloo' in result.stderr


@pytest.mark.slow
def test_mmengine_still_wants_a_gpu():
    """Otherwise the workaround can go."""
    result = start_one_process('gloo', 'pytorch', imports='mmengine')
    assert 'torch.cuda.set_device(local_rank)' in result.stderr
