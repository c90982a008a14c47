"""The one build step that pyproject.toml cannot describe."""
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


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
        for folder in ('configs', 'entries', 'tools'):
            shutil.copytree(ROOT / folder, target / folder,
                            ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copy(ROOT / 'model-index.yml', target)


setup(cmdclass={'build_py': BuildWithMim})
