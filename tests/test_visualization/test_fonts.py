"""Letters that the default font lacks are drawn by another font, or named."""
import logging
from pathlib import Path

import matplotlib
import pytest
from matplotlib.font_manager import fontManager

from gaie_mmaction.visualization import fonts

STIX = Path(matplotlib.get_data_path()) / 'fonts/ttf/STIXGeneral.ttf'


@pytest.fixture
def warnings(monkeypatch):
    fonts.find_font.cache_clear()
    messages = []
    monkeypatch.setattr(logging.Logger, 'handle',
                        lambda self, record: messages.append(record.getMessage()))
    return messages


def test_a_font_that_has_the_letters(warnings, monkeypatch):
    assert fonts.find_font('nod\tÄ…') == fonts.DEFAULT
    letter = min(fonts._letters(str(STIX)) - fonts._letters(fonts.DEFAULT))
    only_stix = [font for font in fontManager.ttflist if font.fname == str(STIX)]
    monkeypatch.setattr(fontManager, 'ttflist', only_stix)
    assert fonts.find_font(f'nod {letter}') == str(STIX)
    assert warnings == []


def test_letters_without_a_font_are_named(warnings, monkeypatch):
    monkeypatch.setattr(fontManager, 'ttflist', [])
    assert fonts.find_font('点头 nod') == fonts.DEFAULT
    assert len(warnings) == 1 and 'no installed font has the letters 头点' in warnings[0]


def test_a_file_that_is_not_a_font(tmp_path):
    (tmp_path / 'no.ttf').touch()
    assert fonts._letters(str(tmp_path / 'no.ttf')) == frozenset()
