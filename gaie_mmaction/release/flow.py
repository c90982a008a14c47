"""Optical flow of clips, stored as videos that the datasets read like any other."""
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from ..datasets.annotations import Segment, read_annotations
from ..datasets.video_file import VideoFile, to_rgb
from ..utils.files import locked_folder
from .cutting import clip_size, write_clips
from .report import ReleaseError

BOUND = 20  # pixels per frame; larger motion is clipped
ZERO, LEVELS = 128, 127  # level of no motion, and levels on either side of it
KIND = f'flow by DIS, preset medium, bound {BOUND}, format 1'
# lossless, and 4:4:4, as the planes are not colours
ENCODER = dict(qp='0', g='8', threads='1', **{'x264-params': 'mbtree=0:scenecut=0:open-gop=0'})


def to_levels(flow: np.ndarray) -> np.ndarray:
    """Quantise a flow ``(..., 2)`` of pixels, x and y, to ``(..., 3)`` uint8.

    Red is ``128 + x * 127 / BOUND`` and green the same for y, both within 1..255; blue is 128.
    """
    levels = np.full((*flow.shape[:-1], 3), ZERO, np.uint8)
    levels[..., :2] = np.rint(ZERO + np.clip(flow / BOUND, -1, 1) * LEVELS)
    return levels


def from_levels(levels: np.ndarray) -> np.ndarray:
    """Flow ``(..., 2)`` float32 in pixels, within the bound off by at most ``BOUND / 254``."""
    return (levels[..., :2].astype(np.float32) - ZERO) * (BOUND / LEVELS)


def flow_frames(images: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Flow from each RGB image ``(H, W, 3)`` uint8 to the next, as levels of that shape.

    By OpenCV's DIS with the preset medium, on grey images. A single image has one frame without
    motion.
    """
    # its type stub wants an array where None is allowed
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images)
    first = before = next(grey)
    for after in grey:
        yield to_levels(dis.calc(before, after, None))
        before = after
    if before is first:
        yield to_levels(np.zeros((*first.shape, 2)))


def encode_flow(reader: VideoFile, numbers: range, out_file: Path, origin: str) -> None:
    """Write the flow of some frames, reduced to the size of cut clips first."""
    # shown pictures, so that both sides are known after rotation
    images = (to_rgb(frame) for _, frame in reader.frames(numbers))
    small = (cv2.resize(image, clip_size(image.shape[1], image.shape[0]),
                        interpolation=cv2.INTER_AREA) for image in images)
    # the index comes last: a file that was cut off, say by a copy, cannot be opened
    with av.open(os.fspath(out_file), 'w', format='mp4',
                 options=dict(fflags='+bitexact')) as container:
        container.metadata['comment'] = origin
        stream: Any = None  # the codec has no type of its own
        for levels in flow_frames(small):
            if stream is None:
                rate = Fraction(reader.fps or 25).limit_denominator(1001)
                stream = container.add_stream('libx264rgb', rate=rate, options=ENCODER)
                stream.height, stream.width = levels.shape[:2]
                stream.pix_fmt = 'rgb24'
            container.mux(stream.encode(av.VideoFrame.from_ndarray(levels, format='rgb24')))
        assert stream is not None  # a clip has at least one frame
        container.mux(stream.encode())


def make_flow(ann_files: Sequence[str], videos: Path, out: Path, workers: int
              ) -> tuple[int, int, list[str]]:
    """Write the flow of every clip of some annotation files; a second run does what is missing.

    Returns the number of clips, how many were written, and the failures. Annotation files that
    cannot be read, or give one clip id different frames, are a ``ValueError``, a folder that
    another run writes into a :class:`FolderInUseError`.
    """
    clips: dict[str, Segment] = {}
    for ann_file in ann_files:
        for row in read_annotations(ann_file, 2**31):
            clip = Segment(**{**row, 'label': -1})
            if clips.setdefault(clip.clip_id, clip) != clip:
                raise ValueError(f'{ann_file}: clip {clip.clip_id} has other frames than in '
                                 'another annotation file; ids must be unique')
    if out.resolve() == videos.resolve():
        raise ReleaseError(f'{out} is the folder of the videos: give another one to --out')
    out.mkdir(parents=True, exist_ok=True)
    with locked_folder(out):
        written, failures = write_clips(list(clips.values()), videos, out, workers, 'flow',
                                        encode_flow, KIND)
    return len(clips), written, [f'{video}: {error}' for video, error in failures]
