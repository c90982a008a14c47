"""Feature and joint sequences of untrimmed video.

Shapes: T steps, V joints, D coordinates. ``raw_feature`` is ``(T, C)``, of joints C = V D.
"""
import numpy as np
from mmaction.registry import TRANSFORMS

from .base import ShownTransform


@TRANSFORMS.register_module()
class RandomTimeScale(ShownTransform):
    """Play a sequence slower or faster, by linear interpolation.

    Args:
        scale (tuple[float]): Range of the factor of the length. Defaults to (0.7, 1.4).
    """

    def __init__(self, scale: tuple[float, float] = (.7, 1.4)) -> None:
        self.scale = scale

    def transform(self, results: dict) -> dict:
        """Change ``raw_feature``, and the frames of ``segments`` with it."""
        feature = results['raw_feature']
        steps = max(round(len(feature) * np.random.uniform(*self.scale)), 2)
        times = np.linspace(0, len(feature) - 1, steps)
        low = np.minimum(times.astype(int), max(len(feature) - 2, 0))
        high = np.minimum(low + 1, len(feature) - 1)
        share = (times - low).astype(np.float32)[:, None]
        results['raw_feature'] = (1 - share) * feature[low] + share * feature[high]
        factor = (steps - 1) / max(len(feature) - 1, 1)
        results['segments'] = (results['segments'] - results['first_frame']) * factor + results[
            'first_frame']
        results['num_frames'] = round((results['num_frames'] - 1) * factor) + 1
        return results


@TRANSFORMS.register_module()
class SequenceCrop(ShownTransform):
    """Randomly crop a longer sequence, and drop segments that lie mostly outside.

    Args:
        max_steps (int): Largest number of steps.
        min_share (float): Segments of which a smaller share is left become background, in (0, 1].
            Defaults to 0.5.
    """

    def __init__(self, max_steps: int, min_share: float = .5) -> None:
        self.max_steps = max_steps
        self.min_share = min_share

    def transform(self, results: dict) -> dict:
        """Crop ``raw_feature``; frame numbers remain those of the video."""
        feature, stride = results['raw_feature'], results['frame_stride']
        if len(feature) <= self.max_steps:
            return results
        begin = np.random.randint(len(feature) - self.max_steps + 1)
        results['raw_feature'] = feature[begin:begin + self.max_steps]
        first = results['first_frame'] + begin * stride
        # a step describes frames around it: at the sequence's own ends nothing is cut off
        low = first if begin else -np.inf
        high = first + (self.max_steps - 1) * stride
        if begin + self.max_steps == len(feature):
            high = np.inf
        start, end = results['segments'].T
        # not by clip(), which leaves a frame of a segment that lies outside
        cut = np.stack([start.clip(min=low), end.clip(max=high)], axis=1)
        keep = cut @ [-1, 1] + 1 >= self.min_share * (end - start + 1)
        results.update(first_frame=first, segments=cut[keep], labels=results['labels'][keep])
        return results


@TRANSFORMS.register_module()
class RandomJointTransform(ShownTransform):
    """Rotate and scale a sequence of joints, all steps alike, and add noise.

    Args:
        degrees (float): Largest angle of rotation around each axis. Defaults to 15.
        scale (tuple[float]): Range of the factor of all coordinates. Defaults to (0.85, 1.15).
        noise (float): Standard deviation of each coordinate, in units of the joints' mean
            distance from the root. Defaults to 0.01.
        dims (int): D, 2 or 3. Defaults to 3.
    """

    def __init__(self, degrees: float = 15., scale: tuple[float, float] = (.85, 1.15),
                 noise: float = .01, dims: int = 3) -> None:
        self.degrees = degrees
        self.scale = scale
        self.noise = noise
        self.dims = dims

    def transform(self, results: dict) -> dict:
        """Change ``raw_feature``."""
        joints = _to_joints(results['raw_feature'], self.dims)
        center = joints[:, 0].mean(axis=0)
        matrix = np.random.uniform(*self.scale) * np.eye(self.dims)
        for one in range(self.dims):
            for other in range(one):
                angle = np.deg2rad(np.random.uniform(-self.degrees, self.degrees))
                turn = np.eye(self.dims)
                turn[[one, one, other, other], [one, other, one, other]] = (
                    np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle))
                matrix = matrix @ turn
        spread = self.noise * _body_size(joints)
        joints = (joints - center) @ matrix + center + np.random.normal(0, spread, joints.shape)
        results['raw_feature'] = joints.astype(np.float32).reshape(len(joints), -1)
        return results


@TRANSFORMS.register_module()
class JointMotion(ShownTransform):
    """Joints relative to the root, and motion, as features; independent of place and size.

    Coordinates are divided by the mean distance of the joints from the root, joint 0.
    ``raw_feature`` becomes ``(T, 2 V D)``: the root relative to its mean over the sequence, the
    other joints relative to the root, and the change of all of these over ``lag`` steps to either
    side. Only every ``stride``-th step is kept, which makes the detector faster.

    Args:
        lag (int): Steps. Defaults to 1.
        stride (int): Steps. Defaults to 1.
        dims (int): D. Defaults to 3.
    """

    def __init__(self, lag: int = 1, stride: int = 1, dims: int = 3) -> None:
        self.lag = lag
        self.stride = stride
        self.dims = dims

    def transform(self, results: dict) -> dict:
        """Change ``raw_feature``, and ``frame_stride`` with it."""
        joints = _to_joints(results['raw_feature'], self.dims)
        root = joints[:, :1]
        shape = np.concatenate([root - root.mean(axis=0), joints[:, 1:] - root], axis=1)
        shape = (shape / _body_size(joints)).reshape(len(joints), -1)
        padded = np.pad(shape, ((self.lag, self.lag), (0, 0)), mode='edge')
        motion = padded[2 * self.lag:] - padded[:-2 * self.lag]
        feature = np.concatenate([shape, motion], axis=1)[::self.stride]
        results['raw_feature'] = feature.astype(np.float32)
        results['frame_stride'] = results['frame_stride'] * self.stride
        return results


def _to_joints(feature: np.ndarray, dims: int) -> np.ndarray:
    if feature.shape[1] % dims:
        raise ValueError(f'a sequence of joints has {dims} coordinates per joint, but '
                         f'{feature.shape[1]} values per step')
    return feature.reshape(len(feature), -1, dims)


def _body_size(joints: np.ndarray) -> float:
    return max(float(np.linalg.norm(joints[:, 1:] - joints[:, :1], axis=2).mean()), 1e-6)
