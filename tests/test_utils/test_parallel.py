"""Worker processes: results, errors, and a worker that dies."""
import os

import cv2
import numpy as np
import pytest

from gaie_mmaction.utils import parallel
from gaie_mmaction.utils.parallel import WorkerError, in_parallel


def divide(a, b):
    return a / b


def die(_):
    os._exit(9)


def test_results_by_key(capsys):
    jobs = {key: (key, 2) for key in range(20)}
    assert dict(in_parallel(divide, jobs, 3, 'halving', weight=lambda key: key)) == {
        key: key / 2 for key in jobs}
    captured = capsys.readouterr()
    assert 'halving' in captured.err and '190/190 items' in captured.err and not captured.out
    assert dict(in_parallel(divide, {}, 2, 'nothing')) == {}


def test_no_more_workers_than_windows_allows(monkeypatch):
    seen = []

    class Pool(parallel.ProcessPoolExecutor):
        def __init__(self, workers, **options):
            seen.append(workers)
            super().__init__(1, **options)

    monkeypatch.setattr(parallel, 'ProcessPoolExecutor', Pool)
    monkeypatch.setattr(parallel, 'MAX_WORKERS', 61)
    for workers in (1, 61, 128):
        assert list(in_parallel(divide, {'a': (4, 2)}, workers, 'dividing')) == [('a', 2)]
    assert seen == [1, 61, 61]


def test_error_of_a_job_is_raised():
    with pytest.raises(ZeroDivisionError):
        dict(in_parallel(divide, {k: (1, k % 2) for k in range(50)}, 2, 'dividing'))


def test_dead_worker_is_named():
    with pytest.raises(WorkerError, match='step "dying" died .*fewer --workers'):
        dict(in_parallel(die, {0: (0, )}, 1, 'dying'))


def enlarge(size):
    image = cv2.resize(np.arange(64, dtype=np.uint8).reshape(8, 8), (size, size))
    return image.sum(), cv2.getNumThreads()


def test_workers_use_opencv_after_this_process_did():
    """Its threads are not forked with it; a worker that waits for them would do so for ever."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        jobs = {size: (size, ) for size in (512, 2048)}
        expected = {size: (enlarge(size)[0], 1) for size in jobs}
        assert dict(in_parallel(enlarge, jobs, 2, 'enlarging')) == expected
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
