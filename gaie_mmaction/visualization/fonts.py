"""Fonts that have the letters of a text, such as Chinese class names."""
import functools
import logging

import matplotlib
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from mmengine.logging import print_log

DEFAULT = f'{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf'


@functools.cache
def _letters(path: str) -> frozenset[str]:
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):  # not readable, or a format that FreeType does not know
        return frozenset()
    return frozenset(map(chr, font.get_charmap())) if font.scalable else frozenset()


@functools.cache
def find_font(text: str) -> str:
    """Path of DejaVu Sans, or of the installed font that lacks the fewest letters of a text.

    Letters that it lacks are drawn as boxes; a warning names them.
    """
    wanted = {letter for letter in text if not letter.isspace()}
    if wanted <= _letters(DEFAULT):
        return DEFAULT
    installed = sorted(font.fname for font in fontManager.ttflist if font.style == 'normal')
    best = min([DEFAULT, *installed], key=lambda path: len(wanted - _letters(path)))
    if missing := ''.join(sorted(wanted - _letters(best))):
        print_log(f'no installed font has the letters {missing}: pictures show boxes in their '
                  'place. Install one, such as Noto Sans CJK', logger='current',
                  level=logging.WARNING)
    return best
