"""Reading a frame range of a video.

MMAction2's loaders take the whole file as the clip. These restrict ``total_frames`` and
``start_index`` to the range, which MMAction2's samplers respect.
"""
import os
from collections.abc import Sequence

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ..video_file import MAX_PIXELS, VideoFile, VideoReadError


def _error(results: dict, reason: object) -> VideoReadError:
    return VideoReadError(
        f'clip {results["clip_id"]} of {results["filename"]} cannot be read: {reason}')


@TRANSFORMS.register_module()
class ClipInit(BaseTransform):
    """Open a video and find the frames of a clip in it.

    Required key: ``filename``. Optional keys: ``start_frame`` (default 0), ``end_frame``
    (inclusive; default -1, the last one), ``clip_id`` (default: stem of the file name). Added keys:
    these, ``video_reader``, ``total_frames``, ``start_index`` and ``avg_fps``.

    Args:
        max_pixels (int): Largest width x height of a frame. Defaults to 8192 x 4320.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self.max_pixels = max_pixels

    def transform(self, results: dict) -> dict:
        # MMAction2's inference_recognizer and vis_cam pass a file name and nothing else
        start = results.setdefault('start_frame', 0)
        end = results.setdefault('end_frame', -1)
        results.setdefault('clip_id', os.path.splitext(os.path.basename(results['filename']))[0])
        try:
            reader = VideoFile(results['filename'], self.max_pixels)
        except VideoReadError as error:
            raise _error(results, error) from error
        num_frames = len(reader)
        end = num_frames - 1 if end == -1 else end
        if not 0 <= start <= end < num_frames:
            reader.close()
            raise _error(
                results, f'the range {start}..{end} is outside its {num_frames} frames '
                f'(0..{num_frames - 1}); tools/data/prepare_imigue.py clamps ranges and reports it')
        results.update(video_reader=reader, total_frames=end - start + 1, start_index=start,
                       avg_fps=reader.fps)
        return results


@TRANSFORMS.register_module()
class ClipDecode(BaseTransform):
    """Decode the sampled frames.

    Required keys: ``video_reader`` (removed), ``frame_inds``, ``filename``, ``clip_id``. Added
    keys: ``imgs`` (list of ``(H, W, 3)`` uint8, RGB), ``original_shape`` and ``img_shape`` (H, W).
    """

    def transform(self, results: dict) -> dict:
        with results.pop('video_reader') as reader:
            try:
                inds = results['frame_inds'].reshape(-1)
                imgs = reader.read(inds)
            except VideoReadError as error:
                raise _error(results, error) from error
        # repeated frames must not share memory: Flip writes into them, and would flip them back
        first = set(np.unique(inds, return_index=True)[1].tolist())
        results['imgs'] = [image if k in first else image.copy() for k, image in enumerate(imgs)]
        results['original_shape'] = results['img_shape'] = results['imgs'][0].shape[:2]
        return results


def require_matching_readers(transforms: Sequence[object], ranges_of: str | None) -> None:
    """Refuse a pipeline whose readers do not belong together, or ignore the clips' frame ranges.

    ``ranges_of`` is the annotation file, if its clips are ranges of whole videos.
    """
    own = {type(step).__name__ for step in transforms if isinstance(step, (ClipInit, ClipDecode))}
    others = [name for name in (type(step).__name__ for step in transforms)
              if name.endswith(('Init', 'Decode')) and name not in {*own, 'PoseDecode'}]
    if own and others:
        raise ValueError(f'{", ".join(sorted(own))} and {", ".join(others)} do not go together: '
                         'use ClipInit with ClipDecode, or two of MMAction2')
    if others and ranges_of:
        raise ValueError(f'{ranges_of} holds frame ranges, and {", ".join(others)} would read the '
                         'whole videos instead: use ClipInit and ClipDecode, or cut the clips '
                         '(tools/data/prepare_imigue.py --cut) and give their list')
