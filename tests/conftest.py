"""Shared by all tests."""
import gc
import sys
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.registry import init_default_scope

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tests'))  # the tests' own helpers

import gaie_mmaction  # noqa: E402,F401

init_default_scope('mmaction')  # as a Runner does it
# the inputs are small: more threads cost more than they bring, above all on a busy machine
torch.set_num_threads(1)
cv2.setNumThreads(1)  # and processes that tests fork would wait for threads that they lack


def pytest_collection_finish():
    """Keep what was imported out of every later garbage collection, which mmengine runs often."""
    gc.freeze()


def pytest_collection_modifyitems(items):
    """Tests that take minutes may take more of them on a busy machine."""
    for item in items:
        if item.get_closest_marker('slow') and not item.get_closest_marker('timeout'):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(autouse=True)
def seed():
    """The same random numbers for a test, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT
