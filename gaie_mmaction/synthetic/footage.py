"""Footage as a camera records it, to measure how fast clips are loaded."""
from pathlib import Path

import av
import cv2
import numpy as np

from ..datasets.annotations import Segment, write_annotations
from ..release.cutting import cut_all
from ..release.report import Report

FPS, WIDTH, HEIGHT = 30, 1280, 720
ENCODER = dict(preset='veryfast', crf='21', g='250', bf='3', threads='1')  # long groups
SHORTEST, LONGEST = 20, 140  # frames of a clip
GRAIN = 8  # different patterns of noise


def make_footage(out: Path, seconds: int, num_clips: int) -> None:
    """Write a folder as ``tools/data/prepare_imigue.py`` leaves one: a video and clips cut of it.

    A textured person moves before a textured wall, 1280x720 with grain, 30 frames/s; H.264 with a
    key frame every 250 frames; clips have 20 to 140 frames. The content has no meaning, labels
    neither. ``out`` gets ``trainval.csv``, ``trainval.txt``, ``videos`` and ``clips``.
    """
    if seconds < 5:
        raise ValueError(f'seconds must be at least 5, but got {seconds}')
    video = out / 'videos/footage.mp4'
    video.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    _write_video(video, FPS * seconds, rng)
    starts = np.sort(rng.integers(FPS * seconds - LONGEST, size=num_clips))
    lengths = rng.integers(SHORTEST, LONGEST + 1, num_clips)
    segments = [Segment(f'footage_{k}', video.name, int(start), int(start + length - 1), 0)
                for k, (start, length) in enumerate(zip(starts, lengths))]
    cut_all(segments, video.parent, out / 'clips', 1, Report())
    write_annotations(out / 'trainval', segments)


def _write_video(path: Path, num_frames: int, rng: np.random.Generator) -> None:
    wall, body, hand = (_texture(*size, rng) for size in ((HEIGHT, WIDTH), (520, 420), (110, 90)))
    walls = [np.clip(wall + rng.normal(0, 4, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8)
             for _ in range(GRAIN)]
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=FPS, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for number in range(num_frames):
            image, time = walls[rng.integers(GRAIN)].copy(), number / FPS
            x, y = 430 + 10 * np.sin(.4 * time), 190 + 6 * np.sin(.7 * time)
            _paste(image, body, x, y)
            for side in (-1, 1):
                lift = abs(np.sin(2 * np.pi * .9 * time + side)) * max(np.sin(.5 * time + side), 0)
                _paste(image, hand, x + 170 + side * (150 - 60 * lift), y + 310 - 160 * lift)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='bgr24')))
        container.mux(stream.encode())


def _texture(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """``(height, width, 3)`` uint8: noise whose grains are 2 to 128 pixels wide."""
    image = np.zeros((height, width, 3), np.float32)
    for grain in (2, 4, 8, 32, 128):
        noise = rng.standard_normal((height // grain + 2, width // grain + 2, 3), np.float32)
        image += grain**.5 * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    image = (image - image.mean()) / image.std()
    return np.clip(128 + 45 * image, 0, 255).astype(np.uint8)


def _paste(image: np.ndarray, patch: np.ndarray, x: float, y: float) -> None:
    left, top = round(x), round(y)
    image[top:top + patch.shape[0], left:left + patch.shape[1]] = patch
