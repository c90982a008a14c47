"""A video with the scores, the importance and the tokens of a model drawn on it.

Above, side by side: the frame, the importance of its tokens, and which of them were kept. Below:
the best classes of the moment, and the scores over time with the segments.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw, ImageFont

from .image_grid import figure_to_image
from .overlay import paint_importance, paint_tokens

WIDTH = 1280  # pixels
HEAD = 24
PANEL_HEIGHT = 400
LIST_WIDTH, STRIP_HEIGHT = 440, 190
CURVES = 6  # classes with a curve
BACKGROUND = (24, 24, 28)
PLAIN, FAINT, WARNING = (235, 235, 235), (160, 160, 165), (255, 190, 80)
COLOURS = [tuple(int(255 * part) for part in to_rgb(colour))
           for colour in matplotlib.color_sequences['tab10']]


@dataclass(frozen=True)
class Annotation:
    """What is drawn over a whole video.

    Attributes:
        windows (Sequence): Windows of it, see :class:`gaie_mmaction.apis.Window`.
        scores (np.ndarray): ``(F, classes)`` of its frames.
        segments (Sequence): See :class:`gaie_mmaction.apis.Segment`.
        names (Sequence[str]): Classes.
        threshold (float): Of the segments.
        tubelet_size (int): Frames that a token stands for.
        title (str): A line at the head.
        caution (str): A line below it; empty if none.
    """
    windows: Sequence
    scores: np.ndarray
    segments: Sequence
    names: Sequence[str]
    threshold: float
    tubelet_size: int
    title: str
    caution: str = ''


class AnnotatedVideo:
    """Draws the frames of an annotated video.

    Args:
        annotation (Annotation): What is drawn.
        height, width (int): Of the footage, pixels.
    """

    def __init__(self, annotation: Annotation, height: int, width: int) -> None:
        self.annotation = annotation
        has_tokens = annotation.windows[0].tokens is not None
        self.heads = ['video']
        if has_tokens and annotation.windows[0].tokens.importance[0] is not None:
            self.heads.append('importance of tokens')
        if has_tokens:
            kept = annotation.windows[0].tokens.kept[-1]
            self.heads.append(f'{kept.sum()} of {kept.size} tokens kept; merged ones coloured')
        scale = min(WIDTH / len(self.heads) / width, PANEL_HEIGHT / height)
        self.panel = int(width * scale), int(height * scale)
        self.top = HEAD * (3 if annotation.caution else 2)
        self.centres = np.array([(w.start + w.end) / 2 for w in annotation.windows])
        peaks = annotation.scores.max(axis=0)
        self.curves = np.argsort(-peaks, kind='stable')[:CURVES].tolist()
        self.fonts = [_font(13), _font(15)]
        self.canvas, self.plot = self._empty_canvas()

    def draw(self, number: int, frame: np.ndarray) -> np.ndarray:
        """Draw a frame.

        Args:
            number (int): Its number.
            frame (np.ndarray): ``(H, W, 3)`` uint8, RGB.

        Returns:
            np.ndarray: ``(H', W', 3)`` uint8, RGB; of one size throughout.
        """
        frame = cv2.resize(frame, self.panel, interpolation=cv2.INTER_AREA)
        canvas = self.canvas.copy()
        for place, image in enumerate([frame, *self._token_panels(number, frame)]):
            x = self._left(place)
            canvas[self.top:self.top + self.panel[1], x:x + self.panel[0]] = image
        left, right, low, high = self.plot
        x = round(left + (right - left) * number / max(len(self.annotation.scores) - 1, 1))
        cv2.line(canvas, (x, low), (x, high), (255, 255, 255), 1)
        picture = Image.fromarray(canvas)
        self._list_classes(ImageDraw.Draw(picture), number)
        return np.asarray(picture)

    def _token_panels(self, number: int, frame: np.ndarray) -> list[np.ndarray]:
        # of the windows that a frame is in, the one that it is most in the middle of
        window = self.annotation.windows[int(np.abs(self.centres - number).argmin())]
        tokens = window.tokens
        if tokens is None:
            return []
        seen = int(np.abs(window.frame_inds - number).argmin())
        t = min(seen // self.annotation.tubelet_size, len(tokens.kept[-1]) - 1)
        panels = [paint_tokens(frame, tokens.kept[-1][t], tokens.owner[-1][t], window.box)]
        if tokens.importance[0] is not None:
            heat = tokens.importance[0]
            panels.insert(0, paint_importance(
                frame, heat[t], float(np.percentile(heat, 99)), window.box))
        return panels

    def _left(self, place: int) -> int:
        """Where a panel begins."""
        return (WIDTH - self.panel[0] * len(self.heads)) // 2 + place * self.panel[0]

    def _empty_canvas(self) -> tuple[np.ndarray, tuple[int, int, int, int]]:
        """Everything that stays, and left, right, top and bottom of the plot, pixels."""
        height = self.top + self.panel[1] + STRIP_HEIGHT
        canvas = np.full((height, WIDTH, 3), BACKGROUND, np.uint8)
        strip, (left, right, low, high) = self._draw_strip(WIDTH - LIST_WIDTH, STRIP_HEIGHT)
        canvas[-STRIP_HEIGHT:, LIST_WIDTH:] = strip
        picture = Image.fromarray(canvas)
        draw = ImageDraw.Draw(picture)
        draw.text((8, 4), self.annotation.title, font=self.fonts[1], fill=PLAIN)
        if self.annotation.caution:
            _text(draw, (8, 4 + HEAD), self.annotation.caution, self.fonts[0], WARNING, WIDTH - 16)
        for place, head in enumerate(self.heads):
            _text(draw, (self._left(place) + 4, self.top - HEAD + 5), head, self.fonts[0], FAINT,
                  self.panel[0] - 8)
        base = height - STRIP_HEIGHT
        return np.asarray(picture), (LIST_WIDTH + left, LIST_WIDTH + right, base + low, base + high)

    def _draw_strip(self, width: int, height: int) -> tuple[np.ndarray, tuple[int, ...]]:
        """Curves and segments, and left, right, top and bottom of the axes, pixels."""
        note, dpi = self.annotation, 100
        figure = Figure(figsize=(width / dpi, height / dpi), facecolor=_share(BACKGROUND))
        axes = figure.add_axes((.06, .22, .92, .72), facecolor=_share((38, 38, 44)))
        for place, label in enumerate(self.curves):
            axes.plot(note.scores[:, label], color=_share(COLOURS[place]), linewidth=1.4)
        axes.axhline(note.threshold, color='0.6', linewidth=.8, linestyle=':')
        for segment in note.segments:
            axes.axvspan(segment.start, segment.end + 1, ymin=.93, ymax=1,
                         color=_share(self._colour(segment.label)))
        axes.set(xlim=(0, max(len(note.scores) - 1, 1)), ylim=(0, 1.08))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel('frame', color='0.75', fontsize=8, labelpad=1)
        axes.set_ylabel('score', color='0.75', fontsize=8, labelpad=1)
        axes.tick_params(colors='0.75', labelsize=8)
        image = figure_to_image(figure, dpi)
        box = axes.get_position()
        corners = (box.x0 * width, box.x1 * width, (1 - box.y1) * height, (1 - box.y0) * height)
        return cv2.resize(image, (width, height)), tuple(round(corner) for corner in corners)

    def _list_classes(self, draw: ImageDraw.ImageDraw, number: int) -> None:
        scores = self.annotation.scores[number]
        y = self.top + self.panel[1] + 8
        best = np.argsort(-scores, kind='stable')[:5]
        for label in best:
            colour = self._colour(int(label))
            draw.rectangle((8, y + 17, 8 + round(scores[label] * (LIST_WIDTH - 16)), y + 21),
                           fill=colour)
            _text(draw, (8, y), f'{scores[label]:.2f}  {self.annotation.names[label]}',
                  self.fonts[0], PLAIN, LIST_WIDTH - 16)
            y += 28
        inside = [s for s in self.annotation.segments if s.start <= number <= s.end]
        text = f'frame {number}' + ''.join(
            f'   segment {s.start}-{s.end}: {self.annotation.names[s.label]}' for s in inside)
        _text(draw, (8, y + 6), text, self.fonts[0], FAINT, LIST_WIDTH - 16)

    def _colour(self, label: int) -> tuple[int, int, int]:
        return COLOURS[self.curves.index(label)] if label in self.curves else (120, 120, 125)


def _font(size: int) -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path()) / 'fonts/ttf/DejaVuSans.ttf'
    return ImageFont.truetype(str(path), size)


def _text(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str,
          font: ImageFont.FreeTypeFont, colour: tuple, width: int) -> None:
    """A line, cut where it would be wider."""
    if draw.textlength(text, font=font) > width:
        while text and draw.textlength(text + '…', font=font) > width:
            text = text[:-1]
        text += '…'
    draw.text(place, text, font=font, fill=colour)


def _share(colour: tuple) -> tuple:
    return tuple(part / 255 for part in colour)
