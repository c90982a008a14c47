"""The temporal detector on real untrimmed streams of hand joints, SFINGE 3D.

A. Caputo et al., "SFINGE 3D: a novel benchmark for online detection and recognition of
heterogeneous hand gestures from 3D fingers' trajectories", Computers & Graphics 2020. Training
sees cut clips alone; the streams are the test, and choose the score threshold for one another.
"""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..apis.training import test, train
from ..datasets.feature_sequences import write_feature_file
from ..datasets.segment_file import read_segments, write_segments
from ..evaluation.spotting import best_threshold, spotting_f1
from ..utils.files import atomic_file

CONFIG, DATA = 'configs/spotting/sfinge3d_joints.py', Path('data/sfinge3d')
OVERLAPS = (.3, .5)


def lay_out(source: str | Path, folder: str | Path) -> list[str]:
    """Write clips and streams of ``sfinge3d.npz`` as feature files and ``segments.csv`` files.

    The npz holds ``clip_joints`` and ``stream_joints`` ``(frames, 20, 3)``, one after the other;
    ``clip_length`` and ``stream_length`` in frames; ``clip_class`` (1 to 13); ``stream_id``; and
    ``segments`` ``(n, 4)``: stream, class, first and last frame. Returns a line per segment that is
    cut because it ends outside its stream.
    """
    folder = Path(folder)
    with np.load(source, allow_pickle=False) as file:
        data = dict(file)
    lengths = data['clip_length'].astype(int)
    clips = [f'clip{k:03d}' for k in range(len(lengths))]
    write_segments(folder / 'clips.csv', [
        (clip, 0, length - 1, label - 1)
        for clip, length, label in zip(clips, lengths.tolist(), data['clip_class'].tolist())])
    streams = [f'{stream:02d}' for stream in data['stream_id']]
    num_frames = dict(zip(streams, data['stream_length'].tolist()))
    for kind, names in (('clip', clips), ('stream', streams)):
        joints = data[f'{kind}_joints']
        parts = np.split(joints.reshape(len(joints), -1), np.cumsum(data[f'{kind}_length'])[:-1])
        write_feature_file(folder / f'{kind}s.npz', dict(zip(names, parts)))
    lines, segments = [], []
    for stream, label, start, end in data['segments'].tolist():
        last = num_frames[f'{stream:02d}'] - 1
        if end > last:
            lines.append(f'stream {stream}: the segment {start}-{end} ends after the last frame, '
                         f'{last}; it is cut there')
        segments.append((f'{stream:02d}', start, min(end, last), label - 1))
    write_segments(folder / 'streams.csv', segments)
    return lines


def cross_fit(predicted: list[tuple], true: list[tuple], videos: Sequence[str]) -> pd.DataFrame:
    """F1 on each half of the videos at the threshold that is best on the other half.

    The halves are every second video of ``videos``.
    """
    rows = []
    for overlap in OVERLAPS:
        for half in (0, 1):
            own, other = set(videos[half::2]), set(videos[1 - half::2])
            threshold, _ = best_threshold(_of(predicted, other), _of(true, other), overlap)
            kept = [segment for segment in _of(predicted, own) if segment[4] >= threshold]
            rows.append(dict(overlap=overlap, half=half, threshold=threshold,
                             **spotting_f1(kept, _of(true, own), overlap)))
    return pd.DataFrame(rows)


def _of(segments: list[tuple], videos: set[str]) -> list[tuple]:
    return [segment for segment in segments if segment[0] in videos]


def run_spotting_study(source: str | Path, out: str | Path, seeds: Sequence[int]) -> pd.DataFrame:
    """Train and test one detector per seed, and write ``results.csv``.

    A stopped study is continued: finished seeds are kept, and a training resumes at its last
    epoch.
    """
    for line in lay_out(source, DATA):
        print(line)
    true = read_segments(DATA / 'streams.csv')
    with np.load(DATA / 'streams.npz') as file:
        videos = sorted(set(file['videos'].tolist()))
    tables = []
    for seed in seeds:
        work_dir = Path(out, f'seed{seed}')
        found = work_dir / 'segments.csv'
        if not found.exists():
            checkpoint = train(CONFIG, work_dir, resume=True, options=[f'randomness.seed={seed}'])
            test(CONFIG, checkpoint, work_dir / 'test',
                 options=[f'test_evaluator.out_file={found}'])
        tables.append(cross_fit(read_segments(found), true, videos).assign(seed=seed))
    results = pd.concat(tables, ignore_index=True)
    with atomic_file(Path(out, 'results.csv')) as partial:
        results.to_csv(partial, index=False, float_format='%.4f', lineterminator='\n')
    return results
