"""Skeletons over one frame of each video, as small pictures."""
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..datasets.skeleton_layout import LEFT, RIGHT, get_layout
from ..datasets.video_file import VideoFile, VideoReadError
from ..utils.files import atomic_file, remove_partial_files
from ..utils.parallel import in_parallel
from ..visualization.skeleton import paint_skeleton

SIDE = 480  # pixels, the longer one


@dataclass(frozen=True)
class SkeletonSource:
    """A video and its skeleton, ``(T, V, 3)`` in a ``.npy`` file, x, y and score."""
    video: Path
    skeleton: Path
    joints: tuple[int, ...]  # of V, iMiGUE's 22
    notes: tuple[str, ...] = ()  # what is odd about it


@dataclass(frozen=True)
class Overlay:
    """A picture, the number of the frame that it shows, and what is odd about the skeleton."""
    file: str
    frame: int
    notes: tuple[str, ...]


def make_overlays(sources: Mapping[str, SkeletonSource], folder: Path, workers: int
                  ) -> tuple[dict[str, Overlay], list[str]]:
    """Write a JPEG per video into ``folder``, in parallel; those that are up to date are kept.

    Returns the pictures by video id, and a note if some could not be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial_files(folder)
    jobs = {video_id: (video_id, source, folder) for video_id, source in sources.items()}
    results = dict(sorted(in_parallel(write_overlay, jobs, workers, 'Skeleton pictures', 'video')))
    overlays = {video_id: result for video_id, result in results.items()
                if isinstance(result, Overlay)}
    failed = {video_id: result for video_id, result in results.items() if isinstance(result, str)}
    notes = [f'{len(failed)} videos have no skeleton picture, e.g. {video_id}: {error}'
             for video_id, error in list(failed.items())[:1]]
    return overlays, notes


def write_overlay(video_id: str, source: SkeletonSource, folder: Path) -> Overlay | str:
    """Write the picture of the frame that shows most; returns the error where there is none."""
    skeleton = np.load(source.skeleton)
    # another name for the joints of another file
    path = folder / f'{video_id}_{skeleton.shape[1]}.jpg'
    skeleton = skeleton[:, source.joints]
    overlay = Overlay(path.name, choose_frame(skeleton), source.notes)
    # the skeleton's file is written anew where it or the video has changed
    if path.exists() and path.stat().st_mtime_ns >= source.skeleton.stat().st_mtime_ns:
        return overlay
    try:
        with VideoFile(source.video) as video:
            frame = video.read([overlay.frame])[0]
    except VideoReadError as error:
        return str(error)
    height, width = frame.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    image = paint_skeleton(frame, scale * skeleton[overlay.frame, :, :2],
                           get_layout('imigue'))
    content = cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    with atomic_file(path) as partial:
        partial.write_bytes(content.tobytes())
    return overlay


def choose_frame(skeleton: np.ndarray) -> int:
    """Of the frames with most joints, the one whose left and right joints are farthest apart.

    There it shows which hand is which. ``skeleton`` is ``(T, 22, 3)``; zeros are missing.
    """
    found = (skeleton != 0).any(axis=2)  # (T, V)
    left, right = skeleton[:, LEFT, :2].astype(float), skeleton[:, RIGHT, :2]
    apart = np.where(found[:, LEFT] & found[:, RIGHT], np.linalg.norm(left - right, axis=2), 0)
    return int(np.lexsort((np.median(apart, axis=1), found.sum(axis=1)))[-1])
