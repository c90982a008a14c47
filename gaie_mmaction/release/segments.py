"""Rows of the annotation files."""
from collections.abc import Sequence

from ..datasets.annotations import Segment
from .labels import LabelRow, LicensedTable, label_of, read_label_file
from .layout import PARTS, Layout
from .report import Report
from .video_info import VideoInfo


def make_parts(layout: Layout, infos: dict[str, VideoInfo], licensed: LicensedTable | None,
               report: Report) -> dict[str, list[Segment]]:
    """Segments of ``train``, ``val`` and ``test``, by label files where there are any."""
    parts: dict[str, list[Segment]] = {part: [] for part in PARTS}
    report.videos = dict.fromkeys(PARTS, 0)
    labelled = {**dict.fromkeys(licensed.rows if licensed else (), 'label table'),
                **{video_id: layout.name(path) for video_id, path in layout.label_files.items()}}
    for video_id in sorted(labelled.keys() - layout.videos.keys()):
        report.add('labels without a video', labelled[video_id],
                   f'there is no usable {video_id}.mp4; its clips are left out')
    for video_id in sorted(infos):
        part, video = layout.part_of[video_id], layout.name(layout.videos[video_id])
        if video_id in layout.label_files:
            path = layout.label_files[video_id]
            source, rows = layout.name(path), read_label_file(path, layout.name(path), report)
        elif licensed and video_id in licensed.rows:
            source, rows = video, licensed.rows[video_id]
        else:
            report.add('videos without labels', video, f'there is no usable {video_id}_label.csv; '
                       'not used')
            continue
        report.videos[part] += 1
        parts[part] += make_segments(video_id, rows, infos[video_id], video, source,
                                     part != 'test', report)
    report.count_clips(parts)
    return parts


def make_segments(video_id: str, label_rows: Sequence[LabelRow], info: VideoInfo, video: str,
                  source: str, labelled: bool, report: Report) -> list[Segment]:
    """Segments of one video.

    Ranges are clamped to the video. A labelled clip whose range or class makes no sense is
    dropped. In the test part it is kept with the nearest valid range and the label -1, as the
    leaderboard wants an answer for every clip. All is reported under the name ``source``.
    """
    segments: list[Segment] = []
    last = info.num_frames - 1
    for row in label_rows:
        clip_id = f'{video_id}_{row.k}'
        label = label_of(row.code) if labelled else -1
        error = _error(row, label, info.num_frames)
        if labelled and (error or label is None):
            report.add('clips dropped', source, f'{clip_id}: {error}')
            continue
        start, end = row.frames or (0, last)
        first = min(max(start, 0), last)
        final = min(max(end, first), last)
        if error:
            report.add('test clips kept with another range', source,
                       f'{clip_id}: {error}; {first}..{final} is used, as every test clip needs '
                       'an answer')
        elif (first, final) != (start, end):
            report.add('clips clamped', source,
                       f'{clip_id}: {start}..{end} to {first}..{final}, the video has '
                       f'{info.num_frames} frames')
        segments.append(Segment(clip_id, video, first, final, -1 if label is None else label))
    return segments


def _error(row: LabelRow, label: int | None, num_frames: int) -> str:
    if row.frames is None:
        return row.error
    start, end = row.frames
    if label is None:
        return f'class {row.code!r} is not one of 1..31 and 99'
    if end < start:
        return f'ends at frame {end}, before its start {start}'
    if start >= num_frames:
        return f'starts at frame {start}, the video has {num_frames}'
    if end < 0:
        return f'ends at frame {end}'
    return ''
