"""What a preparation writes besides clips."""
import os
import pickle
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from ..datasets.annotations import write_annotations
from ..datasets.imigue_classes import IMIGUE_CLASSES
from ..utils.files import atomic_file
from .report import ReleaseError, Report
from .splits import Splits, video_id_of
from .video_info import VideoInfo


def write_outputs(out: Path, splits: Splits, skeletons: dict | None) -> None:
    """Write annotation files and skeletons; those that only an earlier run made are deleted."""
    for name in ('holdout_train', 'holdout_val', 'xsub_train', 'xsub_test'):
        if name not in splits:
            (out / f'{name}.csv').unlink(missing_ok=True)
            (out / f'{name}.txt').unlink(missing_ok=True)
    if skeletons is None:
        (out / 'skeleton.pkl').unlink(missing_ok=True)
    for name, segments in splits.items():
        write_annotations(out / name, segments)
    with atomic_file(out / 'label_map.txt') as partial:
        partial.write_text('\n'.join(IMIGUE_CLASSES) + '\n', encoding='utf-8')
    if skeletons is not None:
        with atomic_file(out / 'skeleton.pkl') as partial:
            partial.write_bytes(pickle.dumps(skeletons, protocol=4))


def skeleton_clips(splits: Splits, infos: dict[str, VideoInfo], cache: Path) -> dict:
    """Skeletons of all clips, as MMAction2's ``PoseDataset`` reads them.

    ``keypoint`` is ``(1, T, 22, 2)`` in pixels, ``keypoint_score`` ``(1, T, 22)``, both float32. A
    clip without any joint has zeros, and is in no split whose name ends in ``train(val)``.
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
                    np.zeros((info.num_frames, 22, 3), np.float32))
        for clip_id, _, start, end, label in clips.values():
            joints = skeleton[None, start:end + 1]
            if not joints.any():
                empty.add(clip_id)
            annotations.append(dict(
                frame_dir=clip_id, label=label, total_frames=end - start + 1, img_shape=shape,
                original_shape=shape, keypoint=np.ascontiguousarray(joints[..., :2]),
                keypoint_score=np.ascontiguousarray(joints[..., 2])))
    split = {name: [segment.clip_id for segment in part
                    if not (name.endswith(('train', 'trainval')) and segment.clip_id in empty)]
             for name, part in splits.items()}
    return dict(split=split, annotations=annotations)


def write_report(out: Path, report: Report) -> None:
    """Write ``report.txt``, ``report.json`` and ``classes.png``."""
    for name, text in (('report.txt', report.text()), ('report.json', report.json())):
        with atomic_file(out / name) as partial:
            partial.write_text(text, encoding='utf-8')
    with atomic_file(out / 'classes.png') as partial:
        report.plot_classes(partial)


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
