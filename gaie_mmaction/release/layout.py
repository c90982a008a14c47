"""Find labels, videos and skeletons of a release by the names of files and folders."""
import csv
import filecmp
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .report import UNSAFE, ReleaseError, Report

PARTS = ('train', 'val', 'test')
# Whole words: `latest` is not a test part, `strain` not a training part. The challenge names the
# folders of its test videos by nothing but its second phase.
WORDS_OF_PART = dict(
    train=('train', 'training'), val=('val', 'valid', 'validate', 'validation', 'dev'),
    test=('test', 'testing', 'phase 2'))
LICENSED_COLUMNS = ('video_id', 'class', 'start_frame', 'end_frame')
# the first one found is used
SKELETON_ENDINGS = ('_light_hand.csv', '_openpose.xlsx', '_2.xlsx')


@dataclass
class Layout:
    """Files and part of each video id, the ids of unknown part, and the licensed label table."""
    root: Path
    label_files: dict[str, Path] = field(default_factory=dict)
    videos: dict[str, Path] = field(default_factory=dict)
    skeletons: dict[str, Path] = field(default_factory=dict)
    part_of: dict[str, str] = field(default_factory=dict)
    unplaced: list[str] = field(default_factory=list)
    licensed_csv: Path | None = None

    def name(self, path: Path) -> str:
        """Path as annotation files and the report have it: relative to the release."""
        return path.relative_to(self.root).as_posix()


def is_junk(name: str) -> bool:
    """Whether a path is what macOS adds to archives."""
    return any(part == '__MACOSX' or part.startswith('._') for part in PurePosixPath(name).parts)


def walk(root: Path, skip: Path) -> Iterator[tuple[Path, list[str]]]:
    """``root`` and the folders below it with the names of their files; links followed once.

    ``skip``, the tool's own output, is not entered.
    """
    seen, skip = set(), skip.resolve()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = Path(folder).resolve()
        if real in seen or real == skip:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_junk(name))
        yield Path(folder), sorted(names)


def find_files(root: Path, endings: tuple[str, ...], skip: Path,
               report: Report | None = None) -> Iterator[Path]:
    """Regular files below ``root``, but not ``skip``, with these (lower-case) endings, sorted.

    ``report`` gets the files that cannot be used.
    """
    for folder, names in walk(root, skip):
        for name in names:
            path = folder / name
            if not name.lower().endswith(endings) or is_junk(name):
                continue
            reason = _unusable_reason(path, root)
            if not reason:
                yield path
            elif report is not None:
                report.add('files that cannot be used', path.relative_to(root), reason)


def find_named(root: Path, name: str, skip: Path, report: Report) -> Path | None:
    """The one file below ``root`` with this (lower-case) name; ``report`` gets what is unclear."""
    found = [path for path in find_files(root, (name, ), skip, report) if path.name.lower() == name]
    for path in found[1:]:
        same = filecmp.cmp(path, found[0], shallow=False)
        report.add('files given twice', path.relative_to(root),
                   f'{"a copy of" if same else "differs from"} {found[0].relative_to(root)}, which '
                   'is used')
    return found[0] if found else None


def _unusable_reason(path: Path, root: Path) -> str:
    if not os.path.isfile(path):  # opening a pipe would wait for ever
        return 'is not a regular file but a broken link, a pipe or the like; taken for missing'
    if UNSAFE.search(str(path.relative_to(root))):
        return ('has a control character, a line break or a byte that is not UTF-8 in its path, '
                'which annotation files cannot hold; left out, rename it')
    return ''


def find_layout(root: Path, skip: Path, report: Report, joints: int = 22) -> Layout:
    """Find the files of a release; unclear ones are reported.

    Skeletons are those files that have so many joints, 22 or 137.
    """
    found: dict[str, dict[str, list[Path]]] = {
        ending: {} for ending in ('_label.csv', '.mp4', *SKELETON_ENDINGS)}
    layout = Layout(root)
    for path in find_files(root, ('.csv', '.mp4', '.xlsx'), skip, report):
        ending = next(filter(path.name.lower().endswith, found), None)
        if ending:
            found[ending].setdefault(path.name[:-len(ending)], []).append(path)
        elif path.suffix.lower() == '.csv' and _is_licensed_csv(path, layout, report):
            layout.licensed_csv = layout.licensed_csv or path
            if layout.licensed_csv != path:
                report.add('tables of labels that occur twice', layout.name(path),
                           f'not used; {layout.name(layout.licensed_csv)} is')
    for present, what, kind in (
            (found['_label.csv'] or layout.licensed_csv,
             '<VID>_label.csv and no labels_20200831.csv', 'skeleton'),
            (found['.mp4'], '<VID>.mp4', 'rgb')):
        if not present:
            raise ReleaseError(f'no {what} below {root}: put the imigue_{kind}_phase1 and phase2 '
                               'zips there, unpacked or as they are')
    layout.label_files = _one_each(found['_label.csv'], 'label files', layout, report)
    layout.videos = _one_each(found['.mp4'], 'videos', layout, report)
    for ending in reversed(SKELETON_ENDINGS):
        if joints == 137 and not ending.endswith('.xlsx'):
            continue
        layout.skeletons |= _one_each(found[ending], 'skeletons', layout, report)
    for video_id in sorted({*layout.videos, *layout.label_files}):
        _place(video_id, layout, report)
    return layout


def _place(video_id: str, layout: Layout, report: Report) -> None:
    """Find the part of a video by the folders of its label file and of itself."""
    paths = [files[video_id] for files in (layout.label_files, layout.videos) if video_id in files]
    parts = [_named_parts(path, layout) for path in paths]
    for path, named in zip(paths, parts):
        if len(named) > 1:
            report.add('ambiguous folder names', layout.name(path),
                       f'its folder names {" and ".join(named)}')
    certain = [named[0] for named in parts if len(named) == 1]
    if not certain:
        layout.unplaced.append(video_id)
        report.add('unknown part', layout.name(paths[0]), 'no folder above it is named after one '
                   'of train, validation and test; not used, keep the folders of the zips')
        return
    layout.part_of[video_id] = certain[0]
    if len(set(certain)) > 1:
        report.add('label file and video in different parts', layout.name(paths[0]),
                   f'{certain[0]}, but {layout.name(paths[1])} is in {certain[1]}; '
                   f'{certain[0]} is used')


def _named_parts(path: Path, layout: Layout) -> list[str]:
    """Parts that the nearest telling folder name has in it, none if there is no such folder."""
    for folder in path.relative_to(layout.root).parents:
        words = re.sub('(?<=[a-z])(?=[A-Z])', ' ', folder.name).lower()  # TrainData
        words = ' '.join(['', *re.findall(r'[^\W\d_]+|\d+', words), ''])
        named = [part for part, own in WORDS_OF_PART.items()
                 if any(f' {word} ' in words for word in own)]
        if named:
            return named
    return []


def _is_licensed_csv(path: Path, layout: Layout, report: Report) -> bool:
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            header = [name.strip() for name in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        report.add('csv files that cannot be read', layout.name(path),
                   f'{error}; not used, if it is the table of labels save it as UTF-8')
        return False
    return set(LICENSED_COLUMNS) <= set(header)


def _one_each(found: dict[str, list[Path]], kind: str, layout: Layout,
              report: Report) -> dict[str, Path]:
    """One path per video id; of several different files of one id none is used."""
    result = {}
    for video_id, (first, *others) in sorted(found.items()):
        same = [filecmp.cmp(first, path, shallow=False) for path in others]
        for path, is_same in zip(others, same):
            name = layout.name(first)
            report.add(f'{kind} that occur twice', layout.name(path),
                       f'is the same as {name}, which is used' if is_same else
                       f'differs from {name}: none of this id is used, remove the wrong one')
        if all(same):
            result[video_id] = first
    return result
