"""Window lists and segments of the parts of a prepared release."""
from collections.abc import Sequence
from pathlib import Path

from ..datasets.annotations import Segment, read_annotations, write_annotations
from ..datasets.segment_file import check_segments, write_segments
from ..datasets.spotting_windows import (
    BACKGROUND,
    WindowRule,
    dense_windows,
    get_video_id,
    training_windows,
)
from ..datasets.video_file import VideoFile, VideoReadError
from ..utils.files import write_text


def write_spotting_data(data: str | Path, parts: Sequence[str], classes: Sequence[str],
                        rule: WindowRule, seed: int = 0) -> list[str]:
    """Write ``<data>/spotting/`` for parts of a prepared release; returns lines of a report.

    Of each part ``<part>_segments.csv`` (``video_id,start_frame,end_frame,class``) and
    ``<part>_dense.csv`` (all windows, a segment csv), and of each part whose name has ``train`` in
    it ``<part>_windows.csv`` (gestures and a share of background); also ``classes.txt``, the
    classes with background as the last. Videos of a part without labelled segments are not in
    its annotation file, and thus are left out.
    """
    folder, report = Path(data, 'spotting'), []
    # all of them before anything is written
    clips = {part: read_annotations(str(Path(data, f'{part}.csv')), len(classes))
             for part in parts}
    write_text(folder / 'classes.txt', '\n'.join([*classes, BACKGROUND]) + '\n')
    for part in parts:
        path = Path(data, f'{part}.csv')
        segments = [Segment(**clip) for clip in clips[part]]
        num_frames = {}
        videos = sorted({segment.video for segment in segments})
        by_id: dict[str, str] = {}
        for video in videos:
            other = by_id.setdefault(get_video_id(video), video)
            if other != video:
                raise ValueError(f'{path}: {other} and {video} have the same name, which is the id '
                                 'of a video in segments and features: rename one of them')
        for video in videos:
            name = Path(data, 'videos', video)
            try:
                with VideoFile(str(name)) as file:
                    num_frames[video] = len(file)
            except VideoReadError as error:
                raise VideoReadError(f'{name}: {error}') from error
        # an unlabelled part has windows, but no truth
        segments = [segment for segment in segments if segment.label >= 0]
        rows = [(get_video_id(segment.video), *segment[2:]) for segment in segments]
        report += check_segments(rows, {get_video_id(video): frames
                                        for video, frames in num_frames.items()}, path)
        dense = dense_windows(segments, num_frames, rule, len(classes))
        write_segments(folder / f'{part}_segments.csv', rows)
        if not segments:
            dense = [window._replace(label=-1) for window in dense]
        write_annotations(folder / f'{part}_dense', dense)
        line = f'{part}: {len(num_frames)} videos, {len(rows)} segments, {len(dense)} windows'
        if 'train' in part:
            chosen = training_windows(segments, num_frames, rule, len(classes), seed)
            write_annotations(folder / f'{part}_windows', chosen)
            number = sum(window.label == len(classes) for window in chosen)
            line += f', {len(chosen)} of them for training, of which {number} are background'
        report.append(line)
    return report
