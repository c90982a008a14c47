"""Small synthetic iMiGUE releases in the three layouts, with each known defect in a video."""
import shutil
import zipfile
from dataclasses import dataclass, field

import numpy as np
from numbered_video import HEIGHT, WIDTH, remux, write_video
from tiny_release import light_hand, write_light_hand

PLACEHOLDER = 1  # class of the test part in the challenge's files
CODES = [*range(1, 32), 99]
# the cross-subject protocol; validation subjects are training subjects
TRAIN_SUBJECTS = [2, 4, 5, 6, 9, 10, 12, 13, 14, 15, 17, 18, 20, 21, 22, 23, 25, 28, 29, 30, 31, 35,
                  36, 38, 39, 41, 42, 43, 44, 46, 47, 48, 52, 53, 59, 61, 62]
# part -> first video id, number of videos, subjects
PARTS = dict(train=(100, 16, TRAIN_SUBJECTS), val=(1, 10, TRAIN_SUBJECTS),
             test=(54, 16, sorted(set(range(1, 73)) - set(TRAIN_SUBJECTS))))
SKELETONS = dict(train='imigue_data_phase1/imigue_skeleton_train',
                 val='imigue_data_phase1/imigue_skeleton_validate',
                 test='imigue_data_phase2/imigue_skeleton_test')
SKELETONS = {'challenge': {part: folder.replace('phase1/', 'phase1/datasets/')
                           for part, folder in SKELETONS.items()},
             '2023': SKELETONS, 'licensed': dict.fromkeys(PARTS, 'mg_skeleton_only')}
VIDEOS = dict.fromkeys(('challenge', '2023'), dict(
    train='imigue_rgb_phase1/train_data', val='imigue_rgb_phase1/validation_data',
    test='imigue_rgb_phase2/test_data'))  # the level below phase2 is not everywhere
VIDEOS['licensed'] = dict(
    train='iMiGUE_RGB_Phase1/imigue_rgb_train', val='iMiGUE_RGB_Phase1/imigue_rgb_validate',
    test='iMiGUE_RGB_Phase2/imigue_rgb_test')
ZIPS = {f'imigue_{kind}_phase{phase}.zip': f'imigue_{folder}_phase{phase}' for phase in (1, 2)
        for kind, folder in (('skeleton', 'data'), ('rgb', 'rgb'))}
LICENSED_HEADER = 'video_id,class,start_frame,end_frame,num_frames,win_or_lose,subject_id'
APPLE_DOUBLE = bytes.fromhex('00051607000200004d6163204f5320582020202020202020') + bytes(100)

SPACE = 'http://schemas.openxmlformats.org/'
XLSX_PARTS = {
    'xl/workbook.xml': f'<workbook xmlns="{SPACE}spreadsheetml/2006/main" xmlns:r="{SPACE}'
        'officeDocument/2006/relationships"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/>'
        '</sheets></workbook>',
    'xl/_rels/workbook.xml.rels': f'<Relationships xmlns="{SPACE}package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{SPACE}officeDocument/2006/relationships/worksheet" '
        'Target="worksheets/sheet1.xml"/></Relationships>'}


@dataclass(frozen=True)
class Defect:
    """Where it is, which of ``clip`` and ``video`` is lost or may be lost, and who can have it."""
    kind: str  # row, line or file (of the labels), video, skeleton
    clip: str = ''  # first, middle or last
    loses: str = ''
    may_lose: str = ''
    parts: tuple = ('train', 'val', 'test')
    challenge: bool = True
    licensed: bool = True


BAD_CLASS = Defect('row', 'middle', loses='clip', parts=('train', 'val'))
LOST, SKELETON = Defect('video', loses='video'), Defect('skeleton', licensed=False)
DEFECTS = {
    'bom': Defect('file'),
    'crlf': Defect('file'),
    'blank_lines': Defect('line', 'middle'),  # do not count as clips
    'spaces': Defect('line', 'middle'),
    'header': Defect('line', licensed=False),
    'short_row': Defect('line', 'middle', loses='clip'),
    'label_empty': Defect('file', loses='video', licensed=False),
    'unpadded_id': Defect('row', 'middle', challenge=False),
    'start_after_end': Defect('row', 'middle', loses='clip'),
    'end_beyond_stream': Defect('row', 'last'),  # clamped
    'start_beyond_stream': Defect('row', 'last', loses='clip'),
    'negative_start': Defect('row', 'first', may_lose='clip'),
    **dict.fromkeys(('class_0', 'class_32', 'class_100', 'class_text'), BAD_CLASS),
    'video_without_labels': Defect('file', loses='video'),
    'labels_without_video': LOST,
    'two_videos_of_one_id': Defect('video', may_lose='video', parts=('train', )),
    'same_video_twice': Defect('video', parts=('train', )),
    **dict.fromkeys(('corrupt_mp4', 'damaged_mp4', 'empty_mp4'), LOST),
    'damaged_faststart_mp4': Defect('video', may_lose='video'),
    **dict.fromkeys(('variable_frame_rate', 'other_resolution'), Defect('video')),
    **dict.fromkeys((
        'skeleton_row_missing', 'skeleton_row_extra', 'skeleton_without_header',
        'skeleton_header_missing', 'skeleton_nan', 'skeleton_text', 'skeleton_empty',
        'skeleton_zeros', 'skeleton_wrong_columns', 'skeleton_short_row', 'hands_swapped'),
        SKELETON)}


@dataclass
class Video:
    """A video as it would be read, clips (class, start, end); and its defect in clip ``at``."""
    video_id: str
    part: str
    subject: int
    clips: list
    frames: int
    defect: str = ''
    at: int = 0


@dataclass
class Planted:
    """A defect that was planted; ``file`` is relative to the release."""
    name: str
    file: str
    video_id: str | None = None
    clip_id: str | None = None
    lost: list = field(default_factory=list)
    may_lose: list = field(default_factory=list)


def plan_videos(layout):
    """Videos of 5 to 9 clips; neighbours overlap by up to two frames or leave a gap."""
    rng, videos = np.random.default_rng(0), []
    for part, (first_id, number, subjects) in PARTS.items():
        for k in range(number):
            clips, frame = [], 2
            for code in rng.choice(CODES, rng.integers(5, 10)).tolist():
                start = frame + int(rng.integers(-2, 5))
                frame = start + int(rng.integers(4, 13))
                hidden = part == 'test' and layout != 'licensed'
                clips.append((PLACEHOLDER if hidden else code, start, frame - 1))
            videos.append(Video(f'{first_id + k:04d}', part, subjects[k % len(subjects)], clips,
                                frame + int(rng.integers(1, 7))))
    return videos


def assign(videos, layout):
    """Give each defect a video of its own, of the parts in turn."""
    names = [name for name, defect in DEFECTS.items()
             if (defect.licensed if layout == 'licensed' else defect.challenge)]
    for turn, name in enumerate(names):
        parts = DEFECTS[name].parts
        free = [video for video in videos if not video.defect and video.part in parts]
        video = ([video for video in free if video.part == parts[turn % len(parts)]] or free)[0]
        last = len(video.clips) - 1
        video.defect, video.at = name, dict(first=0, last=last).get(DEFECTS[name].clip, last // 2)
        # make what a clamped clip should become true
        code, _, end = video.clips[video.at]
        if name == 'end_beyond_stream':
            video.frames = end + 1
        elif name == 'negative_start':
            video.clips[0] = (code, 0, end)


def label_lines(video, layout):
    lines = []
    for k, (code, start, end) in enumerate(video.clips):
        defect = video.defect if k == video.at else ''
        if defect.startswith('class_'):
            code = dict(class_text='abc').get(defect, defect.removeprefix('class_'))
        start, end = {
            'start_after_end': (end, start), 'negative_start': (-3, end),
            'end_beyond_stream': (start, video.frames + 2),
            'start_beyond_stream': (video.frames + 2, video.frames + 8)}.get(defect, (start, end))
        line = f'{code},{start},{end}'
        if layout == 'licensed':
            line = f'{video.video_id},{line},{video.frames},1,{video.subject}'
        if defect == 'short_row':
            line = ','.join(line.split(',')[:3 if layout == 'licensed' else 2])
        lines += {'blank_lines': ['', line, ''], 'spaces': [f' {line.replace(",", " ,  ")} '],
                  'unpadded_id': [line.lstrip('0')]}.get(defect, [line])
    return {'header': ['class,start_frame,end_frame', *lines], 'label_empty': [],
            'video_without_labels': []}.get(video.defect, lines)


def write_labels(path, lines, defects):
    """Write a label file; ``bom`` and ``crlf`` concern all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    newline = '\r\n' if 'crlf' in defects else '\n'
    path.write_text(''.join(f'{line}\n' for line in lines), newline=newline,
                    encoding='utf-8-sig' if 'bom' in defects else 'utf-8')


def write_skeleton(path, frames, defect):
    rows = light_hand(frames).tolist()
    middle, header = rows[frames // 2], {'header': ''} if 'header' in defect else {}
    if defect == 'skeleton_short_row':
        del middle[-2:]
    elif defect in ('skeleton_nan', 'skeleton_text'):
        middle[1 + 3 * 4] = defect.rpartition('_')[2]  # RWrist's x
    rows = {
        'skeleton_row_missing': rows[:-1], 'skeleton_row_extra': [*rows, [frames, *rows[-1][1:]]],
        'skeleton_without_header': rows[1:], 'skeleton_empty': [],
        'skeleton_zeros': [[row[0], *105 * [0]] for row in rows],
        'skeleton_wrong_columns': [row[:-3] for row in rows],
        # joints 25-29 and 30-34; three columns each, after the index
        'hands_swapped': [row[:76] + row[91:] + row[76:91] for row in rows],
    }.get(defect, rows)
    write_light_hand(path, rows, **header)


def write_xlsx(path, rows):
    """Write numbers into the one sheet of a workbook."""
    body = ''.join(f'<row>{"".join(f"<c><v>{value}</v></c>" for value in cells)}</row>'
                   for cells in rows)
    sheet = (f'<worksheet xmlns="{SPACE}spreadsheetml/2006/main"><sheetData>{body}</sheetData>'
             '</worksheet>')
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**XLSX_PARTS, 'xl/worksheets/sheet1.xml': sheet}.items():
            archive.writestr(zipfile.ZipInfo(name), text)


def write_footage(path, frames, defect):
    """Write a video; of the same id there may be a second one in another folder."""
    path.parent.mkdir(parents=True)
    options = {'size': (HEIGHT, WIDTH)} if defect == 'other_resolution' else {}
    if defect == 'variable_frame_rate':
        options['times'] = [40 * (k + k // 3) for k in range(frames)]
    write_video(path, frames, preset='ultrafast', **options)
    twin = path.parents[1].with_name(f'{path.parents[1].name}_old') / path.parent.name / path.name
    if defect == 'labels_without_video':
        path.unlink()
    elif defect == 'two_videos_of_one_id':
        twin.parent.mkdir(parents=True)
        write_video(twin, frames + 7)
    elif defect == 'same_video_twice':
        shutil.copytree(path.parent, twin.parent)
    elif defect == 'corrupt_mp4':
        path.write_bytes(np.random.default_rng(0).bytes(64) + path.read_bytes()[64:])
    elif defect == 'empty_mp4':
        path.write_bytes(b'')
    elif defect == 'damaged_mp4':
        remux(path, path.with_name('late.mp4'))  # its index is at the lost end
        path.with_name('late.mp4').rename(path)
    if defect.startswith('damaged'):
        path.write_bytes(path.read_bytes()[:int(.6 * path.stat().st_size)])


def zip_release(root, out):
    """Pack a release, with the junk of macOS and two zips that must not be unpacked."""
    out.mkdir()
    for name, top in ZIPS.items():
        with zipfile.ZipFile(out / name, 'w') as archive:
            for file in sorted((root / top).rglob('*.*')):
                archive.write(file, file.relative_to(root))
                archive.writestr(f'__MACOSX/{file.parent.relative_to(root)}/._{file.name}',
                                 APPLE_DOUBLE)
    whole = (out / 'imigue_skeleton_phase2.zip').read_bytes()
    (out / 'imigue_skeleton_phase2 (1).zip').write_bytes(whole[:len(whole) // 2])
    with zipfile.ZipFile(out / 'imigue_extra.zip', 'w') as archive:
        for entry in ('imigue_extra/readme.txt', '../evil.txt'):
            archive.writestr(entry, 'planted')
    return [Planted('truncated_zip', 'imigue_skeleton_phase2 (1).zip'),
            Planted('zip_slip', 'imigue_extra.zip')]


def make_release(root, layout, zipped=False):
    """Write a release in ``challenge``, ``2023`` or ``licensed``; its videos and defects."""
    out, root = root, root.with_name(f'{root.name}-unpacked') if zipped else root
    videos, planted, table = plan_videos(layout), [], []
    assign(videos, layout)
    for video in videos:
        folder = root / SKELETONS[layout][video.part] / video.video_id
        path = root / VIDEOS[layout][video.part] / video.video_id / f'{video.video_id}.mp4'
        labels = folder / f'{video.video_id}_label.csv'
        skeleton = folder / f'{video.video_id}_light_hand.csv'
        write_footage(path, video.frames, video.defect)
        if layout == 'licensed':
            labels, table = root / 'Label/labels_20200831.csv', table + label_lines(video, layout)
        elif video.defect != 'video_without_labels':
            write_labels(labels, label_lines(video, layout), [video.defect])
        folder.mkdir(parents=True, exist_ok=True)
        if layout != 'licensed':
            write_skeleton(skeleton, video.frames, video.defect)
        elif video.part == 'val':  # every number in the row of frame t is t + 1
            rows = np.arange(1, video.frames + 1)[:, None].repeat(411, 1)
            write_xlsx(folder / f'{video.video_id}_2.xlsx', rows)
        if video.defect:
            defect = DEFECTS[video.defect]
            clip_ids = [f'{video.video_id}_{k}' for k in range(len(video.clips))]
            of = {'': [], 'clip': [clip_ids[video.at]], 'video': clip_ids}
            file = dict(video=path, skeleton=skeleton).get(defect.kind, labels)
            planted.append(Planted(
                video.defect, file.relative_to(root).as_posix(), video.video_id,
                clip_ids[video.at] if defect.clip else None, of[defect.loses],
                of[defect.may_lose]))
    if layout == 'licensed':
        write_labels(labels, [LICENSED_HEADER, *table], [video.defect for video in videos])
    if zipped:
        planted += zip_release(root, out)
    else:
        for junk in (path, labels):
            junk.with_name(f'._{junk.name}').write_bytes(APPLE_DOUBLE)
    return videos, planted
