"""A temporal detector on the features of a video's windows."""
import copy
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from .model import load_recognizer


class VideoDetector:
    """A ``TemporalDetector`` with the weights of a checkpoint, and the pipeline of its test part.

    ``cfg`` is that of the detector, such as ``configs/spotting/detector_imigue.py``; anything else
    is a ``ValueError``. Further errors are those of :func:`load_weights`.
    """

    def __init__(self, cfg: Config, checkpoint: str, device: str = 'cpu') -> None:
        if cfg.model.type != 'TemporalDetector':
            raise ValueError(f'{cfg.filename} is a {cfg.model.type}, not a TemporalDetector')
        self.cfg = copy.deepcopy(cfg)
        self.model, _ = load_recognizer(self.cfg, checkpoint, device)
        self._pack = Compose(self.cfg.test_dataloader.dataset.pipeline)

    @torch.no_grad()
    def detect(self, features: np.ndarray, ranges: Sequence[tuple[int, int]]
               ) -> list[tuple[int, int, int, float]]:
        """First and last frame, label and score of the gestures of a video, the best first.

        Args:
            features (np.ndarray): ``(T, C)``, those of the windows.
            ranges (Sequence[tuple[int, int]]): First and last frame of T windows that cover the
                video. The last one, which may be out of step with the others, is then left out.

        Raises:
            ValueError: If the detector takes features of another size, or the video has fewer
                than three windows, which tell no stride.
        """
        channels = self.cfg.model.backbone.in_channels
        if features.shape[1] != channels:
            raise ValueError(f'the detector {self.cfg.filename} takes features of {channels} '
                             f'channels, but the recognizer gives {features.shape[1]}')
        if len(ranges) < 3:
            raise ValueError(f'a detector needs at least 3 windows, but the video has '
                             f'{len(ranges)}: use shorter windows')
        stride = ranges[1][0] - ranges[0][0]
        if ranges[-1][0] - ranges[-2][0] != stride:
            features = features[:-1]
        packed = self._pack(dict(
            video_name='', raw_feature=features, first_frame=sum(ranges[0]) / 2,
            frame_stride=float(stride), num_frames=ranges[-1][1] + 1,
            segments=np.zeros((0, 2), np.float32), labels=np.zeros(0, np.int64)))
        found = self.model.test_step(pseudo_collate([packed]))[0].pred_segments
        return [(start, end, label, score) for (start, end), label, score in zip(
            found.segments.tolist(), found.labels.tolist(), found.scores.tolist())]
