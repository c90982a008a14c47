"""What a config's test annotations tell about the clips of a dump."""
from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.config import Config

from ..apis.model import build_test_dataset


@dataclass(frozen=True)
class ClipInfo:
    """Where a clip is; ``end`` is included and -1 the last frame."""
    filename: str | None = None  # None without a video, such as of skeletons
    start: int = 0
    end: int = -1
    length: int | None = None  # frames; None where only the file knows


def read_clip_infos(cfg: Config, ids: Sequence[str]) -> tuple[list[ClipInfo], list[str]]:
    """Infos of the clips ``ids`` from ``test_dataloader``, and notes on what is not known.

    No video is opened.
    """
    try:
        dataset = build_test_dataset(cfg)
    except FileNotFoundError as error:
        return [ClipInfo()] * len(ids), [f'Lengths and videos of the clips are unknown: {error}']
    known = {info['clip_id']: _describe(info)
             for info in map(dataset.get_data_info, range(len(dataset)))}
    unknown = [clip_id for clip_id in ids if clip_id not in known]
    notes = [f'{len(unknown)} of {len(ids)} clips are not in {dataset.ann_file}, e.g. '
             f'{unknown[0]}: their lengths and videos are unknown'] if unknown else []
    return [known.get(clip_id, ClipInfo()) for clip_id in ids], notes


def _describe(info: dict) -> ClipInfo:
    start, end = info.get('start_frame', 0), info.get('end_frame', -1)
    length = info.get('total_frames') if end == -1 else end - start + 1
    return ClipInfo(info.get('filename'), start, end, length)
