"""Finding labels, videos and skeletons of a release by what their names say."""
import csv
import filecmp
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .report import ReleaseError, Report

PARTS = ('train', 'val', 'test')
# read against each folder's name on the way up from a file; the nearest one decides
PART_PATTERNS = (('train', re.compile('train', re.I)), ('val', re.compile('valid', re.I)),
                 ('test', re.compile('test|phase_?2', re.I)))
LICENSED_COLUMNS = ('video_id', 'class', 'start_frame', 'end_frame')
# the first one found is used
SKELETON_ENDINGS = ('_light_hand.csv', '_openpose.xlsx', '_2.xlsx')


@dataclass
class Layout:
    """Where things are.

    Attributes:
        label_files (dict[str, Path]): ``<VID>_label.csv`` by video id.
        videos (dict[str, Path]): ``<VID>.mp4`` by video id.
        skeletons (dict[str, Path]): Skeleton file by video id.
        part_of (dict[str, str]): Part by video id.
        licensed_csv (Path, optional): The table of the licensed release.
    """
    label_files: dict[str, Path] = field(default_factory=dict)
    videos: dict[str, Path] = field(default_factory=dict)
    skeletons: dict[str, Path] = field(default_factory=dict)
    part_of: dict[str, str] = field(default_factory=dict)
    licensed_csv: Path | None = None


def is_junk(name: str) -> bool:
    """Whether a path is what macOS adds to archives."""
    return any(part == '__MACOSX' or part.startswith('._') for part in PurePosixPath(name).parts)


def find_files(root: Path, endings: Sequence[str], skip: Path) -> Iterator[Path]:
    """Files below a folder, in order of their names; links to folders are followed once.

    Args:
        root (Path): The folder.
        endings (Sequence[str]): Lower-case ends of the names.
        skip (Path): Folder that is not looked into: what the tool itself writes.

    Yields:
        Path: Below ``root``.
    """
    seen, skip = set(), skip.resolve()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = Path(folder).resolve()
        if real in seen or real == skip:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_junk(name))
        for name in sorted(names):
            if name.lower().endswith(tuple(endings)) and not is_junk(name):
                yield Path(folder) / name


def find_layout(root: Path, skip: Path, report: Report) -> Layout:
    """Look through a release.

    Args:
        root (Path): The release.
        skip (Path): Folder that is not looked into.
        report (Report): Gets files whose video or part is not clear.

    Returns:
        Layout: With paths below ``root``.

    Raises:
        ReleaseError: If there are no labels or no videos at all.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    layout = Layout()
    for path in find_files(root, ('.csv', '.mp4', '.xlsx'), skip):
        if not path.exists():
            report.add('links that lead nowhere', path.relative_to(root), 'taken for missing')
            continue
        for ending in ('_label.csv', '.mp4', *SKELETON_ENDINGS):
            if path.name.lower().endswith(ending):
                ids = found.setdefault(ending, {})
                ids.setdefault(path.name[:-len(ending)], []).append(path)
                break
        else:
            if path.suffix.lower() == '.csv' and _is_licensed_csv(path, root, report):
                if layout.licensed_csv is None:
                    layout.licensed_csv = path
                else:
                    report.add('tables of labels that occur twice', path.relative_to(root),
                               f'not used; {layout.licensed_csv.relative_to(root)} is')

    layout.label_files = _one_each(found.get('_label.csv', {}), 'label files', root, report)
    layout.videos = _one_each(found.get('.mp4', {}), 'videos', root, report)
    for ending in reversed(SKELETON_ENDINGS):
        layout.skeletons |= _one_each(found.get(ending, {}), 'skeletons', root, report)
    if not found.get('_label.csv') and layout.licensed_csv is None:
        raise ReleaseError(
            f'no <VID>_label.csv and no labels_20200831.csv below {root}: put the '
            'imigue_skeleton_phase1 and phase2 zips there, which hold the labels, unpacked or as '
            'they are')
    if not found.get('.mp4'):
        raise ReleaseError(f'no <VID>.mp4 below {root}: put the imigue_rgb_phase1 and phase2 zips '
                           'there, too, unpacked or as they are')
    for video_id in sorted({*layout.videos, *layout.label_files}):
        paths = [files[video_id] for files in (layout.label_files, layout.videos)
                 if video_id in files]
        named = [part for part in (_part_of(path, root) for path in paths) if part]
        part = next(iter(named), None)
        if len(set(named)) > 1:
            report.add('label file and video in different parts', paths[0].relative_to(root),
                       f'{named[0]}, but {paths[1].relative_to(root)} is in {named[1]}; '
                       f'{part} is used')
        if part is None:
            report.add('unknown part', paths[0].relative_to(root), 'no folder above it is named '
                       'after train, validation or test; not used, keep the folders of the zips')
        else:
            layout.part_of[video_id] = part
    return layout


def _is_licensed_csv(path: Path, root: Path, report: Report) -> bool:
    """Whether a csv has the columns of the licensed release's table of labels."""
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            header = [name.strip() for name in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        report.add('csv files that cannot be read', path.relative_to(root),
                   f'{error}; not used, if it is the table of labels save it as UTF-8')
        return False
    return set(LICENSED_COLUMNS) <= set(header)


def _part_of(path: Path, root: Path) -> str | None:
    for folder in path.relative_to(root).parents:
        for part, pattern in PART_PATTERNS:
            if pattern.search(folder.name):
                return part
    return None


def _one_each(found: dict[str, list[Path]], kind: str, root: Path,
              report: Report) -> dict[str, Path]:
    """Path by video id; of several different files of one id none is used."""
    result = {}
    for video_id, paths in sorted(found.items()):
        first, *others = paths
        differ = [path for path in others if not filecmp.cmp(first, path, shallow=False)]
        for path in others:
            report.add(f'{kind} that occur twice', path.relative_to(root),
                       _twice(first.relative_to(root), path in differ))
        if not differ:
            result[video_id] = first
    return result


def _twice(first: Path, differs: bool) -> str:
    if differs:
        return f'differs from {first}: none of this id is used, remove the wrong one'
    return f'is the same as {first}, which is used'
