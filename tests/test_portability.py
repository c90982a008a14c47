"""Import, preparation and training where Windows and macOS lack what Linux has."""
import os
import subprocess
import sys

import pytest
from tiny_release import make_release

ELSEWHERE = """
import multiprocessing, platform, signal, sys, warnings
for name in ('fcntl', 'resource', 'termios', 'pwd', 'grp'):
    sys.modules[name] = None  # an import of it fails
for name in ('sigwaitinfo', 'sigtimedwait', 'pthread_sigmask', 'pthread_kill'):
    delattr(signal, name)
import torch
if hasattr(torch.cpu, 'get_capabilities'):
    del torch.cpu.get_capabilities
# a text file that is opened in the system's encoding, which on Windows is not UTF-8
warnings.filterwarnings('error', category=EncodingWarning, module='gaie_mmaction')
warnings.filterwarnings('ignore', message='only soft file lock')
sys.path.insert(0, {tests!r})
from pathlib import Path
import gaie_mmaction
from gaie_mmaction.release import prepare
from tiny_training import make_runner, read_losses, write_config

if __name__ == '__main__':
    multiprocessing.set_start_method('spawn', force=True)
    folder = Path(sys.argv[1])
    report = prepare(folder / 'release', folder / 'out', workers=1)
    print(report.clips)
    platform.system = lambda: 'Windows'  # mmengine asks before it imports resource, and for fork
    config = write_config(folder, "default_hooks = dict(checkpoint=dict(interval=1))")
    workers = int(sys.argv[2])
    make_runner(config, train_dataloader__num_workers=workers,
                train_dataloader__persistent_workers=workers > 0, train_cfg__max_epochs=1).train()
    print(sorted(read_losses(folder / 'work')))
"""


@pytest.mark.parametrize('workers', [0, pytest.param(1, marks=pytest.mark.slow)])
def test_without_posix_modules(tmp_path, root, workers):
    """Preparation has a spawned worker in either case."""
    make_release(tmp_path / 'release')
    script = tmp_path / 'elsewhere.py'
    script.write_text(ELSEWHERE.format(tests=str(root / 'tests')))
    result = subprocess.run(
        [sys.executable, '-X', 'warn_default_encoding', script, tmp_path, str(workers)],
        capture_output=True, text=True, env=dict(os.environ, OMP_NUM_THREADS='1'))
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    lines = result.stdout.splitlines()
    assert "{'train': 2, 'val': 2, 'test': 2}" in lines and lines[-1] == '[1, 2, 3, 4]'
    assert (tmp_path / 'out/train.csv').is_file()
    assert (tmp_path / 'work/epoch_1.pth').is_file()


def time_import():
    """Own microseconds of each module that an import of the package loads, with its depth."""
    result = subprocess.run([sys.executable, '-X', 'importtime', '-c', 'import gaie_mmaction'],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    rows = [line.split('|') for line in result.stderr.splitlines() if '|' in line][1:]
    return [(len(name) - len(name.lstrip()), name.strip(), int(own.split(':')[1]))
            for own, _, name in rows]


def own_part(times):
    """Modules below gaie_mmaction that no upstream package has asked for."""
    found, stack = {}, []
    # a module stands after what it imports, which is indented further: read from the end
    for depth, name, own in reversed(times):
        while stack and stack[-1][0] >= depth:
            stack.pop()
        stack.append((depth, name.partition('.')[0]))
        above = {package for _, package in stack}
        if 'gaie_mmaction' in above and not above & {'torch', 'mmengine', 'mmcv', 'mmaction'}:
            found[name] = own
    return found


def test_import_is_light():
    """mmcv imports PIL, and MMAction2 scipy; this package imports neither.

    Its part of the time is taken relative to all of it, and the best of three imports counts:
    other processes can only add to it.
    """
    shares = []
    for _ in range(3):
        times = time_import()
        own = own_part(times)
        assert {'gaie_mmaction', 'av', 'gaie_mmaction.ops.attention'} <= set(own)
        assert not {'matplotlib', 'PIL', 'sklearn', 'scipy', 'pandas'} & {
            name.partition('.')[0] for name in own}
        assert not {'matplotlib', 'sklearn', 'pandas', 'triton'} & {
            name.partition('.')[0] for _, name, _ in times}
        shares.append(sum(own.values()) / sum(own for _, _, own in times))
        if shares[-1] < .12:
            return
    raise AssertionError(f'its own part takes {min(shares):.0%} of the import')
