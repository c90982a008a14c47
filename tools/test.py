"""Test by MMAction2's own script, with this package imported before MMAction2.

The arguments are those of that script, ``CONFIG CHECKPOINT …``; also for torchrun and srun, and
beside mmcv 2.2 and newer, which MMAction2's script refuses by itself.
"""
import runpy
from pathlib import Path

import gaie_mmaction  # noqa: F401  before mmaction: it settles which mmcv is accepted

if __name__ == '__main__':
    import mmaction
    runpy.run_path(f'{Path(mmaction.__file__).parent}/.mim/tools/test.py', run_name='__main__')
