"""Micro-Action-52 as the datasets read it: public lists, and videos under agreement."""
import csv
import io
import math
import pickle
import re
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..datasets.ma52_classes import BODY_PART_OF_ACTION, MA52_ACTIONS
from ..utils.files import atomic_file, locked_folder, write_text
from .archives import DAMAGE, MAX_UNPACKED_RATIO, METHODS, unpack_archives
from .layout import find_files, find_named
from .ma52_skeletons import read_ma52_skeletons
from .prepare import link_videos
from .report import ReleaseError, Report
from .splits import split_groups

PUBLISHED = dict(train=11250, val=5586, test=5586)
MAX_BYTES = 4 * 2**20  # of a submission's csv; the test part takes 250 KB
COLUMNS = ('vid', *(f'action_pred_{k}' for k in range(1, 6)),
           *(f'body_pred_{k}' for k in range(1, 6)))
COLUMNS_2024 = ('id', 'pred_label_1', 'pred_label_2')

Clips = dict[str, int]  # label by file name


def prepare_ma52(root: Path, out: Path, max_ratio: float = MAX_UNPACKED_RATIO) -> Report:
    """Write the clip lists of a release, its skeletons, and a report of every deviation.

    ``root`` holds ``train_list_videos.txt``, ``val_list_videos.txt`` and ``test_list_videos.txt``,
    the videos in zips (unpacked first) or folders, and where there are skeletons,
    ``MA52_train.pkl``, ``MA52_val.pkl`` and ``MA52_test.pkl``. ``out`` gets ``train.txt``,
    ``val.txt``, ``test.txt`` (unlabelled: its list's labels are placeholders), ``trainval.txt``,
    ``holdout_train.txt`` and ``holdout_val.txt`` (no first field of a name in both),
    ``skeleton.pkl`` with splits of the same names, ``report.txt``, ``report.json``, and
    ``videos``, a link to ``root``.

    Raises:
        ReleaseError: If a list is missing or nothing of it can be used.
        FolderInUseError: If another run writes into ``out``.
    """
    report = Report(published_clips=dict(PUBLISHED))
    out.mkdir(parents=True, exist_ok=True)
    with locked_folder(out):
        unpack_archives(root, out, report, max_ratio)
        listed = _read_lists(root, out, report)
        skeletons = [clip for part, clips in listed.items()
                     for clip in read_ma52_skeletons(root, part, clips, out, report)]
        videos = _find_videos(root, out, report)
        usable = videos.keys() | {f'{clip["frame_dir"]}.mp4' for clip in skeletons}
        if not any(clips.keys() & usable for clips in listed.values()):
            raise ReleaseError(f'none of the listed clips has a video or a skeleton below {root}: '
                               'put train.zip, val.zip and test.zip there, unpacked or as they are')
        trainval = {name: label for part in ('train', 'val')
                    for name, label in listed[part].items() if name in usable}
        splits = dict(listed, trainval=trainval, **grouped_holdout(trainval, report))
        _write_lists(out, splits, videos, report)
        _write_skeletons(out, splits, skeletons)
        report.write(out)
        link_videos(out, root)
    return report


def _read_lists(root: Path, out: Path, report: Report) -> dict[str, Clips]:
    """Clips of each list, without those of an earlier one."""
    parts: dict[str, Clips] = {}
    seen: dict[str, str] = {}
    for part in PUBLISHED:
        rows = _read_list(root, part, out, report)
        for name in sorted(rows.keys() & seen.keys()):
            report.add('clips in two parts', f'{part}: {name}',
                       f'is in {seen[name]}, too; left out here')
            del rows[name]
        seen |= dict.fromkeys(rows, part)
        parts[part] = rows
    return parts


def _write_lists(out: Path, splits: dict[str, Clips], videos: dict[str, str],
                 report: Report) -> None:
    """Write a clip list per split, of the clips that have a video."""
    for name in ('holdout_train', 'holdout_val'):  # those that only an earlier run made
        if name not in splits:
            (out / f'{name}.txt').unlink(missing_ok=True)
    for split, clips in splits.items():
        own = {videos[name]: label for name, label in clips.items() if name in videos}
        write_text(out / f'{split}.txt',
                   ''.join(f'{video} {label}\n' for video, label in own.items()))
        if split in PUBLISHED:
            for name in sorted(clips.keys() - videos.keys()) if videos else ['all']:
                report.add('clips without a video', f'{split}: {name}', 'left out')
            report.videos[split] = len(own)
            report.count_clips(split, list(own.values()), MA52_ACTIONS)


def _write_skeletons(out: Path, splits: dict[str, Clips], skeletons: list[dict]) -> None:
    """Write ``skeleton.pkl`` if there are skeletons; training splits leave empty ones out."""
    path = out / 'skeleton.pkl'
    if not skeletons:
        path.unlink(missing_ok=True)  # perhaps of an earlier run
        return
    ids = {clip['frame_dir'] for clip in skeletons}
    drawn = {clip['frame_dir'] for clip in skeletons if clip['keypoint'].any()}
    split = {}
    for name, clips in splits.items():
        have = drawn if name.endswith(('train', 'trainval')) else ids
        split[name] = [stem for clip in clips if (stem := clip.removesuffix('.mp4')) in have]
    with atomic_file(path) as partial:
        partial.write_bytes(pickle.dumps(dict(split=split, annotations=skeletons), protocol=4))


def _find_videos(root: Path, out: Path, report: Report) -> dict[str, str]:
    """Path of each video by name, relative to the release; of equal names the first."""
    found: dict[str, str] = {}
    for path in find_files(root, ('.mp4', ), out, report):
        if path.stat().st_size == 0:
            report.add('videos that are empty', path.relative_to(root), 'taken for missing')
        elif path.name in found:
            report.add('videos that occur twice', path.relative_to(root),
                       f'{found[path.name]} is used')
        else:
            found[path.name] = path.relative_to(root).as_posix()
    return found


def _read_list(root: Path, part: str, out: Path, report: Report) -> Clips:
    """Label by file name; -1 in the test part."""
    name = f'{part}_list_videos.txt'
    path = find_named(root, name, out, report)
    if path is None:
        raise ReleaseError(f'no {name} below {root}: take the public list from the folder '
                           'mar_scripts/manet/mmaction2/data/ma52 of VUT-HFUT/Micro-Action')
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise ReleaseError(f'{path} is not UTF-8 text ({error}): take the public list anew') from (
            error)
    clips: Clips = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        where = f'{name}, line {number}'
        if not fields:
            continue
        if len(fields) != 2 or not fields[1].isdecimal():
            report.add('lines that cannot be read', where, f'{line!r} is not a name and a label')
        elif int(fields[1]) >= len(MA52_ACTIONS):
            report.add('lines that cannot be read', where,
                       f'class {fields[1]} is not in 0..{len(MA52_ACTIONS) - 1}; left out')
        elif clips.get(fields[0], int(fields[1])) != int(fields[1]) and part != 'test':
            report.add('lines that cannot be read', where, f'{fields[0]} was given as class '
                       f'{clips[fields[0]]} above, which is used')
        else:
            clips[fields[0]] = int(fields[1]) if part != 'test' else -1
    return clips


def grouped_holdout(clips: Clips, report: Report) -> dict[str, Clips]:
    """Training and validation lists without a common first field of the names.

    The official parts have all 186 first fields in common. The meaning of the field is not
    documented; if it is the person, accuracy on the official validation part is optimistic.
    """
    names, labels = list(clips), list(clips.values())
    chosen = split_groups([name.split('_')[0] for name in names], labels)
    if not chosen:
        report.splits['holdout'] = ('none: all clips have the same first field, or are the only '
                                    'one of their class')
    report.splits |= {part: f'{len(numbers)} clips' for part, numbers in chosen.items()}
    return {part: {names[k]: labels[k] for k in numbers} for part, numbers in chosen.items()}


def write_ma52_submission(path: str | Path, scores: Mapping[str, Sequence[float]],
                          form: str = '2025') -> None:
    """Write ``prediction.csv`` in a zip, from the 52 scores of each clip by file name.

    Args:
        path (str or Path): Path of the zip.
        scores (Mapping[str, Sequence[float]]): Scores by name, such as ``test0000.mp4``.
        form (str): ``'2025'``: five actions and their body parts; ``'2024'``: body part and
            action. Defaults to ``'2025'``.
    """
    if form not in ('2024', '2025'):
        raise ValueError(f"form must be '2024' or '2025', but got {form!r}")
    rows: list[tuple] = [COLUMNS if form == '2025' else COLUMNS_2024]
    for name, values in sorted(scores.items()):
        if len(values) != len(MA52_ACTIONS):
            raise ValueError(f'{name} has {len(values)} scores, not {len(MA52_ACTIONS)}')
        if not all(map(math.isfinite, values)):
            raise ValueError(f'{name} has scores that are not finite')
        best = sorted(range(len(values)), key=lambda label: -values[label])[:5]
        parts = [BODY_PART_OF_ACTION[label] for label in best]
        rows.append((name, *best, *parts) if form == '2025' else (name, parts[0], best[0]))
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    with atomic_file(path) as partial, zipfile.ZipFile(partial, 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('prediction.csv', text.getvalue())


def check_ma52_submission(path: str | Path, names: Sequence[str]) -> list[str]:
    """Check a submission of either form against the names of the test list.

    Returns:
        list[str]: A line per kind of fault; empty if it can be handed in.
    """
    try:
        with zipfile.ZipFile(path) as file:
            if file.namelist() != ['prediction.csv']:
                return [f'it must hold prediction.csv alone, but holds {file.namelist()[:5]}']
            member, = file.infolist()
            if member.file_size > MAX_BYTES or member.compress_type not in METHODS:
                return [f'prediction.csv takes {member.file_size} bytes, of at most {MAX_BYTES}, '
                        f'by method {member.compress_type}: write it with Deflate']
            rows = list(csv.reader(io.StringIO(file.read('prediction.csv').decode('utf-8'))))
    except (*DAMAGE, OSError, RuntimeError, csv.Error) as error:  # RuntimeError: a password
        return [f'it cannot be read as a zip with a csv: {error}']
    header = tuple(rows[0]) if rows else ()
    if header not in (COLUMNS, COLUMNS_2024):
        return [f'its header must be {",".join(COLUMNS)} or {",".join(COLUMNS_2024)}']
    limits = ([52] * 5 + [7] * 5) if header == COLUMNS else [7, 52]
    faults = []
    wrong = [row for row in rows[1:] if len(row) != len(header) or not all(
        re.fullmatch('[0-9]{1,2}', value) and int(value) < limit
        for value, limit in zip(row[1:], limits))]
    if wrong:
        faults.append(f'{len(wrong)} rows have a wrong number of values, or one out of range, '
                      f'e.g. {",".join(wrong[0])}')
    counts = Counter(row[0] for row in rows[1:] if row)
    for what, examples in (('occur more than once', [k for k, n in counts.items() if n > 1]),
                           ('are not in the list', sorted(counts.keys() - set(names))),
                           ('are missing', sorted(set(names) - counts.keys()))):
        if examples:
            faults.append(f'{len(examples)} clips {what}, e.g. {examples[0]}')
    return faults
