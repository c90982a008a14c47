"""The token reducers in plain loops over single numbers, straight from their descriptions.

Slow on purpose and free of the package. A clip is a list of float64 features ``x`` with a list of
sizes. Each step returns the features, the sizes and ``where``: for each of the N tokens its place
in the result, or -1 if it was dropped.
"""
import math
from collections.abc import Sequence

import numpy as np
from reference.gaie_loops import cosine, match, select, softmax


def clips_of(state, *names: str) -> list:
    """Arrays of each clip of a state: features, sizes, and the named fields."""
    fields = [getattr(state, name).double().numpy() for name in ('x', 'size', *names)]
    return list(zip(*fields))


def assert_equals_loops(before, after, clips: Sequence[tuple], rtol: float = 1e-12) -> None:
    """Compare a reducer's new state with what a function below made of each clip."""
    assert after.x.dtype == before.x.dtype and len(clips) == len(after.x)
    for b, (x, size, where) in enumerate(clips):
        np.testing.assert_allclose(after.x[b], np.array(x), rtol=rtol, atol=1e-12)
        np.testing.assert_allclose(after.size[b], np.array(size, dtype=float), rtol=1e-6)
        for n, owner in enumerate(before.source[b].tolist()):
            assert after.source[b, n] == (-1 if owner < 0 else where[owner])


def sharpness(q, k, scale: float) -> np.ndarray:
    """log N minus the entropy of each token's attention, averaged over heads: ``(B, N)``."""
    batch, heads, num_tokens, _ = q.shape
    result = np.zeros((batch, num_tokens))
    for b, i in np.ndindex(result.shape):
        rows = [softmax([scale * float(q[b, h, i] @ key) for key in k[b, h]]) for h in range(heads)]
        mean = [math.fsum(shares) / heads for shares in zip(*rows)]
        result[b, i] = math.log(num_tokens) + math.fsum(p * math.log(p) for p in mean if p > 0)
    return result


def drop(x, size, kept: Sequence[int]):
    """Keep the tokens of ``kept``, in that order."""
    where = [-1] * len(x)
    for place, i in enumerate(kept):
        where[i] = place
    return [x[i] for i in kept], [size[i] for i in kept], where


def evenly(positions: Sequence[int], num_keep: int) -> list[int]:
    """Tokens whose position is lowest in ``frac(position * golden ratio)``, ascending."""
    golden = (math.sqrt(5) - 1) / 2
    ranked = sorted(range(len(positions)), key=lambda i: positions[i] * golden % 1)
    return sorted(ranked[:num_keep])


def pair(metric, num_merge: int):
    """The ``num_merge`` most similar (even, odd) pairs, each even token with its best odd one."""
    proposals = []
    for i in range(0, len(metric), 2):
        similar = [(cosine(metric[i], metric[j]), -j) for j in range(1, len(metric), 2)]
        if similar:
            similarity, j = max(similar)  # of equal ones the first
            proposals.append((-similarity, i, -j))
    return sorted((i, j) for _, i, j in sorted(proposals)[:num_merge])


def merge_pairs(x, size, pairs, share=None):
    """Weighted means: what is left of the even tokens, then the odd ones.

    ``share`` is the part of its size that a merged token brings in, for vid-TLDR; one of 0 is
    dropped. To merge none leaves the order alone.
    """
    if not pairs:
        return x, size, list(range(len(x)))
    partner = dict(pairs)
    left = [i for i in range(0, len(x), 2) if i not in partner]
    left += list(range(1, len(x), 2))
    new_x, new_size, where = [], [], [-1] * len(x)
    for place, j in enumerate(left):
        where[j] = place
        total, weight = size[j] * x[j], size[j]
        for i in partner:
            if partner[i] == j:
                part = size[i] * (1. if share is None else share[i])
                total, weight = total + part * x[i], weight + part
                where[i] = place if part > 0 else -1
        new_x.append(total / weight)
        new_size.append(weight)
    return new_x, new_size, where


def tome(x, size, keys, num_merge: int):
    """One step of ToMe."""
    return merge_pairs(x, size, pair(keys, num_merge))


def evit(x, size, importance, num_keep: int):
    """The ``num_keep`` most important tokens in their order, and the weighted mean of the rest."""
    if len(x) - num_keep < 2:
        return x, size, list(range(len(x)))  # nothing to fuse, or one token with itself
    kept, rest = select(importance, num_keep)
    new_x, new_size, where = drop(x, size, kept)
    total = math.fsum(importance[i] for i in rest)
    new_x.append(sum(importance[i] / total * x[i] for i in rest))
    new_size.append(sum(size[i] for i in rest))
    return new_x, new_size, [num_keep if place < 0 else place for place in where]


def saliency(sharp) -> list[float]:
    """vid-TLDR's score, one paragraph of the paper after the other."""
    low, high = min(sharp), max(sharp)
    scaled = [(value - low) / (high - low) for value in sharp]
    mean = math.fsum(scaled) / len(scaled)
    background = [value < mean for value in scaled]
    centred = [value - mean for value in scaled]
    return [0. if dropped else value / max(centred) for value, dropped in zip(centred, background)]


def vidtldr(x, size, sharp, num_merge: int):
    """One step of vid-TLDR."""
    return merge_pairs(x, size, pair(x, num_merge), saliency(sharp) if num_merge else None)


def sta(x, size, keys, num_groups: int, num_keep: int, backward: bool):
    """Keep ``num_keep`` tokens of each of ``num_groups`` groups, which follow one another."""
    n = len(x) // num_groups
    groups = [range(g * n, (g + 1) * n) for g in range(num_groups)]
    groups = groups[::-1] if backward else groups
    dropped = {i for i, _ in pair(keys[groups[0]], n - num_keep)}
    kept = [i for place, i in enumerate(groups[0]) if place not in dropped]
    passed = {j: 1. for j in groups[0]}
    for group in groups[1:]:
        received = dict.fromkeys(group, 0.)
        for j, amount in passed.items():
            shares = softmax([cosine(keys[i], keys[j]) for i in group])
            for i, share in zip(group, shares):
                received[i] += amount * share
        magnitude = [math.fsum(abs(x[i])) for i in group]
        low, high = min(magnitude), max(magnitude)
        score = {i: received[i] * (1 - (m - low) / max(high - low, 1e-12))
                 for i, m in zip(group, magnitude)}
        stay = sorted(group, key=lambda i: (score[i], i))[:num_keep]
        total = math.fsum(received[i] for i in stay)
        passed = {i: received[i] / total for i in stay}
        kept += stay
    return drop(x, size, sorted(kept))


def diffrate(x, size, importance, num_pruned: int, num_left: int, weighted: bool = False):
    """Keep ``num_left`` tokens, merge the next ones into them, drop all behind ``num_pruned``.

    A plain mean, or ``weighted`` by size.
    """
    weight = size if weighted else [1.] * len(x)
    ahead, _ = select(importance, num_pruned)
    kept, _ = select(importance, num_left)
    merged = [i for i in ahead if i not in kept]
    new_x, new_size, where = drop(x, size, kept)
    places = match(x, kept, merged)
    for place, j in enumerate(kept):
        joined = [i for i, to in zip(merged, places) if to == place]
        new_x[place] = (sum(weight[i] * x[i] for i in (j, *joined))
                        / sum(weight[i] for i in (j, *joined)))
        new_size[place] = size[j] + sum(size[i] for i in joined)
    for i, place in zip(merged, places):
        where[i] = place
    return new_x, new_size, where


def keep_probability(probabilities, candidates, rank: int) -> float:
    """Probability of all counts that keep the token of that rank, 0 the first."""
    return math.fsum(p for p, count in zip(probabilities, candidates) if rank < count)
