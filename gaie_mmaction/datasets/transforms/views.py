"""Crops of a test's views."""
import numpy as np
from mmaction.registry import TRANSFORMS

from .base import ShownTransform


@TRANSFORMS.register_module()
class ViewCrop(ShownTransform):
    """Crop every frame several times, spread evenly along the longer side, for a test.

    Crops are centred on the shorter side; a square frame is cropped from left to right. Unlike
    MMAction2's ``ThreeCrop``, a crop may be smaller than the shorter side, so that the frames need
    no other resizing than in training. ``FormatShape`` takes each crop for a view. A skeleton is
    dropped.

    Required key: ``imgs`` (all frames of the first crop, then of the next), ``img_shape``.

    Args:
        crop_size (int): Side of the square crops, pixels.
        num_crops (int): Number of crops. Defaults to 3.
        flip (bool): Append the mirror image of every crop. Not for optical flow, and not where
            classes name a side, which none of iMiGUE's does. Defaults to False.
    """

    def __init__(self, crop_size: int, num_crops: int = 3, flip: bool = False) -> None:
        if crop_size < 1 or num_crops < 1:
            raise ValueError(f'crop_size and num_crops must be at least 1, but got {crop_size} and '
                             f'{num_crops}')
        self.crop_size = crop_size
        self.num_crops = num_crops
        self.flip = flip

    def transform(self, results: dict) -> dict:
        for key in ('keypoint', 'keypoint_score'):  # of one crop, they would fit no other
            results.pop(key, None)
        height, width = results['imgs'][0].shape[:2]
        size = self.crop_size
        if size > min(height, width):
            raise ValueError(f'frames of {height} x {width} are smaller than crop_size={size}: '
                             'enlarge them by Resize before')
        # one crop is the centre
        shares = np.linspace(0, 1, self.num_crops) if self.num_crops > 1 else np.array([.5])
        imgs: list[np.ndarray] = []
        for share in shares:
            x_share, y_share = (share, .5) if width >= height else (.5, share)
            # rounded down, as upstream's centre crop
            x, y = int(x_share * (width - size)), int(y_share * (height - size))
            imgs += [image[y:y + size, x:x + size] for image in results['imgs']]
        if self.flip:
            imgs += [np.ascontiguousarray(image[:, ::-1]) for image in imgs]
        results['imgs'] = imgs
        results['img_shape'] = (size, size)
        return results
