"""What was found in a release, and every deviation, for people and for programs."""
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..datasets.imigue_classes import IMIGUE_CLASSES

PUBLISHED_CLIPS = dict(train=12893, val=777, test=4562)


class ReleaseError(Exception):
    """The release cannot be prepared; the message names the file and the way out."""


@dataclass(frozen=True, order=True)
class Deviation:
    """Something that is not as it should be.

    Attributes:
        kind (str): Group in the report.
        file (str): File, from the release's folder.
        detail (str): What is wrong, and what was done about it.
    """
    kind: str
    file: str
    detail: str


@dataclass
class Report:
    """Counts by part (``train``, ``val``, ``test``), what the videos are like, and deviations."""
    videos: dict[str, int] = field(default_factory=dict)
    clips: dict[str, int] = field(default_factory=dict)
    published_clips: dict[str, int] = field(default_factory=lambda: dict(PUBLISHED_CLIPS))
    clips_per_class: dict[str, dict[str, int]] = field(default_factory=dict)
    resolutions: dict[str, int] = field(default_factory=dict)
    frame_rates: dict[str, int] = field(default_factory=dict)
    skeletons: dict[str, int] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    deviations: list[Deviation] = field(default_factory=list)

    def add(self, kind: str, file: object, detail: str) -> None:
        """Note a deviation."""
        self.deviations.append(Deviation(kind, str(file), detail))

    def count_clips(self, parts: dict[str, list[tuple]]) -> None:
        """Count the clips of each part and class.

        Args:
            parts (dict): Rows of the segment csv by part, the label last.
        """
        for part, rows in parts.items():
            self.clips[part] = len(rows)
            counts = Counter(row[-1] for row in rows)
            self.clips_per_class[part] = {
                'unlabelled' if label < 0 else f'{label} {IMIGUE_CLASSES[label]}': number
                for label, number in sorted(counts.items())
            }

    def text(self) -> str:
        """For people."""
        lines = ['part    videos   clips   published']
        for part, number in self.clips.items():
            published = self.published_clips[part]
            mark = '' if number == published else f'   differs by {number - published:+d}'
            lines.append(f'{part:<6} {self.videos[part]:>7} {number:>7} {published:>11}{mark}')
        for part, counts in self.clips_per_class.items():
            lines.append(f'\nclips per class, {part}:')
            lines += [f'  {number:>6}  {name}' for name, number in counts.items()]
        for title in ('resolutions', 'frame_rates', 'skeletons'):
            found = ', '.join(f'{name} ({n} videos)' for name, n in getattr(self, title).items())
            lines.append(f'\n{title.replace("_", " ")}: {found or "none"}')
        if self.splits:
            lines.append('\nfurther splits:')
            lines += [f'  {name}: {text}' for name, text in self.splits.items()]
        lines.append(f'\ndeviations: {len(self.deviations)}')
        kind = None
        for deviation in sorted(self.deviations):
            if deviation.kind != kind:
                kind = deviation.kind
                number = sum(other.kind == kind for other in self.deviations)
                lines.append(f'\n{kind}: {number}')
            lines.append(f'  {deviation.file}: {deviation.detail}')
        return '\n'.join(lines) + '\n'

    def json(self) -> str:
        """For programs."""
        content = asdict(self)
        content['deviations'] = [asdict(deviation) for deviation in sorted(self.deviations)]
        return json.dumps(content, indent=2, ensure_ascii=False) + '\n'

    def plot_classes(self, out_file: Path) -> None:
        """Draw the labelled clips per class, on a logarithmic axis.

        Args:
            out_file (Path): PNG.
        """
        figure = Figure(figsize=(10, 9), layout='constrained')
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        names = [f'{label} {name}' for label, name in enumerate(IMIGUE_CLASSES)]
        labelled = {part: counts for part, counts in self.clips_per_class.items()
                    if counts and 'unlabelled' not in counts}
        # one bar a class: parts of a bar would have no common scale on a logarithmic axis
        totals = [sum(counts.get(name, 0) for counts in labelled.values()) for name in names]
        axes.barh(names, totals)
        for place, number in enumerate(totals):
            axes.text(max(number, 1), place, f' {number}', va='center', fontsize=8)
        parts = ', '.join(f'{part} {sum(counts.values())}' for part, counts in labelled.items())
        axes.set(xscale='log', xlabel='clips', title=f'Labelled clips per class ({parts})')
        axes.set_xlim(left=.8, right=2 * max(totals + [1]))
        axes.invert_yaxis()
        axes.margins(y=.01)
        figure.savefig(out_file, dpi=100, format='png', metadata={'Software': None})
