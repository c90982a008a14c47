"""Comparing a reducer's states with plain loops, clip by clip."""
from collections.abc import Sequence

import numpy as np


def assert_equals_loops(before, after, clips: Sequence[tuple], rtol: float = 1e-12) -> None:
    """Features, sizes and provenance of every clip.

    Args:
        before (TokenState): Of float64 features.
        after (TokenState): What the reducer made of it.
        clips (Sequence[tuple]): What the loops made of each clip: the features, the
            sizes, and for each token its place or -1.
    """
    assert after.x.dtype == before.x.dtype and len(clips) == len(after.x)
    for b, (x, size, where) in enumerate(clips):
        np.testing.assert_allclose(after.x[b], np.array(x), rtol=rtol, atol=1e-12)
        np.testing.assert_allclose(after.size[b], np.array(size, dtype=float), rtol=1e-6)
        for n, owner in enumerate(before.source[b].tolist()):
            assert after.source[b, n] == (-1 if owner < 0 else where[owner])


def clips_of(state, *names: str) -> list:
    """Arrays of each clip: features, sizes, and the named fields."""
    fields = [getattr(state, name).double().numpy() for name in ('x', 'size', *names)]
    return list(zip(*fields))
