"""Augmentation of skeletons in time and space, as MAMP and other transformers train.

Shapes: M persons, T frames, V joints, C channels. ``keypoint`` is ``(M, T, V, C)``: x, y and score
of :class:`SkeletonStream`, or x, y, z. A joint that is zeros is missing and stays so.
"""
import numpy as np
from mmaction.registry import TRANSFORMS
from scipy.spatial.transform import Rotation

from .base import ShownTransform


@TRANSFORMS.register_module()
class SkeletonResample(ShownTransform):
    """Crop a clip in time and interpolate it linearly to ``clip_len`` frames.

    In place of ``UniformSampleFrames`` and ``PoseDecode``: networks that look at differences of
    frames need even steps. Missing joints would be drawn towards zero, so fill them before.

    Modified key: ``keypoint`` (becomes ``(M, clip_len, V, C)``, float32). Added keys: ``clip_len``,
    ``num_clips`` (1).

    Args:
        clip_len (int): Number of frames.
        crop_range (tuple[float]): Smallest and largest share of the clip, in (0, 1], drawn
            uniformly, as is where it begins. Defaults to (1., 1.), the whole clip.
    """

    def __init__(self, clip_len: int, crop_range: tuple[float, float] = (1., 1.)) -> None:
        low, high = crop_range
        if not 0 < low <= high <= 1:
            raise ValueError(f'crop_range must be two shares in (0, 1], the smaller one first, but '
                             f'got {crop_range}')
        self.clip_len = clip_len
        self.crop_range = (low, high)

    def transform(self, results: dict) -> dict:
        keypoint = results['keypoint'].astype(np.float32)
        last = keypoint.shape[1] - 1
        share = np.random.uniform(*self.crop_range)
        begin = np.random.uniform(0, 1 - share)
        place = np.linspace(begin, begin + share, self.clip_len) * last
        before = np.clip(place.astype(int), 0, max(last - 1, 0))
        weight = (place - before).astype(np.float32)[:, None, None]
        after = np.minimum(before + 1, last)
        results['keypoint'] = keypoint[:, before] * (1 - weight) + keypoint[:, after] * weight
        results['clip_len'], results['num_clips'] = self.clip_len, 1
        return results


@TRANSFORMS.register_module()
class SkeletonJitter(ShownTransform):
    """Rotate and scale a clip about the origin, and add noise to its joints.

    Modified key: ``keypoint`` (float32).

    Args:
        num_coords (int): How many channels are coordinates, the first ones: 2 or 3.
        rotation (float): Largest angle in radians, about each axis in 3-D. Defaults to 0.3,
            MAMP's.
        scale (float): Largest relative change of each axis, in [0, 1). Defaults to 0.
        noise (float): Standard deviation of the noise, in the unit of the joints. Defaults to 0.
    """

    def __init__(self, num_coords: int, rotation: float = 0.3, scale: float = 0.,
                 noise: float = 0.) -> None:
        if num_coords not in (2, 3):
            raise ValueError(f'num_coords must be 2 or 3, but got {num_coords}')
        if not (rotation >= 0 and 0 <= scale < 1 and noise >= 0):
            raise ValueError('rotation and noise must be at least 0 and scale in [0, 1), but got '
                             f'{rotation}, {noise} and {scale}')
        self.num_coords = num_coords
        self.rotation = rotation
        self.scale = scale
        self.noise = noise

    def transform(self, results: dict) -> dict:
        keypoint = results['keypoint'].astype(np.float32)
        coords = keypoint[..., :self.num_coords]
        visible = keypoint.any(axis=-1, keepdims=True)
        angles = np.random.uniform(-self.rotation, self.rotation, 3)
        if self.num_coords == 2:
            angles[:2] = 0  # in the plane of the picture
        matrix = Rotation.from_euler('xyz', angles).as_matrix()
        matrix = matrix[:self.num_coords, :self.num_coords]
        matrix = matrix * np.random.uniform(1 - self.scale, 1 + self.scale, self.num_coords)
        coords = coords @ matrix.astype(np.float32)
        coords += np.random.normal(0, self.noise, coords.shape)
        keypoint[..., :self.num_coords] = coords * visible
        results['keypoint'] = keypoint
        return results
