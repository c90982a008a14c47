"""The defects that an invented release can be given, each as small as it can be.

``DEFECTS`` says for each name what it touches and what a right tool should find; the functions
below it change rows, lines or files. Clips are chosen by :func:`assign`, one defect a video, so
that none hides another.
"""
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from release_media import PORTRAIT, write_video
from release_plan import Clip, VideoPlan

LABELLED, ANY, TRAIN = ('train', 'val'), ('train', 'val', 'test'), ('train',)
CHALLENGE, EVERY = ('challenge', '2023'), ('challenge', '2023', 'licensed')
CLIPS_NEEDED = 5  # clips of a video that a defect is planted in
# parts take turns in getting a defect
TURNS = ('train', 'val', 'train', 'test', 'train', 'test', 'train')
CUT_AT = .6  # a damaged file is cut at this share


@dataclass(frozen=True)
class Defect:
    """What is touched and what should be found.

    Args:
        kind (str): ``row``, ``line`` or ``file`` of the labels, ``video``, ``skeleton`` or
            ``release`` (no single video).
        expected (str): What a right tool finds; may use ``{video}``, ``{clip}`` and ``{cut}``.
        clip (str): Which clip is touched: ``first``, ``middle``, ``last``; empty: none.
        loses (str): What cannot be used: ``clip``, ``video`` (all of its clips) or nothing.
        may_lose (str): The same for what a tool may or may not give up.
        parts (tuple): Parts that it is planted in.
        layouts (tuple): Layouts that it is possible in.
        zipped (bool): It needs the release as zips.
    """
    kind: str
    expected: str
    clip: str = ''
    loses: str = ''
    may_lose: str = ''
    parts: Sequence[str] = ANY
    layouts: Sequence[str] = EVERY
    zipped: bool = False


@dataclass(frozen=True)
class Planted:
    """A defect that was planted; ``file`` is relative to the release, ``line`` counts from 1."""
    name: str
    file: str
    video_id: str | None
    clip_id: str | None
    line: int | None
    expected: str
    lost: list[str] = field(default_factory=list)
    may_lose: list[str] = field(default_factory=list)


def bad_class(text: str) -> Defect:
    return Defect('row', f'clip {{clip}} dropped: class {text}; later clips keep their numbers',
                  clip='middle', loses='clip', parts=LABELLED)


def bad_skeleton(finding: str) -> Defect:
    return Defect('skeleton', f'video {{video}}: {finding}; its RGB clips are kept',
                  layouts=CHALLENGE)


UNREADABLE = 'no frame can be read, its clips are dropped and listed'
DEFECTS: dict[str, Defect] = {
    # labels
    'bom': Defect('file', 'video {video}: byte order mark not taken for a part of the first field; '
                  'all clips kept'),
    'crlf': Defect('file', 'video {video}: all clips kept'),
    'blank_lines': Defect('line', 'video {video}: blank lines do not count, so clip {clip} and all '
                          'later ones keep their numbers', clip='middle'),
    'spaces': Defect('line', 'clip {clip}: kept, blanks around its numbers ignored', clip='middle'),
    'header': Defect('line', 'video {video}: header recognised and not counted; all clips keep '
                     'their numbers', layouts=CHALLENGE),
    'short_row': Defect('line', 'clip {clip} dropped: its end is missing; later clips keep their '
                        'numbers', clip='middle', loses='clip'),
    'label_empty': Defect('file', 'video {video}: listed as without clips', loses='video',
                          layouts=CHALLENGE),
    'unpadded_id': Defect('row', 'clip {clip}: belongs to video {video}, though its number lacks '
                          'the zeros in front', clip='middle', layouts=('licensed',)),
    'start_after_end': Defect('row', 'clip {clip} dropped: it starts after its end', clip='middle',
                              loses='clip'),
    'end_beyond_stream': Defect('row', 'clip {clip} clamped to the last frame of the stream',
                                clip='last'),
    'start_beyond_stream': Defect('row', 'clip {clip} dropped: it starts after the last frame of '
                                  'the stream', clip='last', loses='clip'),
    'negative_start': Defect('row', 'clip {clip} clamped to frame 0 or dropped, and listed',
                             clip='first', may_lose='clip'),
    'class_0': bad_class('0'),
    'class_32': bad_class('32'),
    'class_100': bad_class('100'),
    'class_text': bad_class('abc'),
    'video_without_labels': Defect('file', 'video {video}: listed as without labels',
                                   loses='video'),
    # videos
    'labels_without_video': Defect('video', 'video {video}: listed as missing, its clips are '
                                   'dropped', loses='video'),
    'two_videos_of_one_id': Defect('video', 'video {video}: two different files, both named; '
                                   'refused or dropped, never one of them unsaid',
                                   may_lose='video', parts=TRAIN),
    'same_video_twice': Defect('video', 'video {video}: the same file twice; one is taken, both '
                               'are named', parts=TRAIN),
    'corrupt_mp4': Defect('video', f'video {{video}}: {UNREADABLE}', loses='video'),
    'damaged_mp4': Defect('video', f'video {{video}}: {UNREADABLE} (index at the lost end)',
                          loses='video'),
    'damaged_faststart_mp4': Defect('video', 'video {video}: only {cut} frames can be read; later '
                                    'clips are dropped, the one across the cut is clamped or '
                                    'dropped'),
    'empty_mp4': Defect('video', f'video {{video}}: {UNREADABLE}', loses='video'),
    'variable_frame_rate': Defect('video', 'video {video}: all clips kept and read by frame '
                                  'number, not by time'),
    'other_resolution': Defect('video', 'video {video}: all clips kept, resolution 48x64 listed'),
    # skeletons
    'skeleton_row_missing': bad_skeleton('one skeleton row too few, at the end'),
    'skeleton_row_extra': bad_skeleton('one skeleton row too many, at the end'),
    'skeleton_without_header': bad_skeleton('no header and no row of frame 0, the index starts '
                                            'at 1; rows are placed by their index'),
    'skeleton_header_missing': bad_skeleton('no header, but a row for every frame; the first row '
                                            'is frame 0'),
    'skeleton_nan': bad_skeleton('a value of the skeleton is not a finite number'),
    'skeleton_text': bad_skeleton('a value of the skeleton is text'),
    'skeleton_empty': bad_skeleton('skeleton file with a header alone'),
    'skeleton_zeros': bad_skeleton('no joint was found in any frame'),
    'skeleton_wrong_columns': bad_skeleton('103 columns where 106 belong'),
    'skeleton_short_row': bad_skeleton('one row has 104 columns where 106 belong'),
    'hands_swapped': bad_skeleton('left fingertips are nearer to the right wrist'),
    # the release
    'macosx_junk': Defect('release', '__MACOSX and ._ files are not taken for videos or labels'),
    'extra_folder_level': Defect('release', 'test videos found one folder deeper; all kept',
                                 layouts=CHALLENGE),
    'truncated_zip': Defect('release', 'refused by name: not a complete zip', zipped=True,
                            layouts=CHALLENGE),
    'zip_slip': Defect('release', 'nothing is written outside the target: the zip or its entry '
                       '../evil.txt is refused by name', zipped=True, layouts=CHALLENGE),
}


def possible(layout: str, zipped: bool) -> list[str]:
    """Defects that a release of this form can have."""
    # zips always hold the junk of macOS
    return [name for name, defect in DEFECTS.items() if layout in defect.layouts
            and (zipped or not defect.zipped) and not (zipped and name == 'macosx_junk')]


def assign(names: Sequence[str], plans: Sequence[VideoPlan], rng: np.random.Generator) -> None:
    """Give each defect of a single video a video of its own, changed in place.

    Raises:
        ValueError: If there are fewer fit videos than defects.
    """
    for turn, name in enumerate(names):
        defect = DEFECTS[name]
        if defect.kind == 'release':
            continue
        fit = [plan for plan in plans if not plan.defect and plan.part in defect.parts
               and len(plan.clips) >= CLIPS_NEEDED]
        if not fit:
            raise ValueError(f'defect {name}: no video of {", ".join(defect.parts)} with '
                             f'{CLIPS_NEEDED} clips is free; take fewer defects or more videos')
        fit = [plan for plan in fit if plan.part == TURNS[turn % len(TURNS)]] or fit
        plan = fit[rng.integers(len(fit))]
        plan.defect = name
        last = len(plan.clips) - 1
        plan.at = {'first': 0, 'last': last}.get(defect.clip, int(rng.integers(1, last)))
        fit_stream(plan)


def fit_stream(plan: VideoPlan) -> None:
    """Make what a clamped clip should become true."""
    if plan.defect == 'end_beyond_stream':
        plan.frames = plan.clips[-1].end + 1
    elif plan.defect == 'negative_start':
        plan.clips[0] = plan.clips[0]._replace(start=0)
    elif plan.defect == 'other_resolution':
        plan.size = PORTRAIT


ROW_EDITS: dict[str, Callable[[Clip, int], tuple]] = {
    'start_after_end': lambda clip, frames: (clip.code, clip.end, clip.start),
    'end_beyond_stream': lambda clip, frames: (clip.code, clip.start, frames + 2),
    'start_beyond_stream': lambda clip, frames: (clip.code, frames + 2, frames + 8),
    'negative_start': lambda clip, frames: (clip.code, -3, clip.end),
    'class_0': lambda clip, frames: (0, clip.start, clip.end),
    'class_32': lambda clip, frames: (32, clip.start, clip.end),
    'class_100': lambda clip, frames: (100, clip.start, clip.end),
    'class_text': lambda clip, frames: ('abc', clip.start, clip.end),
}


def label_rows(plan: VideoPlan) -> list[tuple]:
    """Class, start and end of every clip, as they are written."""
    rows: list[tuple] = [clip[1:] for clip in plan.clips]
    if plan.defect in ROW_EDITS:
        rows[plan.at] = ROW_EDITS[plan.defect](plan.clips[plan.at], plan.frames)
    return rows


def edit_lines(plan: VideoPlan, lines: list[str], columns_before: int = 0) \
        -> tuple[list[str], int | None]:
    """Change the lines of a video's labels.

    Args:
        plan (VideoPlan): The video.
        lines (list): One a clip.
        columns_before (int): Columns before the class. Defaults to 0.

    Returns:
        tuple: The lines, and the number, from 1, of the line that the defect is in.
    """
    lines, at = list(lines), plan.at
    line = at + 1 if DEFECTS[plan.defect].clip else None
    if plan.defect == 'blank_lines':
        lines = [*lines[:at], '', *lines[at:], '']
    elif plan.defect == 'spaces':
        lines[at] = ' ' + ' ,  '.join(lines[at].split(',')) + ' '
    elif plan.defect == 'header':
        lines, line = ['class,start_frame,end_frame', *lines], 1
    elif plan.defect == 'short_row':
        lines[at] = ','.join(lines[at].split(',')[:columns_before + 2])
    elif plan.defect in ('label_empty', 'video_without_labels'):
        lines = []
    elif plan.defect == 'unpadded_id':
        lines[at] = lines[at].lstrip('0')
    elif plan.defect == 'bom':
        line = 1
    return lines, line


def write_labels(path: Path, lines: Sequence[str], defects: Sequence[str] = ()) -> None:
    """Write a label file; ``bom`` and ``crlf`` concern all of it."""
    newline = '\r\n' if 'crlf' in defects else '\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ''.join(line + newline for line in lines)
    path.write_bytes(text.encode('utf-8-sig' if 'bom' in defects else 'utf-8'))


def edit_skeleton(defect: str, lines: list[str]) -> tuple[list[str], int | None]:
    """Change the lines of a skeleton file, the first of them its header.

    Returns:
        tuple: The lines, and the number, from 1, of the line that the defect is in.
    """
    frames, middle = len(lines) - 1, len(lines) // 2
    lines = list(lines)
    if defect == 'skeleton_row_missing':
        return lines[:-1], None
    if defect == 'skeleton_row_extra':
        return [*lines, f'{frames},{lines[-1].split(",", 1)[1]}'], frames + 2
    if defect == 'skeleton_without_header':
        return lines[2:], 1
    if defect == 'skeleton_header_missing':
        return lines[1:], 1
    if defect == 'skeleton_empty':
        return lines[:1], None
    if defect == 'skeleton_zeros':
        return [lines[0], *(str(number) + 105 * ',0' for number in range(frames))], None
    if defect == 'skeleton_wrong_columns':
        return [line.rsplit(',', 3)[0] for line in lines], None
    if defect == 'skeleton_short_row':
        lines[middle] = lines[middle].rsplit(',', 2)[0]
        return lines, middle + 1
    if defect == 'hands_swapped':  # joints 25-29 and 30-34; three columns each, after the index
        return [lines[0], *(','.join(row[:76] + row[91:] + row[76:91])
                            for row in (line.split(',') for line in lines[1:]))], None
    row = lines[middle].split(',')
    row[1 + 3 * 4] = {'skeleton_nan': 'nan', 'skeleton_text': 'abc'}[defect]  # RWrist's x
    lines[middle] = ','.join(row)
    return lines, middle + 1


def cut_packets(path: Path, share: float) -> int:
    """Cut a file, whose index comes first, after the packet at this share of its frames.

    Returns:
        int: Number of frames that are left.
    """
    with av.open(str(path)) as container:
        ends = [packet.pos + packet.size for packet in container.demux(video=0) if packet.size]
    left = int(len(ends) * share)
    with path.open('r+b') as file:
        file.truncate(ends[left - 1])
    return left


def plant_in_video(plan: VideoPlan, path: Path, twin: Path, colour: tuple[int, int]) -> int:
    """Damage a video that has just been written.

    Args:
        plan (VideoPlan): The video.
        path (Path): Its file.
        twin (Path): Where a second file of the same id goes.
        colour (tuple): U and V of the video.

    Returns:
        int: Number of frames that can still be read.
    """
    defect = plan.defect
    if defect == 'labels_without_video':
        path.unlink()
    elif defect == 'two_videos_of_one_id':
        write_video(twin, plan.frames + 7, (255 - colour[0], 255 - colour[1]))
    elif defect == 'same_video_twice':
        twin.parent.mkdir(parents=True)
        shutil.copyfile(path, twin)
    elif defect == 'corrupt_mp4':
        with path.open('r+b') as file:
            file.write(np.random.default_rng(0).bytes(64))  # over the sizes of the first boxes
    elif defect == 'damaged_mp4':
        with path.open('r+b') as file:
            file.truncate(int(path.stat().st_size * CUT_AT))
    elif defect == 'empty_mp4':
        path.write_bytes(b'')
    elif defect == 'damaged_faststart_mp4':
        write_video(path, plan.frames, colour, faststart=True)
        return cut_packets(path, CUT_AT)
    elif defect == 'variable_frame_rate':
        write_video(path, plan.frames, colour, variable_rate=True)
    return 0 if DEFECTS[defect].loses and DEFECTS[defect].kind == 'video' else plan.frames
