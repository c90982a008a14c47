"""A video with what a model makes of it.

Top row: the frame, the importance of its tokens, and which of them were kept. Below: the best
classes of the moment, and the scores over time with the segments.
"""
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw, ImageFont

from ..utils.files import atomic_file
from .fonts import find_font
from .overlay import WHOLE, paint_window
from .pictures import figure_to_image
from .video_writer import VideoWriter

if TYPE_CHECKING:
    from ..apis import VideoResult
    from ..apis.footage import Footage

WIDTH, PANEL_HEIGHT, HEAD = 1280, 400, 24  # pixels
LIST_WIDTH, STRIP_HEIGHT = 440, 190
AXES = (.06, .22, .92, .72)  # left, bottom, width and height, shares of the strip
CURVES = 6  # classes with a curve
CHUNK = 32  # frames decoded at once
BACKGROUND, PLOT = '#18181c', '#26262c'
PLAIN, FAINT, GREY, WARNING = '#ebebeb', '#a0a0a5', '#78787d', '#ffbe50'
COLORS = [to_hex(color) for color in matplotlib.color_sequences['tab10']]


class AnnotatedVideo:
    """Draws a result over the frames of a video of ``height`` x ``width`` pixels."""

    def __init__(self, result: 'VideoResult', title: str, height: int, width: int) -> None:
        self.result, self.classes = result, result.recognizer.classes
        heads = self._panel_heads()
        self.slot = WIDTH // len(heads)  # share of the width: portrait panels are narrower
        scale = min(self.slot / width, PANEL_HEIGHT / height)
        self.panel = int(width * scale), int(height * scale)
        self.top = HEAD * (3 if self.classes.caution else 2)
        self.centers = np.array([(w.start + w.end) / 2 for w in result.windows])
        self.curves = np.argsort(-result.scores.max(axis=0), kind='stable')[:CURVES].tolist()
        path = find_font(title + self.classes.caution + ''.join(self.classes.names))
        self.font, large = (ImageFont.truetype(path, size) for size in (13, 15))
        # all that stays the same
        picture = Image.new(
            'RGB', (WIDTH, self.top + self.panel[1] + STRIP_HEIGHT), BACKGROUND)
        picture.paste(Image.fromarray(self._draw_strip()), (LIST_WIDTH, self.top + self.panel[1]))
        draw = ImageDraw.Draw(picture)
        _text(draw, (8, 4), title, large, PLAIN, WIDTH - 16)
        _text(draw, (8, 4 + HEAD), self.classes.caution, self.font, WARNING, WIDTH - 16)
        for place, head in enumerate(heads):
            _text(draw, (self.slot * place + 4, self.top - HEAD + 5), head, self.font, FAINT,
                  self.slot - 8)
        self.canvas = np.asarray(picture)

    def draw(self, number: int, frame: np.ndarray) -> np.ndarray:
        """Draw frame ``number``, ``(H, W, 3)`` uint8, RGB; the result has one size for all."""
        frame = cv2.resize(frame, self.panel, interpolation=cv2.INTER_AREA)
        canvas, base = self.canvas.copy(), self.top + self.panel[1]
        # of the windows that a frame is in, the one whose centre is nearest
        window = self.result.windows[int(np.abs(self.centers - number).argmin())]
        panels = paint_window(frame, number, window, self.result.recognizer.tubelet_size)
        for place, image in enumerate([frame, *panels]):
            x = self.slot * place + (self.slot - self.panel[0]) // 2
            canvas[self.top:base, x:x + self.panel[0]] = image
        # the cursor
        left, bottom, width, height = AXES
        moment = left + width * number / max(len(self.result.scores) - 1, 1)
        x = LIST_WIDTH + round((WIDTH - LIST_WIDTH) * moment)
        low, high = (base + round(STRIP_HEIGHT * (1 - y)) for y in (bottom + height, bottom))
        cv2.line(canvas, (x, low), (x, high), (255, 255, 255), 1)
        picture = Image.fromarray(canvas)
        self._list_classes(ImageDraw.Draw(picture), number)
        return np.asarray(picture)

    def _panel_heads(self) -> list[str]:
        first = self.result.windows[0]
        if first.tokens is None:
            return ['video']
        kept = first.tokens.kept[-1]
        heads = ['video', f'{kept.sum()} of {kept.size} tokens kept; merged ones coloured']
        if first.tokens.importance[0] is not None:
            heads.insert(1, 'importance of tokens')
        if first.box != WHOLE:
            heads[1] += ' (the model sees the bright part)'
        return heads

    def _draw_strip(self) -> np.ndarray:
        """Curves and segments."""
        result, width, dpi = self.result, WIDTH - LIST_WIDTH, 100
        figure = Figure(figsize=(width / dpi, STRIP_HEIGHT / dpi), facecolor=BACKGROUND)
        axes = figure.add_axes(AXES, facecolor=PLOT)
        for place, label in enumerate(self.curves):
            axes.plot(result.scores[:, label], color=COLORS[place], linewidth=1.4)
        axes.axhline(result.threshold, color='0.6', linewidth=.8, linestyle=':')
        for segment in result.segments:
            axes.axvspan(segment.start, segment.end + 1, ymin=.93, ymax=1,
                         color=self._color(segment.label))
        axes.set(xlim=(0, max(len(result.scores) - 1, 1)), ylim=(0, 1.08))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel('frame', color='0.75', fontsize=8, labelpad=1)
        axes.set_ylabel('score', color='0.75', fontsize=8, labelpad=1)
        axes.tick_params(colors='0.75', labelsize=8)
        return cv2.resize(figure_to_image(figure, dpi), (width, STRIP_HEIGHT))

    def _list_classes(self, draw: ImageDraw.ImageDraw, number: int) -> None:
        y, width = self.top + self.panel[1] + 8, LIST_WIDTH - 16
        for row in self.result.top5(self.result.scores[number]):
            draw.rectangle((8, y + 17, 8 + round(row['score'] * width), y + 21),
                           fill=self._color(row['label']))
            _text(draw, (8, y), f'{row["score"]:.2f}  {row["name"]}', self.font, PLAIN, width)
            y += 28
        text = f'frame {number}' + ''.join(
            f'   segment {s.start}-{s.end}: {self.classes.names[s.label]}'
            for s in self.result.segments if s.start <= number <= s.end)
        _text(draw, (8, y + 6), text, self.font, FAINT, width)

    def _color(self, label: int) -> str:
        return COLORS[self.curves.index(label)] if label in self.curves else GREY


def write_annotated_video(footage: 'Footage', result: 'VideoResult', title: str,
                          path: Path) -> None:
    """Write an mp4 of all frames with what was recognized; ``title`` is its first line."""
    if path.resolve() == Path(footage.filename).resolve():
        raise FileExistsError(f'{path} is the video itself: choose another folder by --out')
    drawing = None
    with atomic_file(path) as partial, VideoWriter(partial, footage.fps or 25) as writer:
        for start in range(0, len(footage), CHUNK):
            numbers = range(start, min(start + CHUNK, len(footage)))
            for number, frame in zip(numbers, footage.read(numbers)):
                drawing = drawing or AnnotatedVideo(result, title, *frame.shape[:2])
                writer.write(drawing.draw(number, frame))


def _text(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str,
          font: ImageFont.FreeTypeFont, color: str, width: int) -> None:
    """One line, cut with an ellipsis where it would be wider."""
    line = text
    while text and draw.textlength(line, font=font) > width:
        text = text[:-1]
        line = f'{text}…'
    draw.text(place, line, font=font, fill=color)
