"""The page of results."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .html import write_html
from .results import NUM_BEST, Network, Results


def write_page(results: Results, folder: str | Path, previews: Sequence[str | None] = (),
               tokens: Sequence[str | None] = ()) -> Path:
    """Write ``folder/index.html``; returns its path.

    ``previews`` are names of files in ``folder/previews``, one per clip, and so are ``tokens``, the
    videos with kept tokens; by default there are none.
    """
    path = Path(folder, 'index.html')
    write_html(path, 'results', results=results, data=to_json(results, previews, tokens))
    return path


def to_json(results: Results, previews: Sequence[str | None] = (),
            tokens: Sequence[str | None] = ()) -> dict:
    """What the page's script needs of each clip, one list per column."""
    return dict(
        classes=results.classes, ids=results.ids, labels=results.labels.tolist(),
        lengths=[info.length for info in results.clips], previews=list(previews) or None,
        tokens=list(tokens) or None,
        networks=[_columns(network) for network in results.networks])


def _columns(network: Network) -> dict:
    losses = [None if np.isnan(loss) else round(loss, 3) for loss in network.losses.tolist()]
    return dict(name=network.name, losses=losses,
                best=network.ranked[:, :NUM_BEST].tolist(),
                scores=network.scores[:, :NUM_BEST].round(4).tolist())
