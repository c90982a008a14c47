"""Skeletons of any registered layout, as input of graph and heat-map networks.

MMAction2's own transforms know three layouts. Shapes: M persons, T frames, V joints. ``keypoint``
is ``(M, T, V, 2)``, x and y in pixels of a frame of ``img_shape`` (H, W), and ``keypoint_score``
``(M, T, V)``. A joint at (0, 0) is missing. ``imgs`` may be present too.
"""
import numpy as np
from mmaction.datasets.transforms import Flip, GeneratePoseTarget
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ..skeleton_layout import get_layout
from .base import ShownTransform

STREAMS = ('joint', 'bone', 'joint-motion', 'bone-motion')


def _require_joints(results: dict, layout: str) -> None:
    joints, expected = results['keypoint'].shape[2], get_layout(layout).num_joints
    if joints != expected:
        raise ValueError(f'the skeleton has {joints} joints, but the layout {layout!r} has '
                         f'{expected}')


@TRANSFORMS.register_module()
class FillMissingJoints(BaseTransform):
    """Interpolate missing joints and their scores linearly over time.

    Before a joint is first seen and after it is last seen, it stays where it was seen. A joint
    that is missing in the whole clip remains missing. Put it before the sampling of frames.
    """

    def transform(self, results: dict) -> dict:
        keypoint, score = results['keypoint'].copy(), results['keypoint_score'].copy()
        visible = keypoint.any(axis=-1)
        frames = np.arange(keypoint.shape[1])
        for person, joint in zip(*np.nonzero(visible.any(axis=1) & ~visible.all(axis=1))):
            seen = frames[visible[person, :, joint]]
            for values in (keypoint[person, :, joint, 0], keypoint[person, :, joint, 1],
                           score[person, :, joint]):
                values[:] = np.interp(frames, seen, values[seen])
        results['keypoint'], results['keypoint_score'] = keypoint, score
        return results


@TRANSFORMS.register_module()
class SkeletonFlip(Flip):
    """MMAction2's horizontal ``Flip``, with the joints' sides swapped by the layout.

    It flips ``imgs`` as well. Put it before :class:`SkeletonStream`. Unlike MMAction2's, it also
    flips joints on the left edge, at x = 0; only those at (0, 0) are missing and stay.

    Args:
        flip_ratio (float): Probability. Defaults to 0.5.
        layout (str): Name of the layout. Defaults to ``'imigue'``.
    """

    def __init__(self, flip_ratio: float = 0.5, layout: str = 'imigue') -> None:
        sides = get_layout(layout)
        super().__init__(flip_ratio=flip_ratio, left_kp=sides.left, right_kp=sides.right)
        self.layout = layout

    def transform(self, results: dict) -> dict:
        _require_joints(results, self.layout)
        return super().transform(results)

    def _flip_kps(self, kps: np.ndarray, kpscores: np.ndarray | None,
                  img_width: int) -> tuple[np.ndarray, np.ndarray | None]:
        edge = (kps[..., 0] == 0) & (kps[..., 1] != 0)
        kps[edge, 0] = np.finfo(kps.dtype).tiny  # MMAction2 leaves x = 0 alone
        return super()._flip_kps(kps, kpscores, img_width)


@TRANSFORMS.register_module()
class SkeletonStream(ShownTransform):
    """Joints, bones or their motion, for graph convolutions.

    x and y are scaled to -1..1 by the frame size, as by MMAction2's ``PreNormalize2D``. A bone is
    the vector from its parent joint (0 for the centre), a motion the difference to the next frame
    (0 for the last one); the score of either is the mean of its two ends. What is missing, or has
    a missing end, is zeros.

    Required keys: ``keypoint`` (becomes ``(M, T, V, 3)``: x, y and score, float32),
    ``keypoint_score`` (removed), ``img_shape``.

    Args:
        stream (str): ``'joint'``, ``'bone'``, ``'joint-motion'`` or ``'bone-motion'``.
            Defaults to ``'joint'``.
        layout (str): Name of the layout. Defaults to ``'imigue'``.
    """

    def __init__(self, stream: str = 'joint', layout: str = 'imigue') -> None:
        if stream not in STREAMS:
            raise ValueError(f'stream must be one of {STREAMS}, but got {stream!r}')
        self.parents = get_layout(layout).parents
        self.stream = stream
        self.layout = layout

    def transform(self, results: dict) -> dict:
        _require_joints(results, self.layout)
        visible = results['keypoint'].any(axis=-1)  # (M, T, V)
        half = np.array(results['img_shape'][::-1], np.float32) / 2  # for x, y
        values = (results['keypoint'].astype(np.float32) - half) / half
        score = results.pop('keypoint_score').astype(np.float32)
        if self.stream.startswith('bone'):
            values = values - values[:, :, self.parents]
            score = (score + score[:, :, self.parents]) / 2
            visible = visible & visible[:, :, self.parents]
        if self.stream.endswith('motion'):
            values = np.diff(values, axis=1, append=values[:, -1:])
            score[:, :-1] = (score[:, :-1] + score[:, 1:]) / 2
            following = np.zeros_like(visible)  # the last frame has no next one
            following[:, :-1] = visible[:, 1:]
            visible = visible & following
        values = np.concatenate((values, score[..., None]), axis=-1)
        results['keypoint'] = values * visible[..., None]
        return results


@TRANSFORMS.register_module()
class SkeletonCompact(ShownTransform):
    """Crop ``keypoint`` and ``imgs``, if there are any, to a square around all joints of the clip.

    Same as MMAction2's ``PoseCompact`` and ``MMCompact`` with ``hw_ratio=1`` and
    ``allow_imgpad=True``, which fail with NumPy 2: black beyond the frame. Missing joints stay at
    (0, 0). A box smaller than ``threshold`` is left alone. With the default padding no joint is cut
    off, also where edges are rounded inwards.

    Args:
        padding (float): Share of the box that is added to it, at least 0. Defaults to 0.25.
        threshold (int): Smallest width and height, pixels. Defaults to 10.
        on_missing (str): ``'keep'`` the whole frame of a clip without any joint, or ``'raise'``.
            Defaults to ``'keep'``.
    """

    def __init__(self, padding: float = 0.25, threshold: int = 10,
                 on_missing: str = 'keep') -> None:
        if padding < 0:
            raise ValueError(f'padding must be at least 0, but got {padding}')
        if on_missing not in ('keep', 'raise'):
            raise ValueError(f"on_missing must be 'keep' or 'raise', but got {on_missing!r}")
        self.padding = padding
        self.threshold = threshold
        self.on_missing = on_missing

    def transform(self, results: dict) -> dict:
        keypoint = results['keypoint'].astype(np.float32)
        visible = keypoint.any(axis=-1)
        if not visible.any():
            if self.on_missing == 'raise':
                raise ValueError(
                    f'clip {results["clip_id"]} has no joint to crop to in the sampled frames: '
                    "leave it out, or take its whole frames by SkeletonCompact(on_missing='keep')")
            return results
        low, high = keypoint[visible].min(axis=0), keypoint[visible].max(axis=0)
        if (high - low).min() < self.threshold:
            return results
        half = (high - low).max() / 2 * (1 + self.padding)
        # truncated, as in MMAction2
        first = ((low + high) / 2 - half).astype(int)
        last = ((low + high) / 2 + half).astype(int)
        keypoint[visible] -= first
        results['keypoint'] = keypoint
        if 'imgs' in results:
            results['imgs'] = [_crop(image, first, last) for image in results['imgs']]
        results['img_shape'] = (int(last[1] - first[1]), int(last[0] - first[0]))
        return results


def _crop(image: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    left, top = np.maximum(-first, 0)
    right, bottom = np.maximum(last - (width, height), 0)
    image = np.pad(image, ((top, bottom), (left, right), (0, 0)))
    (x, y), (end_x, end_y) = first + (left, top), last + (left, top)
    return image[y:end_y, x:end_x]


@TRANSFORMS.register_module()
class SkeletonHeatmap(GeneratePoseTarget):
    """MMAction2's heat-maps, one per joint or per edge of the layout's tree.

    The maximum of a map is the score, so missing joints and their limbs have empty maps.

    Added key: ``imgs`` ``(T, maps, H, W)`` float32, or ``heatmap_imgs`` if there are ``imgs``.
    With ``double``, T maps of the mirrored skeleton follow.

    Args:
        kind (str): ``'joint'`` or ``'limb'``. Defaults to ``'joint'``.
        double (bool): Append the mirror image, sides swapped. Defaults to False.
        sigma (float): Width of the Gaussians, pixels. Defaults to 0.6.
        scaling (float): Size of a map relative to the frame. Defaults to 1.
        layout (str): Name of the layout. Defaults to ``'imigue'``.
    """

    def __init__(self, kind: str = 'joint', double: bool = False, sigma: float = 0.6,
                 scaling: float = 1., layout: str = 'imigue') -> None:
        if kind not in ('joint', 'limb'):
            raise ValueError(f"kind must be 'joint' or 'limb', but got {kind!r}")
        sides = get_layout(layout)
        left_limb, right_limb = sides.limb_sides
        super().__init__(
            sigma=sigma, with_kp=kind == 'joint', with_limb=kind == 'limb', skeletons=sides.edges,
            double=double, left_kp=sides.left, right_kp=sides.right, left_limb=left_limb,
            right_limb=right_limb, scaling=scaling)
        self.layout = layout

    def transform(self, results: dict) -> dict:
        _require_joints(results, self.layout)
        return super().transform(results)
