"""What one video and its skeleton hold; looked at once, then remembered."""
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ..datasets.video_file import VideoFile, VideoReadError
from ..utils.files import atomic_file
from .skeletons import SkeletonError, read_skeleton

FORMAT = 1  # of the remembered facts; raised when they change


@dataclass
class Facts:
    """Of a video and its skeleton.

    Attributes:
        num_frames (int): 0 if the video cannot be read.
        width, height (int): As displayed, in pixels.
        fps (float): Average frame rate.
        fault (str): Why the video cannot be read.
        skeleton (str): ``'usable'``, ``'empty'``, ``'unreadable'`` or ``'absent'``.
        skeleton_notes (list[str]): What deviates in the skeleton file.
    """
    num_frames: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.
    fault: str = ''
    skeleton: str = 'absent'
    skeleton_notes: list[str] = field(default_factory=list)


def examine(video_id: str, video: Path, skeleton: Path | None, cache: Path) -> Facts:
    """Count the frames, decode the first and the last, convert the skeleton.

    Args:
        video_id (str): Name in the cache.
        video (Path): The mp4.
        skeleton (Path, optional): Its skeleton file.
        cache (Path): Folder for ``<VID>.json`` (the facts) and ``<VID>.npy`` (the
            skeleton, ``(T, 22, 3)``). They are used while both files stay the same.

    Returns:
        Facts: Of the video.
    """
    sources = [_identity(video)] + ([_identity(skeleton)] if skeleton else [])
    remembered = _recall(cache / f'{video_id}.json', sources)
    if remembered is not None and (remembered.skeleton not in ('usable', 'empty')
                                   or (cache / f'{video_id}.npy').exists()):
        return remembered
    facts = Facts()
    try:
        with VideoFile(video) as reader:
            first, _ = reader.read([0, len(reader) - 1])
            facts.num_frames, facts.fps = len(reader), round(reader.fps, 3)
            facts.height, facts.width = first.shape[:2]
    except VideoReadError as error:
        facts.fault = str(error)
    if skeleton is not None and not facts.fault:
        try:
            joints, facts.skeleton_notes = read_skeleton(skeleton, facts.num_frames)
        except SkeletonError as error:
            facts.skeleton, facts.skeleton_notes = 'unreadable', [f'{error}; not used']
        else:
            facts.skeleton = 'usable' if joints.any() else 'empty'
            with atomic_file(cache / f'{video_id}.npy') as partial, open(partial, 'wb') as file:
                np.save(file, joints)
    with atomic_file(cache / f'{video_id}.json') as partial:
        content = dict(format=FORMAT, sources=sources, facts=asdict(facts))
        partial.write_text(json.dumps(content), encoding='utf-8')
    return facts


def load_skeleton(video_id: str, cache: Path) -> np.ndarray:
    """Skeleton that :func:`examine` converted, ``(T, 22, 3)`` float32."""
    return np.load(cache / f'{video_id}.npy')


def _identity(path: Path) -> list:
    status = path.stat()
    return [str(path), status.st_size, status.st_mtime_ns]


def _recall(path: Path, sources: list) -> Facts | None:
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError:
        return None  # not ours, or spoilt: look at the video again
    if content['format'] != FORMAT or content['sources'] != sources:
        return None
    return Facts(**content['facts'])
