"""The page of a prepared release."""
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.annotations import Segment
from ..datasets.imigue_classes import IMIGUE_CLASSES
from .clips import ClipInfo
from .html import write_html
from .overlays import Overlay, SkeletonSource, make_overlays
from .previews import make_previews

CLASSES = range(len(IMIGUE_CLASSES))
CLIPS_PER_CLASS = 3
FOLDER = 'previews'  # beside the page

Parts = Mapping[str, Sequence[Segment]]


@dataclass
class Media:
    """Pictures and videos of the page, files in its folder ``previews``."""
    overlays: dict[str, Overlay] = field(default_factory=dict)  # by video id
    clips: dict[str, list[tuple[Segment, str | None]]] = field(default_factory=dict)  # by class
    notes: list[str] = field(default_factory=list)


def make_media(out: Path, root: Path, parts: Parts, skeletons: Mapping[str, SkeletonSource],
               workers: int, previews: bool = False) -> Media:
    """Draw skeletons over frames, and with ``previews`` cut three clips of each class.

    ``out`` is the folder of the page, ``root`` that of the videos in ``parts``; ``skeletons`` are
    by video id, perhaps none. What is there already is kept.
    """
    media = Media()
    if skeletons:
        media.overlays, media.notes = make_overlays(skeletons, out / FOLDER, workers)
    if previews:
        chosen = choose_clips(parts)
        names, notes = make_previews([ClipInfo(str(root / clip.video), clip.start_frame,
                                               clip.end_frame) for clip in chosen],
                                     out / FOLDER, workers)
        media.notes += notes
        for clip, name in zip(chosen, names):
            media.clips.setdefault(_class_name(clip.label), []).append((clip, name))
    return media


def choose_clips(parts: Parts) -> list[Segment]:
    """Up to 3 labelled clips of each class, spread over the release and so over its people."""
    of_class: dict[int, list[Segment]] = {}
    for clips in parts.values():
        for clip in clips:
            of_class.setdefault(clip.label, []).append(clip)
    return [of_class[label][k] for label in sorted(of_class) if label >= 0
            for k in np.unique(np.linspace(0, len(of_class[label]) - 1, CLIPS_PER_CLASS + 2)
                               .round().astype(int)[1:-1])]


def write_release_page(path: Path, report: Mapping[str, Any], parts: Parts, media: Media) -> None:
    """Write the page beside the media of :func:`make_media`; ``report`` is that of report.json."""
    labelled = {part: counts for part, counts in report['clips_per_class'].items()
                if counts and 'unlabelled' not in counts}
    lengths = {part: [clip.end_frame - clip.start_frame + 1 for clip in clips]
               for part, clips in parts.items() if clips}
    # 1, 2, 3 to 4, 5 to 8, ... frames: most clips are short, and a few very long
    groups = {part: Counter((length - 1).bit_length() for length in values)
              for part, values in lengths.items()}
    used = {group for counts in groups.values() for group in counts}
    names = {group: f'{2**group // 2 + 1} to {2**group}' if group > 1 else f'{2**group}'
             for group in range(min(used, default=0), max(used, default=-1) + 1)}
    write_html(
        path, 'release', report=report, media=media, folder=FOLDER,
        classes=_distribution(labelled, {name: name for name in map(_class_name, CLASSES)}),
        lengths=_distribution(groups, names),
        ranges={part: f'{min(values)} / {np.median(values):g} / {max(values)}'
                for part, values in lengths.items()})


def _class_name(label: int) -> str:
    return f'{label} {IMIGUE_CLASSES[label]}'


def _distribution(counts: Mapping[str, Mapping], names: Mapping[Any, str]
                  ) -> tuple[list[str], list[tuple[str, list[tuple[int, float, float]]]]]:
    """Parts, and for each name the clips of each part, their share, and the length of its bar."""
    totals = {part: sum(own.values()) for part, own in counts.items()}
    shares = {key: [own.get(key, 0) / totals[part] for part, own in counts.items()]
              for key in names}
    top = max(map(max, shares.values())) if counts else 1
    return list(counts), [
        (name, [(own.get(key, 0), share, share / top)
                for own, share in zip(counts.values(), shares[key])])
        for key, name in names.items()]
