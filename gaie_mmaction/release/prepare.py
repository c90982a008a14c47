"""Turn a release into the files that the datasets read."""
from pathlib import Path

from ..utils.files import locked_folder, remove_partial_files
from .archives import MAX_UNPACKED_RATIO, unpack_archives
from .cutting import cut_all
from .labels import LicensedTable, add_test_labels, read_licensed_csv
from .layout import PARTS, find_layout
from .outputs import link_videos, skeleton_clips, write_outputs, write_report
from .report import ReleaseError, Report
from .splits import make_parts, make_splits
from .video_info import probe_all


def prepare(root: Path, out: Path, *, subjects: Path | None = None,
            test_labels: Path | None = None, cut: bool = False, workers: int = 1,
            max_unpacked_ratio: float = MAX_UNPACKED_RATIO) -> Report:
    """Prepare a release of iMiGUE; a second run does only what is missing.

    Args:
        root (Path): The release. Its zips are unpacked beside themselves.
        out (Path): Folder for annotation files, skeletons, report and a link to ``root``.
        subjects (Path, optional): The licensed release's table, where it is not below ``root``.
        test_labels (Path, optional): Labels of the test part where they are known.
        cut (bool): Also cut every clip into a short video.
        workers (int): Number of processes.
        max_unpacked_ratio (float): Zips that unpack to more than this multiple of their size
            (and to more than 100 MB) are refused.

    Raises:
        ReleaseError, FolderInUseError, WorkerError: If the release cannot be prepared, another run
            writes into ``out``, or a worker process dies.
        OSError: If ``out`` is full or cannot be written to.
    """
    if out.resolve() == root.resolve():
        raise ReleaseError(f'{out} is the release itself: give another folder to --out (one inside '
                           'the release will do)')
    cache, report = out / 'cache', Report()
    cache.mkdir(parents=True, exist_ok=True)
    with locked_folder(out):
        remove_partial_files(out)
        remove_partial_files(cache)
        link_videos(out, root)
        unpack_archives(root, out, report, max_unpacked_ratio)
        layout = find_layout(root, out, report)
        table = subjects or layout.licensed_csv
        licensed = (read_licensed_csv(table, table.name, report) if table
                    else LicensedTable({}, {}))
        report.unplaced_videos = len({*layout.label_files, *licensed.rows} & {*layout.unplaced})

        infos = probe_all(layout, cache, workers, report)
        parts = make_parts(layout, infos, licensed, report)
        if test_labels is not None:
            parts['test'] = add_test_labels(parts['test'], test_labels)
            report.count_clips(parts)
        splits = make_splits(parts, layout, infos, licensed, report)

        skeletons = skeleton_clips(splits, infos, cache) if layout.skeletons else None
        write_outputs(out, splits, skeletons)
        write_report(out, report)
        if cut:
            segments = [segment for part in PARTS for segment in parts[part]]
            cut_all(segments, root, out / 'clips', workers, report)
            write_report(out, report)  # again, with what was found on the way
    return report
