"""Reading a range of frames of a video through decord.

MMAction2's ``DecordInit`` reads the whole file into memory and takes all of it
for the clip. These two leave ``total_frames`` and ``start_index`` to the range,
so that the host's ``UniformSample`` and ``SampleFrames`` sample inside it.

Decord 0.6.0 counts the frames that come out of the decoder instead of looking
at their time stamps, and says nothing when the count is wrong. A file whose
packets cannot be counted so is refused: see :func:`find_stream_fault`.
"""
import functools
import os
from typing import Optional

import av
import decord
import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

# DECORDLimitReachedError is no DECORDError, and a file that cannot be opened is a RuntimeError
DECORD_ERRORS = (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError)

# The share of frames that decord may replace by copies of others. 0 means any number to it; so
# small a share becomes a limit of 0 frames, and the first copy is an error.
NO_COPIES = 1e-9

REMEDY = ('re-encode it: ffmpeg -i IN.mp4 -fps_mode passthrough -c:v libx264 -crf 18 '
          '-x264-params open-gop=0 OUT.mp4')


class VideoReadError(Exception):
    """A clip cannot be read: the file is missing, damaged, or too short for its range."""


def _error(results: dict, reason: str) -> VideoReadError:
    return VideoReadError(
        f'clip {results["clip_id"]} of {results["filename"]} cannot be read: {reason}')


def find_stream_fault(filename: str) -> Optional[str]:
    """Tell why decord's frame numbers cannot be trusted for a file.

    Packets are read, none is decoded. A process looks at a file once, as long
    as its size and time of change stay the same.

    Decord takes the place of a key frame among the packets for its number, so
    they have to agree (an open GOP breaks it), and each packet has to give one
    frame (hidden packets of an edit list, a stream that starts between key
    frames and an incomplete last packet do not).

    Args:
        filename (str): Path of a video that FFmpeg can open.

    Returns:
        str or None: The fault, or None if there is none.
    """
    status = os.stat(filename)
    return _find_stream_fault(filename, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _find_stream_fault(filename: str, size: int, changed_ns: int) -> Optional[str]:
    times, keys, hidden = [], [], 0
    try:
        with av.open(filename) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.size == 0:  # ends the stream
                    continue
                if packet.is_corrupt:
                    return 'it is incomplete: its last packet is cut off'
                if packet.pts is None:
                    return f'its frames have no time stamps; {REMEDY}'
                if packet.is_keyframe:
                    keys.append(len(times))
                hidden += packet.is_discard
                times.append(packet.pts)
    except (av.FFmpegError, IndexError) as error:
        return f'it is no video or is damaged ({_first_line(error)})'
    # place in the order of display, by place among the packets
    order = np.argsort(np.argsort(times, kind='stable'), kind='stable')
    if hidden:
        return f'{hidden} of its frames are hidden by an edit list; {REMEDY}'
    if len(set(times)) < len(times):
        return f'some of its frames have the same time stamp; {REMEDY}'
    if not keys or keys[0] != 0:
        return 'it does not start at a key frame: its first frames cannot be decoded'
    if (order[keys] != keys).any():
        return ('its key frames are not where decord 0.6.0 looks for them (open GOP), and it would '
                f'return wrong frames; {REMEDY}')
    return None


@TRANSFORMS.register_module()
class ClipInit(BaseTransform):
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
            VideoReadError: If the file is missing, empty, no video or damaged, if
                decord cannot number its frames, or if the range goes beyond its
                last frame.
        """
        filename = results['filename']
        if not os.path.isfile(filename):
            raise _error(results, 'there is no such file')
        if os.path.getsize(filename) == 0:
            raise _error(results, 'the file is empty')
        fault = find_stream_fault(filename)
        if fault is not None:
            raise _error(results, fault)
        try:
            reader = decord.VideoReader(
                filename, num_threads=self.num_threads, fault_tol=NO_COPIES)
        except DECORD_ERRORS as error:
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
class ClipDecode(BaseTransform):
    """Decode the sampled frames.

    The frames of an intact file that :class:`ClipInit` opened are the ones
    asked for. Damage inside the compressed data is reported where decord notices
    it; it does not notice all: a few wrong bytes can give a distorted or a
    neighbouring frame.

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
            VideoReadError: If decord finds the stream damaged on the way to a frame,
                or would put a copy of another frame in place of a lost one.
        """
        reader = results.pop('video_reader')
        frame_inds = results['frame_inds'].reshape(-1)
        try:
            imgs = reader.get_batch(frame_inds).asnumpy()
        except DECORD_ERRORS as error:
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
