"""Probe a video and its skeleton once, then remember what was found."""
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ..datasets.video_file import VideoFile, VideoReadError
from ..utils.files import atomic_file, write_text
from ..utils.parallel import in_parallel
from .layout import Layout
from .report import Report
from .skeletons import SkeletonError, read_skeleton

FORMAT = 3  # of the cache; raised when VideoInfo or what is read of skeletons changes


@dataclass
class VideoInfo:
    """Properties of a video, as displayed, and of its skeleton."""
    num_frames: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.
    error: str = ''  # why the video cannot be read
    skeleton: str = 'absent'  # or usable, empty, unreadable
    skeleton_notes: list[str] = field(default_factory=list)


def probe(video_id: str, video: Path, skeleton: Path | None, cache: Path,
          joints: int = 22) -> VideoInfo:
    """Count the frames, decode the first and the last, convert the skeleton.

    ``cache`` keeps the result, ``<VID>.json``, and the skeleton, ``<VID>.npy``
    ``(T, joints, 3)``, as long as their sources stay the same.
    """
    sources = [_identity(video)] + ([_identity(skeleton)] if skeleton else [])
    info = _load_cached(cache / video_id, sources, joints)
    if info:
        return info
    info = VideoInfo()
    try:
        with VideoFile(video) as reader:
            first, _ = reader.read([0, len(reader) - 1])
            info.num_frames, info.fps = len(reader), round(reader.fps, 3)
            info.height, info.width = first.shape[:2]
    except VideoReadError as error:
        info.error = str(error)
    if skeleton is not None and not info.error:
        try:
            values, info.skeleton_notes = read_skeleton(skeleton, info.num_frames, joints)
        except SkeletonError as error:
            info.skeleton, info.skeleton_notes = 'unreadable', [f'{error}; not used']
        else:
            info.skeleton = 'usable' if values.any() else 'empty'
            with atomic_file(cache / f'{video_id}.npy') as partial, open(partial, 'wb') as file:
                np.save(file, values)
    write_text(cache / f'{video_id}.json',
               json.dumps(dict(format=FORMAT, sources=sources, info=asdict(info))))
    return info


def probe_all(layout: Layout, cache: Path, workers: int, report: Report,
              joints: int = 22) -> dict[str, VideoInfo]:
    """Probe every video that has a part; unreadable ones are reported and left out."""
    jobs = {video_id: (video_id, layout.videos[video_id], layout.skeletons.get(video_id), cache,
                       joints)
            for video_id in sorted(layout.part_of) if video_id in layout.videos}
    infos = dict(sorted(in_parallel(probe, jobs, workers, 'probing', 'video')))
    for video_id in jobs:
        info, name = infos[video_id], layout.name(layout.videos[video_id])
        for note in info.skeleton_notes:
            report.add('skeletons', layout.name(layout.skeletons[video_id]), note)
        if layout.skeletons and video_id not in layout.skeletons:
            report.add('skeletons', name, 'has no skeleton file; its clips have no joints')
        if info.error:
            report.add('videos that cannot be read', name,
                       f'{info.error}; its clips are left out: fetch the file again')
            del infos[video_id]
    for title, values in (
            ('resolutions', [f'{info.width}x{info.height}' for info in infos.values()]),
            ('frame_rates', [f'{info.fps:.2f} frames/s' for info in infos.values()]),
            ('skeletons', [info.skeleton for info in infos.values()])):
        setattr(report, title, dict(Counter(values).most_common()))
    return infos


def _identity(path: Path) -> list:
    status = path.stat()
    return [str(path), status.st_size, status.st_mtime_ns]


def _load_cached(stem: Path, sources: list, joints: int) -> VideoInfo | None:
    """What was found before; None if the sources have changed or a file is not as written."""
    try:
        content = json.loads(Path(f'{stem}.json').read_text(encoding='utf-8'))
        info = VideoInfo(**content['info'])
        is_valid = (content['format'] == FORMAT and content['sources'] == sources and
                    list(map(type, vars(info).values())) == list(
                        map(type, vars(VideoInfo()).values())))
        if is_valid and info.skeleton in ('usable', 'empty'):
            skeleton = np.load(f'{stem}.npy', mmap_mode='r')
            is_valid = skeleton.shape == (info.num_frames, joints, 3)
    except (FileNotFoundError, ValueError, TypeError, LookupError, RecursionError, EOFError):
        return None
    return info if is_valid else None
