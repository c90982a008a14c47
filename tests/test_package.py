"""What is installed, pinned and shipped."""
import re
import subprocess
import sys
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from mmengine.config import Config

import gaie_mmaction


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
    extras = ('lite', 'export', 'tensorboard', 'test')
    needed = requirement_names().union(*map(requirement_names, extras))
    assert needed and needed <= set(pins(root))


def test_installed_is_what_is_pinned(root):
    different = {name: (version(name), number) for name, number in pins(root).items()
                 if name in requirement_names() and version(name).split('+')[0] != number}
    assert different == {}


def test_mmcv_stays_the_users_choice():
    assert not {'mmcv', 'mmcv-lite'} & requirement_names()
    assert requirement_names('lite') == {'mmcv-lite'}


def test_model_index_names_configs_that_are_there(root):
    index = Config.fromfile(str(root / 'model-index.yml'))
    assert index.Models and all((root / model.Config).is_file() for model in index.Models)


@pytest.mark.slow
def test_wheel_holds_configs_and_tools(root, tmp_path):
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation',
                    '-w', str(tmp_path), str(root)], check=True)
    names = zipfile.ZipFile(next(Path(tmp_path).glob('*.whl'))).namelist()
    for name in ('configs/gaie_vitb_imigue.py', 'configs/_base_/default_runtime.py',
                 'tools/analysis/get_flops.py', 'model-index.yml'):
        assert f'gaie_mmaction/.mim/{name}' in names
