"""GAIE for MMAction2: micro-gesture recognition with global-aware importance estimation.

Importing the package registers everything in MMAction2's registries.
"""
from . import compat

compat.apply()

from . import policy  # noqa: E402

policy.apply()

from . import datasets, evaluation, hooks, models  # noqa: E402,F401
from .version import __version__  # noqa: E402

__all__ = ['__version__']
