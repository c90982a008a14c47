"""What a release holds, and every deviation, for people and for programs."""
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from ..utils.files import write_text

PUBLISHED_CLIPS = dict(train=12893, val=777, test=4562)
# control characters, line separators and bytes that are not UTF-8: no line of text can hold them
UNSAFE = re.compile('[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')


class ReleaseError(Exception):
    """The release cannot be prepared; the message names the file and the way out."""


class Deviation(NamedTuple):
    """What is wrong with a file, given relative to the release, and what was done about it."""
    kind: str
    file: str
    detail: str


@dataclass
class Report:
    """Counts by part (``train``, ``val``, ``test``), properties of the videos, and deviations."""
    videos: dict[str, int] = field(default_factory=dict)
    clips: dict[str, int] = field(default_factory=dict)
    published_clips: dict[str, int] = field(default_factory=lambda: dict(PUBLISHED_CLIPS))
    clips_per_class: dict[str, dict[str, int]] = field(default_factory=dict)
    resolutions: dict[str, int] = field(default_factory=dict)
    frame_rates: dict[str, int] = field(default_factory=dict)
    skeletons: dict[str, int] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    deviations: list[Deviation] = field(default_factory=list)
    unplaced_videos: int = 0  # labelled, but left out, as no folder names their part
    clips_cut: int = 0  # by this run

    def add(self, kind: str, file: object, detail: str) -> None:
        file, detail = (UNSAFE.sub(lambda match: match[0].encode('unicode_escape').decode(), text)
                        for text in (str(file), detail))
        self.deviations.append(Deviation(kind, file, detail))

    def count_clips(self, part: str, labels: Sequence[int], classes: Sequence[str]) -> None:
        self.clips[part] = len(labels)
        self.clips_per_class[part] = {
            'unlabelled' if label < 0 else f'{label} {classes[label]}': number
            for label, number in sorted(Counter(labels).items())}

    def text(self) -> str:
        """The report for people."""
        lines = ['part    videos   clips   published']
        for part, number in self.clips.items():
            published = self.published_clips.get(part, number)
            mark = '' if number == published else f'   differs by {number - published:+d}'
            lines.append(f'{part:<6} {self.videos[part]:>7} {number:>7} '
                         f'{self.published_clips.get(part, "unknown"):>11}{mark}')
        for part, counts in self.clips_per_class.items():
            lines.append(f'\nclips per class, {part}:')
            lines += [f'  {number:>6}  {name}' for name, number in counts.items()]
        for title in ('resolutions', 'frame_rates', 'skeletons'):
            found = ', '.join(f'{name} ({n} videos)' for name, n in getattr(self, title).items())
            if found:  # not every data set has them counted
                lines.append(f'\n{title.replace("_", " ")}: {found}')
        if self.splits:
            lines.append('\nfurther splits:')
            lines += [f'  {name}: {text}' for name, text in self.splits.items()]
        lines.append(f'\ndeviations: {len(self.deviations)}')
        for kind, group in groupby(sorted(self.deviations), attrgetter('kind')):
            members = [f'  {deviation.file}: {deviation.detail}' for deviation in group]
            lines += [f'\n{kind}: {len(members)}', *members]
        return '\n'.join(lines) + '\n'

    def content(self) -> dict[str, Any]:
        """The report for programs."""
        content = asdict(self)
        # an interrupted run, continued, is to leave the same files as an unbroken one
        del content['clips_cut']
        content['deviations'] = [deviation._asdict() for deviation in sorted(self.deviations)]
        return content

    def write(self, out: Path) -> None:
        """Write ``report.txt`` and ``report.json``."""
        content = json.dumps(self.content(), indent=2, ensure_ascii=False) + '\n'
        for name, text in (('report.txt', self.text()), ('report.json', content)):
            write_text(out / name, text)
