"""Packaging of gaie_mmaction."""
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
VERSION = {}
exec((ROOT / 'gaie_mmaction' / 'version.py').read_text(), VERSION)


class BuildWithMim(build_py):
    """Put configs and tools into the wheel, where OpenMMLab's packages have them.

    The links that other OpenMMLab packages make at install time are never made by
    today's pip, so they are copied when the wheel is built.
    """

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'gaie_mmaction' / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        for folder in ('configs', 'tools'):
            shutil.copytree(ROOT / folder, target / folder,
                            ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copy(ROOT / 'model-index.yml', target)


setup(
    name='gaie_mmaction',
    version=VERSION['__version__'],
    description='GAIE for MMAction2: micro-gesture recognition with global-aware importance '
    'estimation in a video vision transformer',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['gaie_mmaction', 'gaie_mmaction.*']),
    cmdclass={'build_py': BuildWithMim},
    python_requires='>=3.10,<3.13',
    install_requires=[
        'av>=12',
        'importlib_metadata',  # mmaction2 needs it and does not say so
        'matplotlib>=3.7',
        'mmaction2>=1.2.0,<1.3',
        'mmengine>=0.10.7,<1',
        'numpy>=1.24',
        'openmim>=0.3.9',
        'pandas>=2.2',
        'python-calamine>=0.4',
        'rich>=13',
        'scikit-learn>=1.3',
        'scipy>=1.10',
        'setuptools<81',  # mim imports pkg_resources
        'torch>=2.7',
        'tqdm',
    ],
    extras_require={
        # mmcv is the user's choice: this one needs no compiler
        'lite': ['mmcv-lite>=2.0.0,<2.2.0'],
        'export': ['onnx>=1.17', 'onnxruntime>=1.20', 'onnxscript>=0.5'],
        'tensorboard': ['tensorboard'],
        'test': ['pytest', 'pytest-timeout', 'pytest-xdist', 'thop'],
        'dev': ['codespell', 'mypy', 'myst-parser', 'pre-commit', 'ruff', 'sphinx'],
    },
)
