"""Turn a release of iMiGUE into the files that the datasets read.

ROOT is the folder with the challenge's zips, as they are or unpacked, or with the
licensed release. The parts are found by what the folders contain; zips are unpacked
beside themselves. A second run does only what is missing.

OUT gets train.csv, val.csv, test.csv and trainval.csv (segments of whole videos),
holdout_train.csv and holdout_val.csv (a validation part of other people, or without
--subjects of other videos), with subjects xsub_train.csv and xsub_test.csv (the paper's
cross-subject protocol), each also as a clip list (.txt) for cut clips, skeleton.pkl,
label_map.txt, report.txt, report.json, classes.png, and the link videos to ROOT,
where the configs look for the videos.
"""
import argparse
import csv
import io
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from gaie_mmaction.datasets.annotations import SEGMENT_HEADER
from gaie_mmaction.datasets.imigue_classes import IMIGUE_CLASSES
from gaie_mmaction.release.archives import unpack_archives
from gaie_mmaction.release.cutting import cut_clips
from gaie_mmaction.release.examination import Facts, examine
from gaie_mmaction.release.labels import (
    LicensedTable,
    read_label_file,
    read_licensed_csv,
    read_test_labels,
)
from gaie_mmaction.release.layout import PARTS, Layout, find_layout
from gaie_mmaction.release.report import ReleaseError, Report
from gaie_mmaction.release.segments import (
    Row,
    cross_subject,
    hold_out,
    make_rows,
    skeleton_clips,
)
from gaie_mmaction.utils.files import (
    FolderInUseError,
    atomic_file,
    locked_folder,
    remove_partial_files,
)

Key = TypeVar('Key')
Result = TypeVar('Result')

CLIPS_A_TASK = 16
# not made of every release
FURTHER_SPLITS = ('holdout_train', 'holdout_val', 'xsub_train', 'xsub_test')


def _end_with_parent() -> None:
    """Workers must not live on, and write on, when the tool itself is killed.

    After Ctrl-C they end at once, without a traceback of their own.
    """
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _deferred_interrupt() -> Iterator[list[int]]:
    """Collect Ctrl-C in a list: Python can lose one while it starts or ends a process."""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            raise KeyboardInterrupt


def in_parallel(function: Callable[..., Result], jobs: Mapping[Key, tuple], workers: int,
                title: str, unit: str, weight: Callable[[Key], int] = lambda key: 1
                ) -> Iterator[tuple[Key, Result]]:
    """Run jobs in processes, with a progress bar.

    Args:
        function (Callable): Of the jobs' arguments.
        jobs (dict): Arguments by key.
        workers (int): Processes.
        title, unit (str): Of the progress bar.
        weight (Callable): How much of the bar a key stands for.

    Yields:
        tuple: Key and result, as they come.
    """
    with _deferred_interrupt() as came, \
            tqdm(total=sum(map(weight, jobs)), desc=title, unit=unit, smoothing=.05) as bar, \
            ProcessPoolExecutor(workers, initializer=_end_with_parent) as pool:
        try:
            futures = {pool.submit(function, *job): key for key, job in jobs.items()}
            pending = set(futures)
            while pending and not came:
                done, pending = wait_for(pending, timeout=.2, return_when=FIRST_COMPLETED)
                for future in done:
                    yield futures[future], future.result()
                    bar.update(weight(futures[future]))
        except BrokenProcessPool:
            time.sleep(.5)  # if it was Ctrl-C, which ends the processes too, it arrives here
            if came:
                return
            raise ReleaseError(f'a process of the step "{title}" died (killed, or out of memory): '
                               'run again, perhaps with fewer --workers; what is done is '
                               'kept') from None
        finally:
            pool.shutdown(cancel_futures=True)  # after an error, do not begin the others


def examine_all(layout: Layout, root: Path, cache: Path, workers: int,
                report: Report) -> dict[str, Facts]:
    """Look at every video and skeleton; unreadable videos are listed and left out."""
    jobs = {video_id: (video_id, layout.videos[video_id], layout.skeletons.get(video_id), cache)
            for video_id in sorted(layout.part_of) if video_id in layout.videos}
    found = dict(in_parallel(examine, jobs, workers, 'videos', 'video'))
    facts = {}
    for video_id in jobs:
        seen = found[video_id]
        for note in seen.skeleton_notes:
            report.add('skeletons', layout.skeletons[video_id].relative_to(root), note)
        if layout.skeletons and video_id not in layout.skeletons:
            report.add('skeletons', layout.videos[video_id].relative_to(root),
                       'has no skeleton file; its clips have no joints')
        if seen.fault:
            report.add('videos that cannot be read', layout.videos[video_id].relative_to(root),
                       f'{seen.fault}; its clips are left out: fetch the file again')
        else:
            facts[video_id] = seen
    sizes = Counter(f'{seen.width}x{seen.height}' for seen in facts.values())
    rates = Counter(f'{seen.fps:.2f} frames/s' for seen in facts.values())
    states = Counter(seen.skeleton for seen in facts.values())
    report.resolutions, report.frame_rates, report.skeletons = (
        dict(counts.most_common()) for counts in (sizes, rates, states))
    return facts


def make_parts(layout: Layout, root: Path, facts: dict[str, Facts],
               licensed: LicensedTable | None, report: Report) -> dict[str, list[Row]]:
    """Rows of ``train``, ``val`` and ``test``."""
    parts: dict[str, list[Row]] = {part: [] for part in PARTS}
    report.videos = dict.fromkeys(PARTS, 0)
    for video_id, path in layout.label_files.items():
        if video_id not in layout.videos:
            report.add('labels without a video', path.relative_to(root),
                       f'there is no usable {video_id}.mp4; its clips are left out')
    for video_id in sorted(facts):
        part, video = layout.part_of[video_id], layout.videos[video_id].relative_to(root)
        if video_id in layout.label_files:
            source = layout.label_files[video_id].relative_to(root)
            label_rows = read_label_file(root / source, source, report)
        elif licensed and video_id in licensed.rows:
            source, label_rows = video, licensed.rows[video_id]
        else:
            report.add('videos without labels', video, f'there is no usable {video_id}_label.csv; '
                       'not used')
            continue
        report.videos[part] += 1
        parts[part] += make_rows(video_id, label_rows, facts[video_id], video.as_posix(), source,
                                 part != 'test', report)
    return parts


def add_splits(parts: dict[str, list[Row]], layout: Layout, root: Path, facts: dict[str, Facts],
               licensed: LicensedTable | None, report: Report) -> dict[str, list[Row]]:
    """The parts and the splits made of them."""
    splits = dict(parts, trainval=parts['train'] + parts['val'])
    subjects = licensed.subjects if licensed else {}
    splits.update(hold_out(splits['trainval'], subjects))
    if 'holdout_val' in splits:
        report.splits['holdout_train, holdout_val'] = (
            f'{len(splits["holdout_train"])} and {len(splits["holdout_val"])} clips of train and '
            f'validation part; no {"subject" if subjects else "video"} is in both')
    if licensed and subjects:
        rows: list[Row] = []
        for video_id in sorted(facts):
            if video_id in subjects:
                video = layout.videos[video_id].relative_to(root).as_posix()
                # what deviates is in the report already, for the parts
                rows += make_rows(video_id, licensed.rows[video_id], facts[video_id], video, video,
                                  True, Report())
        splits.update(cross_subject(_agreeing(rows, parts, report), subjects))
        report.splits['xsub_train, xsub_test'] = (
            f'{len(splits["xsub_train"])} and {len(splits["xsub_test"])} clips (published: 13936 '
            'and 4563), the cross-subject protocol')
        unknown = sorted(set(facts) - set(subjects))
        if unknown:
            report.add('videos without a subject', 'subjects',
                       f'{len(unknown)} videos are in no cross-subject split: {", ".join(unknown)}')
    return splits


def _agreeing(rows: list[Row], parts: dict[str, list[Row]], report: Report) -> list[Row]:
    """Rows of the table, but for those whose clip id stands for another clip in a label file."""
    own = {row[0]: row for part in parts.values() for row in part}
    agreeing = []
    for row in rows:
        clip_id, video, start, end, label = row
        other = own.get(clip_id, row)
        if other[2:4] == (start, end) and other[4] in (label, -1):
            agreeing.append(row)
        else:
            report.add('clips that the table has otherwise', video,
                       f'{clip_id}: {start}..{end}, label {label}, but {other[2]}..{other[3]}, '
                       f'label {other[4]} in the label file; in no cross-subject split')
    return agreeing


def label_test_part(rows: list[Row], path: Path) -> list[Row]:
    """Give the test part labels that the user has.

    Raises:
        ReleaseError: If a clip has none.
    """
    answers = read_test_labels(path)
    for row in rows:
        if row[0] not in answers:
            raise ReleaseError(f'{path} has no label for clip {row[0]} of the test part')
    return [(*row[:-1], answers[row[0]]) for row in rows]


def cut_all(rows: list[Row], root: Path, out: Path, workers: int, report: Report) -> int:
    """Cut every clip that is not there yet.

    Returns:
        int: How many were written.
    """
    clips = out / 'clips'
    clips.mkdir(exist_ok=True)
    remove_partial_files(clips)
    by_video: dict[str, list[Row]] = {}
    for row in rows:
        by_video.setdefault(row[1], []).append(row)
    jobs = {(video, start): (root / video, video, own[start:start + CLIPS_A_TASK], clips)
            for video, own in by_video.items() for start in range(0, len(own), CLIPS_A_TASK)}
    try:
        results = dict(in_parallel(cut_clips, jobs, workers, 'cutting', 'clip',
                                   lambda key: len(jobs[key][2])))
    finally:
        remove_partial_files(clips)
    for (video, _), (_, faults) in sorted(results.items()):
        for fault in faults:
            report.add('clips that could not be cut', video, fault)
    return sum(written for written, _ in results.values())


def write_text(path: Path, text: str) -> None:
    with atomic_file(path) as partial:
        partial.write_text(text, encoding='utf-8')


def write_annotations(out: Path, splits: dict[str, list[Row]]) -> None:
    """Segment csv and clip list of every split; what only an earlier run made is deleted."""
    for name in set(FURTHER_SPLITS) - set(splits):
        for ending in ('csv', 'txt'):
            (out / f'{name}.{ending}').unlink(missing_ok=True)
    for name, rows in splits.items():
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator='\n').writerows([SEGMENT_HEADER, *rows])
        write_text(out / f'{name}.csv', buffer.getvalue())
        write_text(out / f'{name}.txt', ''.join(f'{row[0]}.mp4 {row[-1]}\n' for row in rows))


def write_skeletons(out: Path, clips: dict | None) -> None:
    """Skeletons; what only an earlier run made is deleted."""
    path = out / 'skeleton.pkl'
    if clips is None:
        path.unlink(missing_ok=True)
        return
    with atomic_file(path) as partial, open(partial, 'wb') as file:
        pickle.dump(clips, file, protocol=4)


def write_report(out: Path, report: Report) -> None:
    write_text(out / 'report.txt', report.text())
    write_text(out / 'report.json', report.json())
    with atomic_file(out / 'classes.png') as partial:
        report.plot_classes(partial)


def link_videos(out: Path, root: Path) -> None:
    """Make ``out/videos`` point at the release.

    Raises:
        ReleaseError: If something else is there, or links cannot be made here.
    """
    link = out / 'videos'
    if link.exists() and link.samefile(root):
        return
    if link.exists() and not link.is_symlink():
        raise ReleaseError(f'{link} exists and is no link: move it away, the link to {root} goes '
                           'there')
    partial = out / '.videos.partial'
    partial.unlink(missing_ok=True)
    try:
        partial.symlink_to(root.resolve(), target_is_directory=True)
    except OSError as error:  # Windows allows it to administrators and in developer mode alone
        raise ReleaseError(
            f'no link from {link} to {root.resolve()} can be made here ({error.strerror}). On '
            f'Windows make it yourself, by mklink /J "{link.absolute()}" "{root.resolve()}" in a '
            'command prompt, and run again') from error
    os.replace(partial, link)


def prepare(root: Path, out: Path, subjects: Path | None = None,
            test_labels: Path | None = None, cut: bool = False, workers: int = 1) -> Report:
    """Do the whole job; see the module's text.

    Args:
        root (Path): The release.
        out (Path): Folder for the result.
        subjects (Path, optional): The licensed release's table, where it is not below ``root``.
        test_labels (Path, optional): Labels of the test part where they are known.
        cut (bool): Also cut clips. Defaults to False.
        workers (int): Processes. Defaults to 1.

    Returns:
        Report: As written.

    Raises:
        ReleaseError: If the release cannot be prepared.
        FolderInUseError: If another run writes into ``out``.
        OSError: If the target is full or cannot be written to.
    """
    if out.resolve() == root.resolve():
        raise ReleaseError(f'{out} is the release itself: give another folder to --out (one inside '
                           'the release will do)')
    cache = out / 'cache'
    cache.mkdir(parents=True, exist_ok=True)
    with locked_folder(out):
        return _prepare(root, out, cache, subjects, test_labels, cut, workers)


def _prepare(root: Path, out: Path, cache: Path, subjects: Path | None,
             test_labels: Path | None, cut: bool, workers: int) -> Report:
    report = Report()
    for folder in (out, cache):
        remove_partial_files(folder)
    link_videos(out, root)
    unpack_archives(root, out, report)
    layout = find_layout(root, out, report)
    table = subjects or layout.licensed_csv
    licensed = read_licensed_csv(table, table.name, report) if table else None

    facts = examine_all(layout, root, cache, workers, report)
    parts = make_parts(layout, root, facts, licensed, report)
    if test_labels is not None:
        parts['test'] = label_test_part(parts['test'], test_labels)
    report.count_clips(parts)
    splits = add_splits(parts, layout, root, facts, licensed, report)

    write_annotations(out, splits)
    write_skeletons(out, skeleton_clips(splits, facts, cache) if layout.skeletons else None)
    write_text(out / 'label_map.txt', '\n'.join(IMIGUE_CLASSES) + '\n')
    write_report(out, report)
    if cut:
        written = cut_all([row for part in PARTS for row in parts[part]], root, out, workers,
                          report)
        write_report(out, report)
        print(f'{written} clips were cut into {out / "clips"}, the others were there')
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='folder with the release')
    parser.add_argument('--out', type=Path, default=Path('data/imigue'),
                        help='folder of the result (default: data/imigue)')
    parser.add_argument('--subjects', type=Path, metavar='CSV',
                        help='labels_20200831.csv of the licensed release, for splits by subject '
                        '(found by itself where it is below ROOT)')
    parser.add_argument('--test-labels', type=Path, metavar='CSV',
                        help='csv clip_id,label with the labels of the test part, if you have them')
    parser.add_argument('--cut', action='store_true',
                        help='also cut every clip into a short video, OUT/clips/<clip_id>.mp4, '
                        'which loads faster')
    parser.add_argument('--workers', type=int, default=os.cpu_count(),
                        help='processes (default: as many as there are processors)')
    args = parser.parse_args()
    if not args.root.is_dir():
        sys.exit(f'{args.root} is no folder: give the one with the release')
    if args.workers < 1:
        sys.exit(f'--workers must be at least 1, but got {args.workers}')
    try:
        report = prepare(args.root, args.out, args.subjects, args.test_labels, args.cut,
                         args.workers)
    except (ReleaseError, FolderInUseError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print('\nstopped; what is done is kept, and run again it does only what is missing',
              file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        sys.exit(f'{error.filename or args.out} cannot be written: {error.strerror}. Nothing '
                 'half-written is left under a final name; mend it and run again, which does only '
                 'what is missing')
    print(report.text())
    print(f'Annotation files, report.txt, classes.png and the link to the videos are in {args.out}')


if __name__ == '__main__':
    main()
