"""Turn a release into the files that the datasets read."""
import os
import pickle
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from ..datasets.annotations import write_annotations
from ..datasets.imigue_classes import IMIGUE_CLASSES
from ..report.overlays import SkeletonSource
from ..report.release_page import make_media, write_release_page
from ..utils.files import atomic_file, locked_folder, remove_partial_files, write_text
from .archives import MAX_UNPACKED_RATIO, unpack_archives
from .cutting import cut_all
from .labels import LicensedTable, add_test_labels, read_licensed_csv
from .layout import PARTS, Layout, find_layout
from .report import ReleaseError, Report
from .skeletons import FROM_OPENPOSE
from .splits import Splits, make_parts, make_splits, video_id_of
from .video_info import VideoInfo, probe_all


def prepare(root: Path, out: Path, *, subjects: Path | None = None,
            test_labels: Path | None = None, cut: bool = False, workers: int = 1,
            max_unpacked_ratio: float = MAX_UNPACKED_RATIO, joints: int = 22,
            previews: bool = False) -> Report:
    """Prepare a release of iMiGUE; a second run does only what is missing.

    Args:
        root (Path): The release. Its zips are unpacked beside themselves.
        out (Path): Folder for annotation files, skeletons, reports and a link to ``root``.
        subjects (Path, optional): The licensed release's table, where it is not below ``root``.
        test_labels (Path, optional): Labels of the test part where they are known.
        cut (bool): Also cut every clip into a short video.
        workers (int): Number of processes.
        max_unpacked_ratio (float): Zips that unpack to more than this multiple of their size
            (and to more than 100 MB) are refused.
        joints (int): 22, the challenge kit's, into ``skeleton.pkl``, or 137, all of OpenPose's
            workbooks, into ``skeleton137.pkl``; the ``xsub_*`` splits into ``skeleton_xsub.pkl``
            and ``skeleton137_xsub.pkl``.
        previews (bool): Also add small videos of each class to ``report.html``.

    Raises:
        ReleaseError, FolderInUseError, WorkerError: If the release cannot be prepared, another run
            writes into ``out``, or a worker process dies.
        OSError: If ``out`` is full or cannot be written to.
    """
    if out.resolve() == root.resolve():
        raise ReleaseError(f'{out} is the release itself: give another folder to --out (one inside '
                           'the release will do)')
    cache, report = out / ('cache' if joints == 22 else f'cache{joints}'), Report()
    cache.mkdir(parents=True, exist_ok=True)
    with locked_folder(out):
        remove_partial_files(out)
        remove_partial_files(cache)
        link_videos(out, root)
        unpack_archives(root, out, report, max_unpacked_ratio, workbooks=joints == 137)
        layout = find_layout(root, out, report, joints)
        if joints == 137 and not layout.skeletons:
            raise ReleaseError(f'no <VID>_openpose.xlsx and no <VID>_2.xlsx below {root}: only '
                               'these hold 137 joints')
        table = subjects or layout.licensed_csv
        licensed = (read_licensed_csv(table, table.name, report) if table
                    else LicensedTable({}, {}))
        report.unplaced_videos = len({*layout.label_files, *licensed.rows} & {*layout.unplaced})

        infos = probe_all(layout, cache, workers, report, joints)
        parts = make_parts(layout, infos, licensed, report)
        if test_labels is not None:
            parts['test'] = add_test_labels(parts['test'], test_labels)
            labels = [segment.label for segment in parts['test']]
            report.count_clips('test', labels, IMIGUE_CLASSES)
        splits = make_splits(parts, layout, infos, licensed, report)

        write_outputs(out, splits)
        write_skeletons(out, splits if layout.skeletons else {}, infos, cache, joints)
        report.write(out)
        media = make_media(out, root, parts, skeleton_sources(layout, infos, cache, joints),
                           workers, previews)
        write_release_page(out / 'report.html', report.content(), parts, media)
        if cut:
            segments = [segment for part in PARTS for segment in parts[part]]
            cut_all(segments, root, out / 'clips', workers, report)
            # again, with what was found on the way
            report.write(out)
            write_release_page(out / 'report.html', report.content(), parts, media)
    return report


def skeleton_sources(layout: Layout, infos: dict[str, VideoInfo], cache: Path,
                     joints: int) -> dict[str, SkeletonSource]:
    """What the page draws: iMiGUE's 22 joints over the videos that have them."""
    chosen = tuple(range(22)) if joints == 22 else FROM_OPENPOSE
    return {video_id: SkeletonSource(layout.videos[video_id], cache / f'{video_id}.npy', chosen,
                                     tuple(info.skeleton_notes))
            for video_id, info in infos.items() if info.skeleton == 'usable'}


def write_outputs(out: Path, splits: Splits) -> None:
    """Write annotation files; those that only an earlier run made are deleted."""
    for split in ('holdout_train', 'holdout_val', 'xsub_train', 'xsub_test'):
        if split not in splits:
            (out / f'{split}.csv').unlink(missing_ok=True)
            (out / f'{split}.txt').unlink(missing_ok=True)
    for split, segments in splits.items():
        write_annotations(out / split, segments)
    write_text(out / 'label_map.txt', '\n'.join(IMIGUE_CLASSES) + '\n')


def write_skeletons(out: Path, splits: Splits, infos: dict[str, VideoInfo], cache: Path,
                    joints: int) -> None:
    """Write the skeletons of splits; files that only an earlier run made are deleted.

    A skeleton has one label: ``xsub_*`` have a file of their own, since they know labels that the
    test part hides.
    """
    name = 'skeleton' if joints == 22 else f'skeleton{joints}'
    for path, is_xsub in ((out / f'{name}.pkl', False), (out / f'{name}_xsub.pkl', True)):
        own = {split: part for split, part in splits.items()
               if split.startswith('xsub') == is_xsub}
        if own:
            with atomic_file(path) as partial:
                partial.write_bytes(pickle.dumps(skeleton_clips(own, infos, cache, joints),
                                                 protocol=4))
        else:
            path.unlink(missing_ok=True)


def skeleton_clips(splits: Splits, infos: dict[str, VideoInfo], cache: Path,
                   joints: int) -> dict:
    """Skeletons of all clips, as MMAction2's ``PoseDataset`` reads them.

    ``keypoint`` is ``(1, T, joints, 2)`` in pixels, ``keypoint_score`` ``(1, T, joints)``, both
    float32. A clip without any joint has zeros, and is in no split whose name ends in
    ``train(val)``.
    """
    by_video: dict[str, dict] = {}
    for part in splits.values():
        for segment in part:
            by_video.setdefault(video_id_of(segment), {})[segment.clip_id] = segment
    annotations, empty = [], set()
    for video_id, clips in track(sorted(by_video.items()), 'skeletons',
                                 console=Console(stderr=True)):
        info = infos[video_id]
        shape = (info.height, info.width)
        skeleton = (np.load(cache / f'{video_id}.npy') if info.skeleton == 'usable' else
                    np.zeros((info.num_frames, joints, 3), np.float32))
        for clip_id, _, start, end, label in clips.values():
            values = skeleton[None, start:end + 1]
            if not values.any():
                empty.add(clip_id)
            annotations.append(dict(
                frame_dir=clip_id, label=label, total_frames=end - start + 1, img_shape=shape,
                original_shape=shape, keypoint=np.ascontiguousarray(values[..., :2]),
                keypoint_score=np.ascontiguousarray(values[..., 2])))
    split = {name: [segment.clip_id for segment in part
                    if not (name.endswith(('train', 'trainval')) and segment.clip_id in empty)]
             for name, part in splits.items()}
    return dict(split=split, annotations=annotations)


def link_videos(out: Path, root: Path) -> None:
    """Make ``out/videos`` point at the release."""
    link = out / 'videos'
    if link.exists() and link.samefile(root):
        return
    if link.exists() and not link.is_symlink():
        raise ReleaseError(f'{link} exists and is not a link: move it away, the link to {root} '
                           'goes there')
    partial = out / '.videos.partial'
    partial.unlink(missing_ok=True)
    try:
        partial.symlink_to(root.resolve(), target_is_directory=True)
    except OSError as error:  # Windows allows it only to administrators and in developer mode
        raise ReleaseError(
            f'no link from {link} to {root.resolve()} can be made here ({error.strerror}). On '
            f'Windows make it yourself, by mklink /J "{link.absolute()}" "{root.resolve()}" in a '
            'command prompt, and run again') from error
    os.replace(partial, link)
