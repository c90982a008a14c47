"""Previews of clips with what the token reducer of a network does."""
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from rich.progress import track

from ..apis.footage import open_footage
from ..apis.recognition import ClipRecognizer
from ..datasets.video_file import VideoReadError
from ..visualization.overlay import WHOLE, box_in_pixels, paint_window
from .clips import ClipInfo
from .previews import file_name, identify, write_small_video

PANEL_WIDTH = 128  # pixels of one of the two panels
MAX_BYTES = 35_000  # beside a preview of at most 50 kB


def make_token_previews(cfg: Config, checkpoint: str, clips: Sequence[ClipInfo],
                        previews: Sequence[str | None], folder: Path, device: str = 'cpu'
                        ) -> tuple[list[str | None], list[str]]:
    """Write importance and kept tokens of each clip that has a preview; files that exist are kept.

    ``previews`` are those of :func:`make_previews`, which are in ``folder``. Returns the file name
    of each clip's video, None where there is none, and notes on those. Both are empty for a network
    without a reducer.
    """
    backbone = cfg.model.backbone
    if not (backbone.get('neck') and backbone.get('merge_layers', True)):
        return [], []
    steps = cfg.test_dataloader.dataset.pipeline
    inputs = steps[-1].get('collect_keys', ())
    if len(inputs) > 1:
        return [], [f'Kept tokens are not shown: the network takes {", ".join(inputs)} together']
    recognizer = ClipRecognizer(cfg, checkpoint, device)
    network = f'{identify(checkpoint)}:{cfg.model}:{steps}'
    names = [preview and file_name(clip, network) for clip, preview in zip(clips, previews)]
    jobs = {name: clip for clip, name in zip(clips, names)
            if name and not (folder / name).exists()}
    failed = {name: error for name, clip in track(jobs.items(), 'Kept tokens', transient=True)
              if (error := write_token_preview(recognizer, clip, folder / name))}
    notes = [f'{len(failed)} clips show no tokens, e.g.: {next(iter(failed.values()))}'
             ] if failed else []
    return [None if name in failed else name for name in names], notes


def write_token_preview(recognizer: ClipRecognizer, clip: ClipInfo, path: Path) -> str:
    """Write panels of the frames that the network saw, as it cropped them; returns the error."""
    assert clip.filename is not None
    try:
        with open_footage(clip.filename) as footage:
            window, = recognizer.recognize(footage, [(clip.start, clip.end)])
            numbers = window.frame_inds
            frames = footage.read(numbers)
            # over the same time as the preview
            rate = (footage.fps or 25) * len(numbers) / (window.end - window.start + 1)
        left, top, right, bottom = box_in_pixels(window.box, *frames[0].shape[:2])
        size = PANEL_WIDTH, round(PANEL_WIDTH * window.size[0] / window.size[1])
        window = replace(window, box=WHOLE)  # of the cropped frames
        pictures = []
        for number, frame in zip(numbers.tolist(), frames):
            small = cv2.resize(frame[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
            pictures.append(np.hstack(paint_window(small, number, window,
                                                   recognizer.tubelet_size)))
        write_small_video(path, pictures, rate, MAX_BYTES)
        return ''
    except (VideoReadError, OSError) as error:
        return f'{clip.filename}: {error}'
