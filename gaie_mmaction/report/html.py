"""Pages that open from disk: one file with its style, script and data."""
import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from ..utils.files import write_text

ASSETS = 'assets'


def write_html(path: Path, name: str, libraries: Sequence[str] = (), **values: Any) -> None:
    """Render ``assets/NAME.html``, with ``base.css``, and ``NAME.css`` and ``NAME.js`` if any.

    The page needs no server and no network. Its content security policy admits one script and one
    style sheet, both by their hash; texts in ``values`` are escaped.

    Args:
        path (Path): The file to write.
        name (str): Of the template, which extends ``base.html``.
        libraries (Sequence[str]): Names of further styles and scripts in ``assets``. Defaults to
            (), none.
        **values (Any): Of the template's variables; ``data`` is the script's, as JSON.
    """
    environment = Environment(loader=PackageLoader(__package__, ASSETS), autoescape=True,
                              extensions=['jinja2.ext.do'], trim_blocks=True, lstrip_blocks=True)
    style, script = (''.join(_asset(f'{part}.{suffix}') for part in ('base', *libraries, name))
                     for suffix in ('css', 'js'))
    html = environment.get_template(f'{name}.html').render(
        style=Markup(style), script=Markup(script),  # our own, not the data's
        style_hash=_csp_hash(style), script_hash=_csp_hash(script), **values)
    write_text(path, html)


def _asset(name: str) -> str:
    path = files(__package__) / ASSETS / name
    return path.read_text(encoding='utf-8') if path.is_file() else ''


def _csp_hash(text: str) -> str:
    return 'sha256-' + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
