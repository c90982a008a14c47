"""Write an invented iMiGUE release of full size in the real layout, fast, with or without defects.

    python tests/full_release.py OUT                            # 355 videos, 18,232 clips
    python tests/full_release.py OUT --zip --scale small --defects
    python tests/full_release.py OUT --labels LABELS.csv --layout licensed

The videos are tiny and their clips short; numbers of videos and clips, ids, folders and formats
are those of the challenge. The defects are listed in ``tests/release_defects.py``. What was
written, clip by clip, and what a right tool should find, is in ``<OUT>.planted.json``, beside OUT.
The same arguments give the same bytes, whatever the number of workers.
"""
import argparse
import json
import os
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

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
from release_media import skeleton_lines, write_openpose, write_video
from release_plan import PARTS, SUBJECTS, Clip, VideoPlan, draw_videos, plan_video

PLACEHOLDER = 1  # class of the test part in the challenge's files
SMALL = 24  # videos a part of `--scale small`: room for all defects

SKELETON_FOLDERS = {
    'challenge': dict(train='imigue_data_phase1/datasets/imigue_skeleton_train',
                      val='imigue_data_phase1/datasets/imigue_skeleton_validate',
                      test='imigue_data_phase2/imigue_skeleton_test'),
    '2023': dict(train='imigue_data_phase1/imigue_skeleton_train',
                 val='imigue_data_phase1/imigue_skeleton_validate',
                 test='imigue_data_phase2/imigue_skeleton_test'),
    'licensed': dict.fromkeys(PARTS, 'mg_skeleton_only')}
VIDEO_FOLDERS = {
    'challenge': dict(train='imigue_rgb_phase1/train_data',
                      val='imigue_rgb_phase1/validation_data', test='imigue_rgb_phase2'),
    'licensed': dict(train='iMiGUE_RGB_Phase1/imigue_rgb_train',
                     val='iMiGUE_RGB_Phase1/imigue_rgb_validate',
                     test='iMiGUE_RGB_Phase2/imigue_rgb_test')}
VIDEO_FOLDERS['2023'] = VIDEO_FOLDERS['challenge']
ZIPS = {'imigue_skeleton_phase1.zip': 'imigue_data_phase1',
        'imigue_rgb_phase1.zip': 'imigue_rgb_phase1',
        'imigue_skeleton_phase2.zip': 'imigue_data_phase2',
        'imigue_rgb_phase2.zip': 'imigue_rgb_phase2'}
LICENSED_LABELS = 'Label/labels_20200831.csv'
LICENSED_HEADER = 'video_id,class,start_frame,end_frame,num_frames,win_or_lose,subject_id'
APPLE_DOUBLE = bytes.fromhex('00051607000200004d6163204f5320582020202020202020') + bytes(100)


@dataclass
class Release:
    """What was written.

    Args:
        root (str): Folder of the release.
        clips (dict): Part -> its clips as they should be read, defects undone.
        frames (dict): Video id -> frames that its labels refer to.
        readable (dict): Video id -> frames that its file gives; 0 where none can be read.
        videos (dict): Video id -> its file, relative to ``root`` or to the unpacked zips.
        subjects (dict): Video id -> subject, 1 to 72; only the licensed layout tells it.
        planted (list): Every defect, with the clips that a right tool loses by it.
    """
    root: str
    layout: str
    zipped: bool
    seed: int
    clips: dict[str, list[Clip]]
    frames: dict[str, int]
    readable: dict[str, int]
    videos: dict[str, str]
    subjects: dict[str, int]
    planted: list[Planted] = field(default_factory=list)
    num_bytes: int = 0
    seconds: float = 0.

    def text(self) -> str:
        """For people."""
        count = {part: len({clip.clip_id.rsplit('_', 1)[0] for clip in self.clips[part]})
                 for part in PARTS}
        lines = [f'{part:<6}{count[part]:>5} videos {len(self.clips[part]):>7,} clips'
                 for part in PARTS]
        lines.append(f'{sum(self.frames.values()):,} frames, {self.num_bytes / 1e6:,.1f} MB, '
                     f'{self.seconds:.1f} s, layout {self.layout}, '
                     f'{"zips" if self.zipped else "folders"} in {self.root}')
        lines += [f'  {planted.name:<24}{planted.expected}  [{planted.file}'
                  + (f':{planted.line}]' if planted.line else ']') for planted in self.planted]
        return '\n'.join(lines)


class Task(NamedTuple):
    """A video to write: where to, and what else beside it."""
    plan: VideoPlan
    video: Path
    twin: Path
    skeleton: Path | None
    openpose: Path | None
    seed: int


def write_media(task: Task) -> tuple[int, int | None]:
    """Write a video and its skeletons.

    Returns:
        tuple: Number of frames that can be read, and the line of a defect in the skeleton.
    """
    plan = task.plan
    rng = np.random.default_rng([task.seed, int(plan.video_id), 1])
    colour = tuple(int(value) for value in rng.integers(64, 192, 2))
    offset = int(rng.integers(1000))
    write_video(task.video, plan.frames, colour, plan.size)
    readable, line = plan.frames, None
    kind = DEFECTS[plan.defect].kind if plan.defect else ''
    if kind == 'video':
        readable = plant_in_video(plan, task.video, task.twin, colour)
    if task.skeleton:
        lines = skeleton_lines(plan.frames, plan.size, offset)
        if kind == 'skeleton':
            lines, line = edit_skeleton(plan.defect, lines)
        write_labels(task.skeleton, lines)
    if task.openpose:
        write_openpose(task.openpose, plan.frames, plan.size, offset)
    return readable, line


def write_label_files(root: Path, layout: str, plans: Sequence[VideoPlan],
                      skeletons: dict[str, Path]) -> dict[str, tuple[str, int | None]]:
    """Write the labels.

    Returns:
        dict: Video id -> label file and line of the defect in it.
    """
    places = {}
    licensed = [LICENSED_HEADER]
    for plan in sorted(plans, key=lambda plan: plan.video_id):
        rows = [','.join(map(str, row)) for row in label_rows(plan)]
        if layout == 'licensed':
            result = int(plan.video_id) % 2
            rows = [f'{plan.video_id},{row},{plan.frames},{result},{plan.subject}' for row in rows]
        line = None
        if plan.defect:
            rows, line = edit_lines(plan, rows, columns_before=int(layout == 'licensed'))
        if layout == 'licensed':
            # a byte order mark is in the first line of the whole file
            offset = 0 if plan.defect == 'bom' else len(licensed)
            places[plan.video_id] = LICENSED_LABELS, line and line + offset
            licensed += rows
            continue
        path = skeletons[plan.video_id] / f'{plan.video_id}_label.csv'
        places[plan.video_id] = path.relative_to(root).as_posix(), line
        if plan.defect != 'video_without_labels':
            write_labels(path, rows, [plan.defect])
    if layout == 'licensed':
        write_labels(root / LICENSED_LABELS, licensed, [plan.defect for plan in plans])
    return places


def junk_of(name: Path) -> list[Path]:
    """What macOS adds to a zip of its own for a file."""
    return [Path('__MACOSX') / name.parent / f'._{name.name}']


def write_zip(path: Path, root: Path, folder: str) -> None:
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
                for other in junk_of(name):
                    archive.writestr(zipfile.ZipInfo(other.as_posix()), APPLE_DOUBLE)


def plant_in_release(name: str, out: Path, plans: Sequence[VideoPlan],
                     folders: dict[str, str]) -> str:
    """Plant what concerns no single video.

    Returns:
        str: The file or folder, relative to the release.
    """
    if name == 'macosx_junk':
        plan = next(plan for plan in plans if not plan.defect)
        first = Path(folders[plan.part]) / plan.video_id / f'{plan.video_id}.mp4'
        for junk in [*junk_of(first), first.parent / f'._{first.name}',
                     first.parent / f'._{plan.video_id}_label.csv']:
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


def planted_of(plan: VideoPlan, file: str, line: int | None, readable: int) -> Planted:
    """The entry of a defect of a single video."""
    defect = DEFECTS[plan.defect]
    clip_id = plan.clips[plan.at].clip_id if defect.clip else None
    of = dict(clip=[clip_id], video=[clip.clip_id for clip in plan.clips])
    lost, may_lose = of.get(defect.loses, []), of.get(defect.may_lose, [])
    if 0 < readable < plan.frames:
        lost = [clip.clip_id for clip in plan.clips if clip.start >= readable]
        may_lose = [clip.clip_id for clip in plan.clips if clip.start < readable <= clip.end]
    expected = defect.expected.format(video=plan.video_id, clip=clip_id, cut=readable)
    return Planted(plan.defect, file, plan.video_id, clip_id, line, expected, lost, may_lose)


def check_arguments(out: Path, layout: str, zipped: bool, names: Sequence[str]) -> None:
    """Refuse what cannot be written, before anything is.

    Raises:
        ValueError: With the value and what is possible.
    """
    if layout not in SKELETON_FOLDERS:
        raise ValueError(f'layout {layout!r} is none of {", ".join(SKELETON_FOLDERS)}')
    if zipped and layout not in CHALLENGE:
        raise ValueError(f'zips are possible for {", ".join(CHALLENGE)}, not for {layout}')
    impossible = sorted(set(names) - set(possible(layout, zipped)))
    if impossible:
        raise ValueError(f'defects {", ".join(impossible)} are not possible here; these are: '
                         f'{", ".join(possible(layout, zipped))}')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f'{out} exists and is not an empty folder: choose a new one')


def make_release(out: Path, *, videos_per_part: int | None = None,
                 labels: Path | None = None, layout: str = 'challenge', zipped: bool = False,
                 defects: str | Iterable[str] = (), seed: int = 0,
                 workers: int | None = None, openpose_videos: int = 0,
                 planted_file: Path | None = None) -> Release:
    """Write a release.

    Args:
        out (Path): Folder, new or empty.
        videos_per_part (int, optional): Videos a part (validation has 10 at most) with 5 to 9
            clips each. Defaults to None: full size.
        labels (Path, optional): csv with clip_id and label (0 to 31) of phase 1; gives the clips
            of each video and their classes. Defaults to None: drawn.
        layout (str): ``challenge``, ``2023`` or ``licensed``. Defaults to ``challenge``.
        zipped (bool): The challenge's four zips rather than folders. Defaults to False.
        defects (str or Iterable): Names out of ``DEFECTS``, or ``all`` that are possible.
        seed (int): Seed of everything. Defaults to 0.
        workers (int, optional): Processes. Defaults to None: one a core.
        openpose_videos (int): Videos of each part with a workbook of 137 joints. Defaults to 0.
        planted_file (Path, optional): Where the description goes. Defaults to None:
            ``<out>.planted.json``.

    Returns:
        Release: What was written.

    Raises:
        ValueError: If an argument or a defect is not possible.
        FileExistsError: If ``out`` holds something.
    """
    began = time.perf_counter()
    out = Path(out).resolve()
    names = possible(layout, zipped) if defects == 'all' else list(dict.fromkeys(defects))
    check_arguments(out, layout, zipped, names)
    rng = np.random.default_rng(seed)
    plans = []
    for part, videos in draw_videos(rng, labels and Path(labels), videos_per_part).items():
        for number, (video_id, codes) in enumerate(videos.items()):
            if part == 'test' and layout in CHALLENGE:
                codes = [PLACEHOLDER] * len(codes)
            subject = SUBJECTS[part][number % len(SUBJECTS[part])]
            plans.append(plan_video(video_id, part, subject, codes, seed))
    assign(names, plans, rng)

    out.mkdir(parents=True, exist_ok=True)
    form = dict(layout=layout, names=names, seed=seed, workers=workers or os.cpu_count(),
                openpose_videos=openpose_videos)
    if zipped:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f'{out.name}.unpacked-') as folder:
            release = write_release(Path(folder), plans, **form)
            for name, top in ZIPS.items():
                write_zip(out / name, Path(folder), top)
    else:
        release = write_release(out, plans, **form)
    release.root, release.zipped = str(out), zipped
    for name in names:
        if DEFECTS[name].kind == 'release':
            file = plant_in_release(name, out, plans, video_folders(layout, names))
            release.planted.append(Planted(name, file, None, None, None, DEFECTS[name].expected))
    release.num_bytes = sum(file.stat().st_size for file in out.rglob('*') if file.is_file())
    release.seconds = round(time.perf_counter() - began, 2)
    planted_file = planted_file or out.parent / f'{out.name}.planted.json'
    text = json.dumps(asdict(release), ensure_ascii=False)
    Path(planted_file).write_text(text, encoding='utf-8')
    return release


def video_folders(layout: str, names: Sequence[str]) -> dict[str, str]:
    """Part -> folder of its videos."""
    folders = dict(VIDEO_FOLDERS[layout])
    if 'extra_folder_level' in names:
        folders['test'] += '/test_data'
    return folders


def write_release(root: Path, plans: Sequence[VideoPlan], layout: str, names: Sequence[str],
                  seed: int, workers: int, openpose_videos: int) -> Release:
    """Write all files below ``root``; see :func:`make_release`."""
    folders, tasks, seen = video_folders(layout, names), [], Counter()
    skeletons = {plan.video_id: root / SKELETON_FOLDERS[layout][plan.part] / plan.video_id
                 for plan in plans}
    for plan in plans:
        video_id, skeleton = plan.video_id, skeletons[plan.video_id]
        seen[plan.part] += 1
        suffix = '_2.xlsx' if layout == 'licensed' else '_openpose.xlsx'
        name = f'{video_id}/{video_id}.mp4'
        tasks.append(Task(
            plan, root / folders[plan.part] / name, root / f'{folders[plan.part]}_old' / name,
            skeleton / f'{video_id}_light_hand.csv' if layout in CHALLENGE else None,
            skeleton / f'{video_id}{suffix}' if seen[plan.part] <= openpose_videos else None,
            seed))
    if workers == 1:
        results = list(map(write_media, tasks))
    else:
        with ProcessPoolExecutor(workers) as pool:
            results = list(pool.map(write_media, tasks, chunksize=4))
    places = write_label_files(root, layout, plans, skeletons)

    release = Release(
        str(root), layout, False, seed,
        clips={part: [clip for plan in plans if plan.part == part for clip in plan.clips]
               for part in PARTS},
        frames={plan.video_id: plan.frames for plan in plans},
        readable={plan.video_id: readable
                  for plan, (readable, _) in zip(plans, results, strict=True)},
        videos={task.plan.video_id: task.video.relative_to(root).as_posix() for task in tasks},
        subjects={plan.video_id: plan.subject for plan in plans})
    for task, (readable, line) in zip(tasks, results, strict=True):
        if not task.plan.defect:
            continue
        kind = DEFECTS[task.plan.defect].kind
        file, label_line = places[task.plan.video_id]
        if kind == 'video':
            file = release.videos[task.plan.video_id]
        elif kind == 'skeleton':
            file = task.skeleton.relative_to(root).as_posix()
        else:
            line = label_line
        release.planted.append(planted_of(task.plan, file, line, readable))
    return release


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder, new or empty')
    parser.add_argument('--labels', type=Path, help='csv with clip_id,label of phase 1')
    parser.add_argument('--layout', choices=list(SKELETON_FOLDERS), default='challenge')
    parser.add_argument('--zip', action='store_true', help='the four zips rather than folders')
    parser.add_argument('--defects', nargs='*', metavar='NAME',
                        help=f'without names: all that are possible; {", ".join(DEFECTS)}')
    parser.add_argument('--scale', default='full',
                        help=f'full, small ({SMALL} videos a part) or a number of videos a part')
    parser.add_argument('--openpose-videos', type=int, default=0,
                        help='videos of each part with a workbook of 137 joints (default: 0)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, help='processes (default: one a core)')
    parser.add_argument('--planted', type=Path, help='default: OUT.planted.json')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    defects = () if args.defects is None else args.defects or 'all'
    videos_per_part = dict(full=None, small=SMALL).get(args.scale, args.scale)
    try:
        release = make_release(
            args.out, videos_per_part=videos_per_part and int(videos_per_part),
            labels=args.labels, layout=args.layout, zipped=args.zip, defects=defects,
            seed=args.seed, workers=args.workers, openpose_videos=args.openpose_videos,
            planted_file=args.planted)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    print(release.text())


if __name__ == '__main__':
    main()
