"""Reading a range of frames of a video.

MMAction2's loaders take the whole file for the clip. These two leave ``total_frames`` and
``start_index`` to the range, so that the host's ``UniformSample`` and
``SampleFrames`` sample inside it.
"""
import os

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ..video_file import VideoFile, VideoReadError


def _error(results: dict, reason: object) -> VideoReadError:
    return VideoReadError(
        f'clip {results["clip_id"]} of {results["filename"]} cannot be read: {reason}')


@TRANSFORMS.register_module()
class ClipInit(BaseTransform):
    """Open a video and find the frames of a clip in it.

    Required key: ``filename``. Optional keys: ``start_frame`` (0 if missing),
    ``end_frame`` (inclusive; -1, the last one, if missing), ``clip_id`` (if missing, the
    file's name without its ending). Frames count from 0.

    Added keys: ``video_reader``, ``total_frames`` (of the clip), ``start_index``
    (the clip's first frame), ``avg_fps``, and the optional ones that were missing.
    """

    def transform(self, results: dict) -> dict:
        """Open the video.

        Args:
            results (dict): The required key and any of the optional ones.

        Returns:
            dict: With the added keys.

        Raises:
            VideoReadError: If the file cannot be read (see :class:`VideoFile`), or if
                the range goes beyond its last frame.
        """
        # MMAction2's inference_recognizer and vis_cam give a file name and nothing else
        start = results.setdefault('start_frame', 0)
        end = results.setdefault('end_frame', -1)
        results.setdefault('clip_id', os.path.splitext(os.path.basename(results['filename']))[0])
        try:
            reader = VideoFile(results['filename'])
        except VideoReadError as error:
            raise _error(results, error) from error
        num_frames = len(reader)
        end = num_frames - 1 if end == -1 else end
        if not 0 <= start <= end < num_frames:
            reader.close()
            raise _error(
                results, f'the range {start}..{end} is outside its {num_frames} frames '
                f'(0..{num_frames - 1}); tools/data/prepare_imigue.py clamps ranges and reports it')
        results['video_reader'] = reader
        results['total_frames'] = end - start + 1
        results['start_index'] = start
        results['avg_fps'] = reader.fps
        return results


@TRANSFORMS.register_module()
class ClipDecode(BaseTransform):
    """Decode the sampled frames.

    Required keys: ``video_reader``, ``frame_inds``, ``filename``, ``clip_id``.

    Added keys: ``imgs`` (list of ``(H, W, 3)`` uint8, RGB, in the order of
    ``frame_inds``), ``original_shape`` and ``img_shape`` (H, W).
    """

    def transform(self, results: dict) -> dict:
        """Decode.

        Args:
            results (dict): The required keys.

        Returns:
            dict: With the added keys and without the reader.

        Raises:
            VideoReadError: If one of the frames is damaged.
        """
        with results.pop('video_reader') as reader:
            try:
                inds = results['frame_inds'].reshape(-1)
                imgs = reader.read(inds)
            except VideoReadError as error:
                raise _error(results, error) from error
        # a repeated frame gets memory of its own: Flip writes into the frames, and would turn it
        # back
        first = set(np.unique(inds, return_index=True)[1].tolist())
        results['imgs'] = [image if k in first else image.copy() for k, image in enumerate(imgs)]
        results['original_shape'] = results['img_shape'] = results['imgs'][0].shape[:2]
        return results
