"""Removing the static background of a fixed camera."""
import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


@TRANSFORMS.register_module()
class SubtractClipMean(BaseTransform):
    """Replace each frame by its difference from the mean of the sampled frames of its view.

    With a fixed camera, what remains is what moves. A network trained from scratch on few clips
    needs it; one with pre-trained weights expects whole frames. Grey 128 stands for no difference,
    and differences beyond 127 are clipped: set ``mean=[128] * 3`` in the data preprocessor. Put it
    after cropping and before ``FormatShape``.
    """

    def transform(self, results: dict) -> dict:
        frames = np.asarray(results['imgs'])
        clip_len = results['clip_len']
        if isinstance(clip_len, dict):  # of frames and skeletons
            clip_len = clip_len['RGB']
        views = frames.reshape(-1, clip_len, *frames.shape[1:])
        mean = views.mean(axis=1, keepdims=True, dtype=np.float32).round().astype(np.int16)
        views = (views - mean + 128).clip(0, 255).astype(np.uint8)
        results['imgs'] = list(views.reshape(frames.shape))
        return results
