"""Micro-Action-52's OpenPose skeletons, a pickle per part."""
from pathlib import Path

import numpy as np

from ..datasets.skeleton_layout import get_layout
from ..utils.safe_pickle import load_pickle_safely
from .layout import find_named
from .report import Report

KIND = 'skeletons'  # of what is reported
KEYS = ('keypoint', 'keypoint_score', 'img_shape')


def read_ma52_skeletons(root: Path, part: str, clips: dict[str, int], out: Path,
                        report: Report) -> list[dict]:
    """Skeletons of a part's clips, from ``MA52_PART.pkl``; none if there is no such file.

    The file is a list of annotations in the form of MMAction2's ``PoseDataset`` (keypoints
    ``(M, T, 28, 2)``, scores ``(M, T, 28)``), or a dict with such ``annotations``. It is read
    without running anything that it may hold. What cannot be used is reported and left out.

    Args:
        clips (dict[str, int]): Label by file name, which counts if the pickle has another one.
    """
    path = find_named(root, f'ma52_{part}.pkl', out, report)
    if path is None:
        return []
    name = path.relative_to(root)
    try:
        content = load_pickle_safely(str(path))
        annotations = content.get('annotations') if isinstance(content, dict) else content
        if not isinstance(annotations, list):
            raise ValueError(f'{name} must hold a list of annotations, but holds a '
                             f'{type(content).__name__}')
    except ValueError as error:
        report.add(KIND, name, f'{error}; left out')
        return []
    found: dict[str, dict] = {}
    for number, clip in enumerate(annotations):
        video = _video_name(clip)
        where = f'{name}, annotation {number} ({video or "without a name"})'
        if fault := _fault(clip, video, clips, found):
            report.add(KIND, where, f'{fault}; left out')
            continue
        if part != 'test' and clip.get('label') != clips[video]:
            report.add(KIND, where, f'has class {clip.get("label")}, the list {clips[video]}, '
                       'which is used')
        found[video] = _annotation(clip, video, clips[video], where, report)
    for video in sorted(clips.keys() - found.keys()):
        report.add(KIND, f'{part}: {video}', f'has no usable skeleton in {name}')
    report.skeletons[part] = len(found)
    return list(found.values())


def _video_name(clip: object) -> str:
    """Name of the clip's video in the lists, or an empty one."""
    if not isinstance(clip, dict):
        return ''
    place = clip.get('frame_dir', clip.get('filename'))
    return Path(str(place)).name.removesuffix('.mp4') + '.mp4' if place else ''


def _fault(clip: dict, video: str, clips: dict[str, int], found: dict[str, dict]) -> str:
    """Why a skeleton cannot be used, or an empty text."""
    if not video:
        return 'is not a dict with frame_dir or filename'
    if video not in clips:
        return 'is not in the list of the part'
    if video in found:
        return 'is given a second time'
    if missing := [key for key in KEYS if key not in clip]:
        return f'lacks {", ".join(missing)}'
    keypoint, score, shape = (clip[key] for key in KEYS)
    joints = get_layout('ma52').num_joints
    if not (isinstance(keypoint, np.ndarray) and isinstance(score, np.ndarray)
            and keypoint.ndim == 4 and keypoint.shape[2:] == (joints, 2) and keypoint.size
            and score.shape == keypoint.shape[:3]
            and all(values.dtype.kind in 'fiu' for values in (keypoint, score))):
        shapes = [getattr(values, 'shape', type(values)) for values in (keypoint, score)]
        return (f'keypoint must be (persons, frames, {joints}, 2) and keypoint_score '
                f'(persons, frames, {joints}), but they are {shapes[0]} and {shapes[1]}')
    if np.shape(shape) != (2, ) or min(shape) <= 0:
        return f'img_shape must be (height, width), but is {shape}'
    return ''


def _annotation(clip: dict, video: str, label: int, where: str, report: Report) -> dict:
    """What :class:`IMiGUEPoseDataset` reads, with zeros where a joint is missing."""
    keypoint, score = (np.array(clip[key], np.float32) for key in KEYS[:2])
    known = np.isfinite(keypoint).all(axis=-1) & np.isfinite(score)  # (M, T, 28)
    if not known.all():
        report.add(KIND, where, f'{int((~known).sum())} joints are not finite; taken for missing')
        keypoint[~known] = score[~known] = 0
    shape = tuple(int(side) for side in clip['img_shape'])
    return dict(frame_dir=video.removesuffix('.mp4'), label=label, total_frames=keypoint.shape[1],
                img_shape=shape, original_shape=shape, keypoint=keypoint, keypoint_score=score)
