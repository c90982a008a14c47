"""The report as one HTML file that opens from disk, and previews beside it."""
import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from ..utils.files import atomic_file
from .results import NUM_BEST, Network, Results

ASSETS = 'assets'


def write_page(results: Results, folder: str | Path, previews: Sequence[str | None] = ()) -> Path:
    """Write ``folder/index.html``; returns its path.

    The page needs no server and no network. Its content security policy admits one script and one
    style sheet, both by their hash; texts from the data are escaped.

    Args:
        results (Results): What to show.
        folder (str or Path): Where to write.
        previews (Sequence[str or None]): Names of files in ``folder/previews``, one per clip.
            Defaults to (), no previews.
    """
    style, script = _asset('report.css'), _asset('report.js')
    environment = Environment(loader=PackageLoader(__package__, ASSETS), autoescape=True,
                              extensions=['jinja2.ext.do'], trim_blocks=True, lstrip_blocks=True)
    html = environment.get_template('report.html').render(
        results=results, style=Markup(style), script=Markup(script),  # our own, not the data's
        style_hash=_csp_hash(style), script_hash=_csp_hash(script),
        data=to_json(results, previews))
    path = Path(folder, 'index.html')
    with atomic_file(path) as partial:
        partial.write_text(html, encoding='utf-8', newline='')
    return path


def to_json(results: Results, previews: Sequence[str | None] = ()) -> dict:
    """What the page's script needs of each clip, one list per column."""
    return dict(
        classes=results.classes, ids=results.ids, labels=results.labels.tolist(),
        lengths=[info.length for info in results.clips], previews=list(previews) or None,
        networks=[_columns(network) for network in results.networks])


def _columns(network: Network) -> dict:
    losses = [None if np.isnan(loss) else round(loss, 3) for loss in network.losses.tolist()]
    return dict(name=network.name, losses=losses,
                best=network.ranked[:, :NUM_BEST].tolist(),
                scores=network.scores[:, :NUM_BEST].round(4).tolist())


def _asset(name: str) -> str:
    return (files(__package__) / ASSETS / name).read_text(encoding='utf-8')


def _csp_hash(text: str) -> str:
    return 'sha256-' + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
