"""What is installed, pinned and shipped."""
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from mmengine.config import Config

import gaie_mmaction
from gaie_mmaction.apis import build_recognizer, view_shape
from gaie_mmaction.benchmark import measure_complexity


def canonical(name):
    return re.sub(r'[-_.]+', '-', name).lower()


def pins(root):
    lines = (root / 'constraints.txt').read_text().splitlines()
    return {canonical(line.split('==')[0]): line.split('==')[1]
            for line in lines if line and not line.startswith('#')}


def requirement_names(extra=None):
    found = set()
    for line in requires('gaie_mmaction'):
        marker = re.search(r'extra == "(\w+)"', line)
        if (marker[1] if marker else None) == extra:
            found.add(canonical(re.match(r'[\w.-]+', line)[0]))
    return found


def test_version_is_the_same_everywhere(root):
    assert version('gaie_mmaction') == gaie_mmaction.__version__
    assert f'version: {gaie_mmaction.__version__}\n' in (root / 'CITATION.cff').read_text()
    assert f'## [{gaie_mmaction.__version__}]' in (root / 'CHANGELOG.md').read_text()


def test_every_requirement_is_pinned(root):
    extras = ('lite', 'export', 'tensorboard', 'test', 'dev')
    needed = requirement_names().union(*map(requirement_names, extras))
    assert needed and needed <= set(pins(root))


def test_installed_is_what_is_pinned(root):
    different = {name: (version(name), number) for name, number in pins(root).items()
                 if name in requirement_names() and version(name).split('+')[0] != number}
    assert different == {}


def test_mmcv_stays_the_users_choice():
    assert not {'mmcv', 'mmcv-lite'} & requirement_names()
    assert requirement_names('lite') == {'mmcv-lite'}


@pytest.fixture
def index(root):
    return Config.fromfile(str(root / 'model-index.yml'))


def test_model_index_is_complete(index, root):
    """Every config for iMiGUE has an entry with a collection of its own and measured costs."""
    configs = [model.Config for model in index.Models]
    expected = {path.relative_to(root).as_posix() for folder in ('configs', 'configs/reducers')
                for path in (root / folder).glob('*.py')}
    assert set(configs) == expected and len(configs) == len(expected)
    collections = {collection.Name for collection in index.Collections}
    assert {model['In Collection'] for model in index.Models} == collections
    for model in index.Models:
        assert model.Name == Path(model.Config).stem
        assert set(model.Metadata) == {'FLOPs', 'Parameters'}


@pytest.mark.parametrize('name', ['stgcnpp_imigue_bone', 'posec3d_imigue_limb', 'tsm_r50_imigue',
                                  'mamp_imigue_joint137'])
def test_model_index_figures(index, root, name):
    """A few of each kind; the slow test below has all."""
    model = next(model for model in index.Models if model.Name == name)
    cfg = Config.fromfile(root / model.Config)
    cost = measure_complexity(build_recognizer(cfg, 'meta'), view_shape(cfg))
    assert model.Metadata == dict(FLOPs=int(cost.true_macs), Parameters=cost.parameters)


@pytest.mark.slow
def test_model_index_is_what_the_command_says(root):
    subprocess.run([sys.executable, 'tools/analysis/model_index.py'], cwd=root, check=True)


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """Python of a fresh environment with the wheel, which finds everything else in this one's.

    The folder of this one is put on its path behind its own: an editable install there has no
    effect, since its hook runs in the environment that it was installed into alone.
    """
    root = Path(__file__).parents[1]
    folder = tmp_path_factory.mktemp('wheel')
    # a copy: the build must neither leave files in the checkout nor take old ones from it
    files = subprocess.run(['git', 'ls-files', '-z', '-co', '--exclude-standard'], cwd=root,
                           check=True, capture_output=True, text=True).stdout.split('\0')
    for name in filter(None, files):
        if (root / name).is_file():
            (folder / 'source' / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, folder / 'source' / name)
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation',
                    '-w', folder, folder / 'source'], check=True)
    venv.create(folder / 'venv', with_pip=True)
    python = folder / 'venv/bin/python'
    wheel = next(folder.glob('*.whl'))
    subprocess.run([python, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', wheel],
                   check=True)
    own = subprocess.run([python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'],
                         check=True, capture_output=True, text=True).stdout.strip()
    Path(own, 'shared.pth').write_text(sysconfig.get_path('purelib') + '\n')
    return python


def run_installed(python, folder, *command):
    """Run Python of the fresh environment in a folder that has nothing of the checkout."""
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    result = subprocess.run([python, *command], cwd=folder, capture_output=True, text=True,
                            env=dict(environment, OMP_NUM_THREADS='1'))
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    return result.stdout + result.stderr


@pytest.mark.slow
def test_one_step_of_training_from_the_wheel(installed, tmp_path):
    """Data, config and tools are the wheel's own."""
    place = run_installed(installed, tmp_path, '-c',
                          'import gaie_mmaction; print(gaie_mmaction.__file__)').split()[-1]
    mim = Path(place).parent / '.mim'
    assert installed.parents[1] in mim.parents
    assert (mim / 'model-index.yml').is_file()
    run_installed(installed, tmp_path, mim / 'tools/data/make_demo_release.py', 'release',
                  '--train-subjects', '1', '--val-subjects', '1', '--test-subjects', '1',
                  '--clips-per-class', '1', '--workers', '1')
    run_installed(installed, tmp_path, mim / 'tools/data/prepare_imigue.py', 'release',
                  '--out', 'data')
    clips = len((tmp_path / 'data/train.csv').read_text().splitlines()) - 1
    output = run_installed(
        installed, tmp_path, '-m', 'mim', 'train', 'mmaction', mim / 'configs/demo/gaie_demo.py',
        '--gpus', '0', '--work-dir', 'work', '--cfg-options',
        'train_dataloader.dataset.data_root=data',
        'val_dataloader.dataset.data_root=data', f'train_dataloader.batch_size={clips}',
        'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
        'train_cfg.max_epochs=1', 'train_cfg.val_interval=2', 'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=1')
    assert '[1][1/1]' in output, output[-3000:]
    assert (tmp_path / 'work/epoch_1.pth').is_file()


@pytest.mark.slow
def test_wheel_holds_configs_and_tools(installed):
    folder = installed.parents[2]
    names = zipfile.ZipFile(next(folder.glob('*.whl'))).namelist()
    for name in ('configs/gaie_vitb_imigue.py', 'configs/_base_/default_runtime.py',
                 'tools/analysis/get_flops.py', 'model-index.yml'):
        assert f'gaie_mmaction/.mim/{name}' in names
    for ending in ('html', 'css', 'js'):
        assert f'gaie_mmaction/report/assets/results.{ending}' in names
