"""Write a synthetic iMiGUE release of full size in the real layout, with or without defects.

    cd tests && python -c "import full_release; full_release.make_release('OUT', defects='all')"

The videos are tiny and their clips short; numbers of videos and clips, ids, folders and formats
are those of the challenge. The same arguments give the same bytes, whatever the number of workers.
"""
import os
import tempfile
import zipfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from release_defects import (
    CHALLENGE,
    DEFECTS,
    Planted,
    assign,
    edit_lines,
    edit_skeleton,
    label_rows,
    plant_in_video,
    possible,
    write_labels,
)
from release_media import skeleton_lines, write_video, write_xlsx
from release_plan import PARTS, SUBJECTS, Clip, draw_videos, plan_video

PLACEHOLDER = 1  # class of the test part in the challenge's files
SKELETONS_2023 = dict(train='imigue_data_phase1/imigue_skeleton_train',
                      val='imigue_data_phase1/imigue_skeleton_validate',
                      test='imigue_data_phase2/imigue_skeleton_test')
SKELETON_FOLDERS = {
    'challenge': {part: folder.replace('phase1/', 'phase1/datasets/')
                  for part, folder in SKELETONS_2023.items()},
    '2023': SKELETONS_2023, 'licensed': dict.fromkeys(PARTS, 'mg_skeleton_only')}
VIDEO_FOLDERS = dict.fromkeys(CHALLENGE, dict(
    train='imigue_rgb_phase1/train_data', val='imigue_rgb_phase1/validation_data',
    test='imigue_rgb_phase2'))
VIDEO_FOLDERS['licensed'] = dict(
    train='iMiGUE_RGB_Phase1/imigue_rgb_train', val='iMiGUE_RGB_Phase1/imigue_rgb_validate',
    test='iMiGUE_RGB_Phase2/imigue_rgb_test')
ZIPS = {f'imigue_{kind}_phase{phase}.zip': f'imigue_{folder}_phase{phase}' for phase in (1, 2)
        for kind, folder in (('skeleton', 'data'), ('rgb', 'rgb'))}
LICENSED_LABELS = 'Label/labels_20200831.csv'
LICENSED_HEADER = 'video_id,class,start_frame,end_frame,num_frames,win_or_lose,subject_id'
APPLE_DOUBLE = bytes.fromhex('00051607000200004d6163204f5320582020202020202020') + bytes(100)


@dataclass
class Release:
    """What was written; by video id, but for the clips, which are by part."""
    root: Path
    clips: dict[str, list[Clip]]  # as they should be read, defects undone
    frames: dict[str, int]  # that the labels refer to
    readable: dict[str, int]  # that the file gives
    videos: dict[str, str]
    subjects: dict[str, int]
    planted: list[Planted] = field(default_factory=list)


def write_media(plan, video, twin, skeleton, openpose, seed):
    rng = np.random.default_rng([seed, int(plan.video_id), 1])
    colour = tuple(int(value) for value in rng.integers(64, 192, 2))
    offset = int(rng.integers(1000))
    write_video(video, plan.frames, colour, plan.size)
    readable = plan.frames
    kind = DEFECTS[plan.defect].kind if plan.defect else ''
    if kind == 'video':
        readable = plant_in_video(plan, video, twin, colour)
    if skeleton:
        lines = skeleton_lines(plan.frames, plan.size, offset)
        if kind == 'skeleton':
            lines = edit_skeleton(plan.defect, lines)
        write_labels(skeleton, lines)
    if openpose:
        rows = skeleton_lines(plan.frames, plan.size, offset, full=True)
        write_xlsx(openpose, [row.split(',') for row in rows])
    return readable


def write_label_files(root, layout, plans, skeletons):
    """Write the labels; returns the label file by video id."""
    files = {}
    licensed = [LICENSED_HEADER]
    for plan in sorted(plans, key=lambda plan: plan.video_id):
        rows = [','.join(map(str, row)) for row in label_rows(plan)]
        if layout == 'licensed':
            result = int(plan.video_id) % 2
            rows = [f'{plan.video_id},{row},{plan.frames},{result},{plan.subject}' for row in rows]
        if plan.defect:
            rows = edit_lines(plan, rows, columns_before=int(layout == 'licensed'))
        if layout == 'licensed':
            files[plan.video_id] = LICENSED_LABELS
            licensed += rows
            continue
        path = skeletons[plan.video_id] / f'{plan.video_id}_label.csv'
        files[plan.video_id] = path.relative_to(root).as_posix()
        if plan.defect != 'video_without_labels':
            write_labels(path, rows, [plan.defect])
    if layout == 'licensed':
        write_labels(root / LICENSED_LABELS, licensed, [plan.defect for plan in plans])
    return files


def write_zip(path, root, folder):
    """Pack a folder of ``root``, with the junk of macOS for the first videos and labels."""
    junk = Counter()
    with zipfile.ZipFile(path, 'w') as archive:
        for file in sorted(file for file in (root / folder).rglob('*') if file.is_file()):
            name = file.relative_to(root)
            packed = file.suffix in ('.mp4', '.xlsx')
            method = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            # dates of their own, so that the same seed gives the same bytes
            archive.writestr(zipfile.ZipInfo(name.as_posix()), file.read_bytes(), method, 1)
            kind = file.name.partition('_')[2] or file.suffix
            junk[kind] += 1
            if junk[kind] <= 2:
                other = f'__MACOSX/{name.parent.as_posix()}/._{name.name}'
                archive.writestr(zipfile.ZipInfo(other), APPLE_DOUBLE)


def plant_in_release(name, out, plans, folders):
    """Plant what concerns no single video; returns the file or folder in the release."""
    if name == 'macosx_junk':
        plan = next(plan for plan in plans if not plan.defect)
        folder = Path(folders[plan.part]) / plan.video_id
        for junk in (Path('__MACOSX') / folder / f'._{plan.video_id}.mp4',
                     folder / f'._{plan.video_id}.mp4', folder / f'._{plan.video_id}_label.csv'):
            (out / junk).parent.mkdir(parents=True, exist_ok=True)
            (out / junk).write_bytes(APPLE_DOUBLE)
        return '__MACOSX'
    if name == 'truncated_zip':
        whole = (out / 'imigue_skeleton_phase2.zip').read_bytes()
        (out / 'imigue_skeleton_phase2 (1).zip').write_bytes(whole[:len(whole) // 2])
        return 'imigue_skeleton_phase2 (1).zip'
    if name == 'zip_slip':
        with zipfile.ZipFile(out / 'imigue_extra.zip', 'w') as archive:
            for entry in ('imigue_extra/readme.txt', '../evil.txt'):
                archive.writestr(zipfile.ZipInfo(entry), 'planted')
        return 'imigue_extra.zip'
    return folders['test']  # extra_folder_level: the videos were written there


def planted_of(plan, file, readable):
    defect = DEFECTS[plan.defect]
    clip_id = plan.clips[plan.at].clip_id if defect.clip else None
    of = dict(clip=[clip_id], video=[clip.clip_id for clip in plan.clips])
    lost, may_lose = of.get(defect.loses, []), of.get(defect.may_lose, [])
    if 0 < readable < plan.frames:  # an incomplete file is to be fetched again
        may_lose = of['video']
    return Planted(plan.defect, file, plan.video_id, clip_id, lost, may_lose)


def make_release(out, *, videos_per_part=None, labels=None, layout='challenge', zipped=False,
                 defects=(), seed=0, workers=None, openpose_videos=0):
    """Write a release of full size, or ``videos_per_part`` (in val at most 10) of 5 to 9 clips.

    ``labels`` is a csv with clip_id and label (0 to 31) of phase 1, from which the clips of each
    video and their classes are taken. ``layout`` is ``challenge``, ``2023`` or ``licensed``;
    ``zipped`` writes the challenge's four zips. ``defects`` are names out of ``DEFECTS``, or
    ``all``. ``openpose_videos`` of each part have a workbook of 137 joints.
    """
    out = Path(out).resolve()
    names = possible(layout, zipped) if defects == 'all' else list(dict.fromkeys(defects))
    if set(names) - set(possible(layout, zipped)):
        raise ValueError(f'not all of {names} are possible here; these are: '
                         f'{possible(layout, zipped)}')
    rng = np.random.default_rng(seed)
    plans = []
    for part, videos in draw_videos(rng, labels, videos_per_part).items():
        for number, (video_id, codes) in enumerate(videos.items()):
            if part == 'test' and layout in CHALLENGE:
                codes = [PLACEHOLDER] * len(codes)
            subject = SUBJECTS[part][number % len(SUBJECTS[part])]
            plans.append(plan_video(video_id, part, subject, codes, seed))
    assign(names, plans, rng)

    out.mkdir(parents=True)
    form = dict(layout=layout, names=names, seed=seed, workers=workers or os.cpu_count(),
                openpose_videos=openpose_videos)
    if zipped:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f'{out.name}.unpacked-') as folder:
            release = write_release(Path(folder), plans, **form)
            for name, top in ZIPS.items():
                write_zip(out / name, Path(folder), top)
    else:
        release = write_release(out, plans, **form)
    release.root = out
    for name in names:
        if DEFECTS[name].kind == 'release':
            file = plant_in_release(name, out, plans, video_folders(layout, names))
            release.planted.append(Planted(name, file))
    return release


def video_folders(layout, names):
    folders = dict(VIDEO_FOLDERS[layout])
    if 'extra_folder_level' in names:
        folders['test'] += '/test_data'
    return folders


def write_release(root, plans, layout, names, seed, workers, openpose_videos):
    folders, tasks, seen = video_folders(layout, names), [], Counter()
    skeletons = {plan.video_id: root / SKELETON_FOLDERS[layout][plan.part] / plan.video_id
                 for plan in plans}
    for plan in plans:
        video_id, skeleton = plan.video_id, skeletons[plan.video_id]
        seen[plan.part] += 1
        suffix = '_2.xlsx' if layout == 'licensed' else '_openpose.xlsx'
        name = f'{video_id}/{video_id}.mp4'
        tasks.append((
            plan, root / folders[plan.part] / name, root / f'{folders[plan.part]}_old' / name,
            skeleton / f'{video_id}_light_hand.csv' if layout in CHALLENGE else None,
            skeleton / f'{video_id}{suffix}' if seen[plan.part] <= openpose_videos else None,
            seed))
    with ProcessPoolExecutor(workers) as pool:
        results = list(pool.map(write_media, *zip(*tasks), chunksize=4))
    label_files = write_label_files(root, layout, plans, skeletons)
    release = Release(
        root,
        clips={part: [clip for plan in plans if plan.part == part for clip in plan.clips]
               for part in PARTS},
        frames={plan.video_id: plan.frames for plan in plans},
        readable={plan.video_id: readable for plan, readable in zip(plans, results)},
        videos={plan.video_id: video.relative_to(root).as_posix() for plan, video, *_ in tasks},
        subjects={plan.video_id: plan.subject for plan in plans})
    for (plan, video, _, skeleton, *_), readable in zip(tasks, results):
        if plan.defect:
            file = dict(video=video, skeleton=skeleton).get(
                DEFECTS[plan.defect].kind, root / label_files[plan.video_id])
            release.planted.append(planted_of(plan, file.relative_to(root).as_posix(), readable))
    return release
