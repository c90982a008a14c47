"""The defects that a synthetic release can be given, each in a video of its own."""
import shutil
from dataclasses import dataclass, field

import av
import numpy as np
from release_media import PORTRAIT, write_video

LABELLED, ANY, TRAIN = ('train', 'val'), ('train', 'val', 'test'), ('train',)
CHALLENGE, EVERY = ('challenge', '2023'), ('challenge', '2023', 'licensed')
CLIPS_NEEDED = 5  # clips of a video that a defect is planted in
TURNS = ('train', 'val', 'train', 'test', 'train', 'test', 'train')  # parts that get the defects
CUT_AT = .6  # a damaged file is cut at this share


@dataclass(frozen=True)
class Defect:
    """What a defect touches, and which clips are lost by it."""
    kind: str  # row, line or file (of the labels), video, skeleton, or release: no single video
    clip: str = ''  # first, middle or last
    loses: str = ''  # clip, video (all of its clips) or nothing
    may_lose: str = ''  # as loses, but a tool may also save it
    parts: tuple[str, ...] = ANY
    layouts: tuple[str, ...] = EVERY
    zipped: bool = False


@dataclass(frozen=True)
class Planted:
    """A defect that was planted; ``file`` is relative to the release."""
    name: str
    file: str
    video_id: str | None = None
    clip_id: str | None = None
    lost: list[str] = field(default_factory=list)
    may_lose: list[str] = field(default_factory=list)


BAD_CLASS = Defect('row', clip='middle', loses='clip', parts=LABELLED)
SKELETON, LOST_VIDEO = Defect('skeleton', layouts=CHALLENGE), Defect('video', loses='video')
DEFECTS = {
    'bom': Defect('file'),
    'crlf': Defect('file'),
    'blank_lines': Defect('line', clip='middle'),  # do not count as clips
    'spaces': Defect('line', clip='middle'),
    'header': Defect('line', layouts=CHALLENGE),
    'short_row': Defect('line', clip='middle', loses='clip'),
    'label_empty': Defect('file', loses='video', layouts=CHALLENGE),
    'unpadded_id': Defect('row', clip='middle', layouts=('licensed',)),
    'start_after_end': Defect('row', clip='middle', loses='clip'),
    'end_beyond_stream': Defect('row', clip='last'),  # clamped
    'start_beyond_stream': Defect('row', clip='last', loses='clip'),
    'negative_start': Defect('row', clip='first', may_lose='clip'),
    **dict.fromkeys(('class_0', 'class_32', 'class_100', 'class_text'), BAD_CLASS),
    'video_without_labels': Defect('file', loses='video'),
    'labels_without_video': LOST_VIDEO,
    'two_videos_of_one_id': Defect('video', may_lose='video', parts=TRAIN),
    'same_video_twice': Defect('video', parts=TRAIN),
    **dict.fromkeys(('corrupt_mp4', 'damaged_mp4'), LOST_VIDEO),  # its index is at the lost end
    'damaged_faststart_mp4': Defect('video'),
    'empty_mp4': LOST_VIDEO,
    **dict.fromkeys(('variable_frame_rate', 'other_resolution'), Defect('video')),
    **dict.fromkeys((
        'skeleton_row_missing', 'skeleton_row_extra', 'skeleton_without_header',
        'skeleton_header_missing', 'skeleton_nan', 'skeleton_text', 'skeleton_empty',
        'skeleton_zeros', 'skeleton_wrong_columns', 'skeleton_short_row', 'hands_swapped'),
        SKELETON),
    'macosx_junk': Defect('release'),
    'extra_folder_level': Defect('release', layouts=CHALLENGE),
    **dict.fromkeys(('truncated_zip', 'zip_slip'),
                    Defect('release', zipped=True, layouts=CHALLENGE))}


def possible(layout, zipped):
    # zips always hold the junk of macOS
    return [name for name, defect in DEFECTS.items() if layout in defect.layouts
            and (zipped or not defect.zipped) and not (zipped and name == 'macosx_junk')]


def assign(names, plans, rng):
    """Give each defect of a single video a video of its own, changed in place."""
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
        # make what a clamped clip should become true
        if name == 'end_beyond_stream':
            plan.frames = plan.clips[-1].end + 1
        elif name == 'negative_start':
            plan.clips[0] = plan.clips[0]._replace(start=0)
        elif name == 'other_resolution':
            plan.size = PORTRAIT


ROW_EDITS = {
    'start_after_end': lambda clip, frames: (clip.code, clip.end, clip.start),
    'end_beyond_stream': lambda clip, frames: (clip.code, clip.start, frames + 2),
    'start_beyond_stream': lambda clip, frames: (clip.code, frames + 2, frames + 8),
    'negative_start': lambda clip, frames: (clip.code, -3, clip.end),
    **{f'class_{name}': lambda clip, frames, code=code: (code, clip.start, clip.end)
       for name, code in (('0', 0), ('32', 32), ('100', 100), ('text', 'abc'))}}


def label_rows(plan):
    rows = [clip[1:] for clip in plan.clips]
    if plan.defect in ROW_EDITS:
        rows[plan.at] = ROW_EDITS[plan.defect](plan.clips[plan.at], plan.frames)
    return rows


def edit_lines(plan, lines, columns_before=0):
    """Change the lines of a video's labels, which have some columns before the class."""
    lines, at = list(lines), plan.at
    if plan.defect == 'blank_lines':
        lines = [*lines[:at], '', *lines[at:], '']
    elif plan.defect == 'spaces':
        lines[at] = ' ' + ' ,  '.join(lines[at].split(',')) + ' '
    elif plan.defect == 'header':
        lines = ['class,start_frame,end_frame', *lines]
    elif plan.defect == 'short_row':
        lines[at] = ','.join(lines[at].split(',')[:columns_before + 2])
    elif plan.defect in ('label_empty', 'video_without_labels'):
        lines = []
    elif plan.defect == 'unpadded_id':
        lines[at] = lines[at].lstrip('0')
    return lines


def write_labels(path, lines, defects=()):
    """Write a label file; ``bom`` and ``crlf`` concern all of it."""
    newline = '\r\n' if 'crlf' in defects else '\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ''.join(line + newline for line in lines)
    path.write_bytes(text.encode('utf-8-sig' if 'bom' in defects else 'utf-8'))


def edit_skeleton(defect, lines):
    """Change the lines of a skeleton file, the first of them its header."""
    header, *rows = lines
    middle = len(rows) // 2
    cells = rows[middle].split(',')
    if defect == 'skeleton_short_row':
        cells = cells[:-2]
    elif defect in ('skeleton_nan', 'skeleton_text'):
        cells[1 + 3 * 4] = defect.rpartition('_')[2]  # RWrist's x
    touched = [header, *rows[:middle], ','.join(cells), *rows[middle + 1:]]
    return {
        'skeleton_row_missing': lines[:-1],
        'skeleton_row_extra': [*lines, f'{len(rows)},{rows[-1].split(",", 1)[1]}'],
        'skeleton_without_header': rows[1:],
        'skeleton_header_missing': rows,
        'skeleton_empty': [header],
        'skeleton_zeros': [header, *(str(number) + 105 * ',0' for number in range(len(rows)))],
        'skeleton_wrong_columns': [line.rsplit(',', 3)[0] for line in lines],
        # joints 25-29 and 30-34; three columns each, after the index
        'hands_swapped': [header, *(','.join(row[:76] + row[91:] + row[76:91])
                                    for row in (line.split(',') for line in rows))],
    }.get(defect, touched)


def cut_packets(path, share):
    """Cut a file, whose index comes first, after this share of its frames; returns their number."""
    with av.open(str(path)) as container:
        ends = [packet.pos + packet.size for packet in container.demux(video=0) if packet.size]
    left = int(len(ends) * share)
    with path.open('r+b') as file:
        file.truncate(ends[left - 1])
    return left


def plant_in_video(plan, path, twin, colour):
    """Damage a new video, whose ``twin`` is a second one of its id; returns the frames left."""
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
    elif defect in ('damaged_mp4', 'empty_mp4'):
        with path.open('r+b') as file:
            file.truncate(int(path.stat().st_size * CUT_AT) if defect == 'damaged_mp4' else 0)
    elif defect == 'damaged_faststart_mp4':
        write_video(path, plan.frames, colour, faststart=True)
        return cut_packets(path, CUT_AT)
    elif defect == 'variable_frame_rate':
        write_video(path, plan.frames, colour, variable_rate=True)
    return 0 if DEFECTS[defect].loses else plan.frames
