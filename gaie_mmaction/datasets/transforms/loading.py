"""Reading a range of frames of a video through decord.

MMAction2's ``DecordInit`` reads the whole file into memory and takes all of it
for the clip. These two leave ``total_frames`` and ``start_index`` to the range,
so that the host's ``UniformSample`` and ``SampleFrames`` sample inside it.
"""
import os

import decord
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


class VideoReadError(Exception):
    """A clip cannot be read: the file is missing, damaged, or too short for its range."""


def _error(results: dict, reason: str) -> VideoReadError:
    return VideoReadError(
        f'clip {results["clip_id"]} of {results["filename"]} cannot be read: {reason}')


@TRANSFORMS.register_module()
class ClipDecordInit(BaseTransform):
    """Open a video and find the frames of a clip in it.

    Required keys: ``filename``, ``clip_id``, ``start_frame``, ``end_frame``.
    Frames count from 0, the end is inclusive, and an ``end_frame`` of -1 is the last one.

    Added keys: ``video_reader``, ``total_frames`` (of the clip), ``start_index``
    (the clip's first frame), ``avg_fps``.

    Args:
        num_threads (int): Decoding threads of one reader. Defaults to 1, as there
            are several DataLoader workers.
    """

    def __init__(self, num_threads: int = 1) -> None:
        self.num_threads = num_threads

    def transform(self, results: dict) -> dict:
        """Open the video.

        Args:
            results (dict): The required keys.

        Returns:
            dict: With the added keys.

        Raises:
            VideoReadError: If the file is missing, empty, no video or damaged, or
                the range goes beyond its last frame.
        """
        filename = results['filename']
        if not os.path.isfile(filename):
            raise _error(results, 'there is no such file')
        if os.path.getsize(filename) == 0:
            raise _error(results, 'the file is empty')
        try:
            reader = decord.VideoReader(filename, num_threads=self.num_threads)
        # decord's binding raises a bare RuntimeError when it cannot open a file
        except (decord.DECORDError, RuntimeError) as error:
            raise _error(results, f'it is no video or is damaged ({_first_line(error)})') from error
        num_frames = len(reader)
        start = results['start_frame']
        end = num_frames - 1 if results['end_frame'] == -1 else results['end_frame']
        if not 0 <= start <= end < num_frames:
            raise _error(
                results, f'the range {start}..{end} is outside its {num_frames} frames '
                f'(0..{num_frames - 1}); tools/data/prepare_imigue.py clamps ranges and reports it')
        results['video_reader'] = reader
        results['total_frames'] = end - start + 1
        results['start_index'] = start
        results['avg_fps'] = reader.get_avg_fps()
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(num_threads={self.num_threads})'


@TRANSFORMS.register_module()
class ClipDecordDecode(BaseTransform):
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
            VideoReadError: If the stream is damaged on the way to a frame.
        """
        reader = results.pop('video_reader')
        frame_inds = results['frame_inds'].reshape(-1)
        try:
            imgs = reader.get_batch(frame_inds).asnumpy()
        except (decord.DECORDError, RuntimeError, IndexError) as error:
            raise _error(
                results, f'decoding frames {frame_inds.min()}..{frame_inds.max()} failed '
                f'({_first_line(error)})') from error
        results['imgs'] = list(imgs)
        results['original_shape'] = results['img_shape'] = imgs.shape[1:3]
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}()'


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
