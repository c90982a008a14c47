"""Jobs in worker processes, with a progress bar."""
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, TypeVar

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Key = TypeVar('Key')
Result = TypeVar('Result')


# Windows waits for 64 handles at once; ProcessPoolExecutor refuses more
MAX_WORKERS = 61 if sys.platform == 'win32' else 1_000


class WorkerError(RuntimeError):
    """A worker process died before its job was done."""


def in_parallel(function: Callable[..., Result], jobs: Mapping[Key, tuple[Any, ...]], workers: int,
                title: str, unit: str = 'item', weight: Callable[[Key], int] = lambda key: 1
                ) -> Iterator[tuple[Key, Result]]:
    """Run jobs in worker processes, with a progress bar on stderr. For the main thread only.

    Args:
        function (Callable): Called with the arguments of each job; picklable.
        jobs (Mapping): Arguments by key.
        workers (int): Number of processes; on Windows 61 at most are started.
        title (str): Shown before the bar.
        unit (str): What the bar counts, in the singular.
        weight (Callable): How many units a key stands for.

    Yields key and result, in the order of completion. A worker that dies, for example because
    memory runs out, is a :class:`WorkerError`.
    """
    # no thread that refreshes the bar: a worker must not be forked while one holds a lock
    progress = Progress(
        TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
        TextColumn(f'{unit}s'), TimeRemainingColumn(), console=Console(stderr=True),
        auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    with (_deferred_interrupt() as interrupts, progress, _one_opencv_thread(),
          ProcessPoolExecutor(min(workers, MAX_WORKERS), initializer=_start_worker) as pool):
        bar = progress.add_task(title, total=sum(map(weight, jobs)))
        try:
            keys = {pool.submit(function, *job): key for key, job in jobs.items()}
            pending = set(keys)
            while pending and not interrupts:
                done, pending = wait_for(pending, timeout=.2, return_when=FIRST_COMPLETED)
                for future in done:
                    yield keys[future], future.result()
                    progress.advance(bar, weight(keys[future]))
                progress.refresh()
        except BrokenProcessPool:
            time.sleep(.5)  # Ctrl-C ends the workers too, and may reach this process a bit later
            if interrupts:
                return
            raise WorkerError(f'a process of the step "{title}" died (killed, or out of memory): '
                              'run again, perhaps with fewer --workers; finished work is '
                              'kept') from None
        finally:
            pool.shutdown(cancel_futures=True)  # after an error, start no further jobs


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """End OpenCV's threads while workers are forked: these would wait for threads they lack."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _start_worker() -> None:
    """Make a worker exit with the main process, even a killed one, and silently on Ctrl-C."""
    cv2.setNumThreads(1)  # the jobs are parallel already
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _deferred_interrupt() -> Iterator[list[int]]:
    """Collect Ctrl-C in a list: Python can lose one while it starts or ends a process."""
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupts:
            raise KeyboardInterrupt
