"""A release of three tiny videos, and ways to prepare it."""
import functools
import multiprocessing
import resource
import runpy
import signal
import sys
import tempfile
import zipfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numbered_video import write_video

from gaie_mmaction.datasets.annotations import Segment, read_annotations
from gaie_mmaction.release import prepare

TOOL = Path(__file__).parents[1] / 'tools/data/prepare_imigue.py'
NUM_FRAMES = 30
HEADER = ','.join(['', *map(str, range(105))])


@functools.cache
def whole_video():
    with tempfile.TemporaryDirectory() as folder:
        write_video(Path(folder) / 'v.mp4', NUM_FRAMES)
        return (Path(folder) / 'v.mp4').read_bytes()


def make_release(root, rows='17,0,9\n99,12,29\n'):
    """Three videos of 30 frames, one per part; test labels are a placeholder."""
    for video_id, folder, videos, text in (
            ('0001', 'data_phase1/datasets/imigue_skeleton_train', 'phase1/train_data', rows),
            ('0011', 'data_phase1/datasets/imigue_skeleton_validate', 'phase1/validation_data',
             '1,3,7\n1,8,20\n'),
            ('0054', 'data_phase2/imigue_skeleton_test', 'phase2/z', '1,3,7\n1,8,20\n')):
        for path, content in (
                (f'imigue_{folder}/{video_id}/{video_id}_label.csv', text.encode()),
                (f'imigue_rgb_{videos}/{video_id}/{video_id}.mp4', whole_video())):
            (root / path).parent.mkdir(parents=True)
            (root / path).write_bytes(content)
    return root


def prepared(root, **options):
    out = root.parent / f'{root.name}-out'
    report = prepare(root, out, **options)
    return {part: read_segments(out / f'{part}.csv') for part in ('train', 'val', 'test')}, report


def read_segments(path):
    if path.read_text(encoding='utf-8').count('\n') == 1:  # read_annotations refuses empty files
        return []
    return [Segment(**clip) for clip in read_annotations(str(path), 32)]


def details(report, kind):
    return [deviation.detail for deviation in report.deviations if deviation.kind == kind]


def run_tool(*arguments):
    with patch.object(sys, 'argv', ['prepare_imigue.py', *map(str, arguments)]):
        runpy.run_path(str(TOOL), run_name='__main__')


def start_tool(*arguments, limit=None):
    """The command line in a process of its own, with files of at most ``limit`` bytes."""

    def child():
        if limit:  # like a full disk, but for this process alone
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            run_tool(*arguments)
        except SystemExit as error:
            there.send(str(error))
            raise

    context = multiprocessing.get_context('fork')
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=child)
    process.start()
    process.message = here
    return process


def zip_release(root, target):
    """The same release as two zips, with what macOS adds."""
    target.mkdir()
    for name in ('imigue_skeleton_phase1', 'imigue_rgb_phase1'):
        with zipfile.ZipFile(target / f'{name}.zip', 'w') as file:
            for path in sorted(root.rglob('*.*')):
                if (path.suffix == '.mp4') == ('rgb' in name):
                    file.write(path, path.relative_to(root))
                    file.writestr(f'__MACOSX/{path.parent.name}/._{path.name}', b'junk')
    return target


def light_hand(num_frames, number=0.):
    """``(frames, 106)``; joint j of frame t is at (j + 1, t + 1) with the score 0.5."""
    rows = np.full((num_frames, 35, 3), .5)
    rows[:, :, 0] = np.arange(35) + 1 + number
    rows[:, :, 1] = np.arange(num_frames)[:, None] + 1
    # each hand's tips beside its own wrist
    rows[:, 25:30, 0], rows[:, 30:35, 0] = rows[:, 7:8, 0], rows[:, 4:5, 0]
    return np.concatenate([np.arange(num_frames)[:, None], rows.reshape(num_frames, -1)], axis=1)


def write_light_hand(path, rows, header=HEADER):
    lines = [header] if header else []
    path.write_text('\n'.join(lines + [','.join(map(str, row)) for row in rows]) + '\n')
