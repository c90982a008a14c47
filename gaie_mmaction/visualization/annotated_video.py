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
from .image_grid import figure_to_image
from .overlay import WHOLE, paint_importance, paint_tokens
from .video_writer import VideoWriter

if TYPE_CHECKING:
    from ..apis import VideoResult
    from ..apis.footage import Footage

WIDTH = 1280  # pixels
HEAD = 24
PANEL_HEIGHT = 400
LIST_WIDTH, STRIP_HEIGHT = 440, 190
CURVES = 6  # classes with a curve
CHUNK = 32  # frames decoded at once
BACKGROUND, PLOT = '#18181c', '#26262c'
PLAIN, FAINT, GREY, WARNING = '#ebebeb', '#a0a0a5', '#78787d', '#ffbe50'
COLORS = [to_hex(color) for color in matplotlib.color_sequences['tab10']]


class AnnotatedVideo:
    """Draws a result over the frames of a video of ``height`` x ``width`` pixels."""

    def __init__(self, result: 'VideoResult', title: str, height: int, width: int) -> None:
        self.result, self.title, self.classes = result, title, result.recognizer.classes
        self.heads = self._panel_heads()
        scale = min(WIDTH / len(self.heads) / width, PANEL_HEIGHT / height)
        self.panel = int(width * scale), int(height * scale)
        self.top = HEAD * (3 if self.classes.caution else 2)
        self.centers = np.array([(w.start + w.end) / 2 for w in result.windows])
        peaks = result.scores.max(axis=0)
        self.curves = np.argsort(-peaks, kind='stable')[:CURVES].tolist()
        path = find_font(title + self.classes.caution + ''.join(self.classes.names))
        self.fonts = [ImageFont.truetype(path, size) for size in (13, 15)]
        self.canvas, self.plot = self._empty_canvas()

    def draw(self, number: int, frame: np.ndarray) -> np.ndarray:
        """Draw frame ``number``, ``(H, W, 3)`` uint8, RGB; the result has one size for all."""
        frame = cv2.resize(frame, self.panel, interpolation=cv2.INTER_AREA)
        canvas = self.canvas.copy()
        for place, image in enumerate([frame, *self._token_panels(number, frame)]):
            x = self._slot(place) + (self._slot(1) - self.panel[0]) // 2
            canvas[self.top:self.top + self.panel[1], x:x + self.panel[0]] = image
        left, right, low, high = self.plot
        x = round(left + (right - left) * number / max(len(self.result.scores) - 1, 1))
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

    def _token_panels(self, number: int, frame: np.ndarray) -> list[np.ndarray]:
        # of the windows that a frame is in, the one whose centre is nearest
        window = self.result.windows[int(np.abs(self.centers - number).argmin())]
        tokens = window.tokens
        if tokens is None:
            return []
        seen = int(np.abs(window.frame_inds - number).argmin())
        t = min(seen // self.result.recognizer.tubelet_size, len(tokens.kept[-1]) - 1)
        panels = [paint_tokens(frame, tokens.kept[-1][t], tokens.owner[-1][t], window.box)]
        if tokens.importance[0] is not None:
            heat = tokens.importance[0]
            panels.insert(0, paint_importance(
                frame, heat[t], float(np.percentile(heat, 99)), window.box))
        return panels

    def _slot(self, place: int) -> int:
        """Left border of a panel's share of the width: portrait panels are narrower."""
        return WIDTH * place // len(self.heads)

    def _empty_canvas(self) -> tuple[np.ndarray, tuple[int, int, int, int]]:
        """All that stays the same, and left, right, top and bottom of the plot, pixels."""
        height = self.top + self.panel[1] + STRIP_HEIGHT
        picture = Image.new('RGB', (WIDTH, height), BACKGROUND)
        strip, (left, right, low, high) = self._draw_strip(WIDTH - LIST_WIDTH, STRIP_HEIGHT)
        base = height - STRIP_HEIGHT
        picture.paste(Image.fromarray(strip), (LIST_WIDTH, base))
        draw = ImageDraw.Draw(picture)
        _text(draw, (8, 4), self.title, self.fonts[1], PLAIN, WIDTH - 16)
        _text(draw, (8, 4 + HEAD), self.classes.caution, self.fonts[0], WARNING, WIDTH - 16)
        for place, head in enumerate(self.heads):
            _text(draw, (self._slot(place) + 4, self.top - HEAD + 5), head, self.fonts[0], FAINT,
                  self._slot(1) - 8)
        return np.asarray(picture), (LIST_WIDTH + left, LIST_WIDTH + right, base + low, base + high)

    def _draw_strip(self, width: int, height: int) -> tuple[np.ndarray, tuple[int, ...]]:
        """Curves and segments, and left, right, top and bottom of the axes, pixels."""
        result, dpi = self.result, 100
        figure = Figure(figsize=(width / dpi, height / dpi), facecolor=BACKGROUND)
        axes = figure.add_axes((.06, .22, .92, .72), facecolor=PLOT)
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
        image = figure_to_image(figure, dpi)
        box = axes.get_position()
        corners = (box.x0 * width, box.x1 * width, (1 - box.y1) * height, (1 - box.y0) * height)
        return cv2.resize(image, (width, height)), tuple(round(corner) for corner in corners)

    def _list_classes(self, draw: ImageDraw.ImageDraw, number: int) -> None:
        names, y = self.classes.names, self.top + self.panel[1] + 8
        for row in self.result.top5(self.result.scores[number]):
            draw.rectangle((8, y + 17, 8 + round(row['score'] * (LIST_WIDTH - 16)), y + 21),
                           fill=self._color(row['label']))
            _text(draw, (8, y), f'{row["score"]:.2f}  {row["name"]}', self.fonts[0], PLAIN,
                  LIST_WIDTH - 16)
            y += 28
        inside = [s for s in self.result.segments if s.start <= number <= s.end]
        text = f'frame {number}' + ''.join(
            f'   segment {s.start}-{s.end}: {names[s.label]}' for s in inside)
        _text(draw, (8, y + 6), text, self.fonts[0], FAINT, LIST_WIDTH - 16)

    def _color(self, label: int) -> str:
        return COLORS[self.curves.index(label)] if label in self.curves else GREY


def write_annotated_video(footage: 'Footage', result: 'VideoResult', title: str,
                          path: Path) -> None:
    """Write an mp4 of all frames with what was recognized; ``title`` is its first line.

    Raises:
        FileExistsError: If ``path`` is the video itself.
    """
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
    if draw.textlength(text, font=font) > width:
        while text and draw.textlength(text + '…', font=font) > width:
            text = text[:-1]
        text += '…'
    draw.text(place, text, font=font, fill=color)
