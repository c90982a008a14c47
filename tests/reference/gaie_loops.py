"""The method in plain loops over single numbers, straight from its description.

Slow on purpose and free of the package: what the fast code is compared with.
"""
import math
from decimal import ROUND_CEILING, Decimal

import numpy as np


def softmax(logits) -> list[float]:
    weights = [math.exp(logit - max(logits)) for logit in logits]
    return [weight / math.fsum(weights) for weight in weights]


def attention(q, k, v, scale: float, bias=None) -> tuple[np.ndarray, np.ndarray]:
    """Output ``(B, h, N, d)`` and importance ``(B, N)`` of float64 arrays ``(B, h, N, d)``."""
    batch, heads, num_tokens, _ = q.shape
    out = np.zeros_like(v)
    importance = np.zeros((batch, num_tokens))
    for b, h, i in np.ndindex(batch, heads, num_tokens):
        logits = [scale * float(q[b, h, i] @ key) for key in k[b, h]]
        if bias is not None:
            logits = [logit + float(extra) for logit, extra in zip(logits, bias[b])]
        for j, share in enumerate(softmax(logits)):
            importance[b, j] += share / (heads * num_tokens)
            out[b, h, i] += share * v[b, h, j]
    return out, importance


def num_kept(num_tokens: int, keep_ratio: str) -> int:
    """``ceil(keep_ratio * N)`` of the ratio as written."""
    return int((Decimal(keep_ratio) * num_tokens).to_integral_value(ROUND_CEILING))


def select(importance: list[float], num_keep: int) -> tuple[list[int], list[int]]:
    """Kept and background tokens of one clip, ascending; ties: the earlier token is kept."""
    ranked = sorted(range(len(importance)), key=lambda j: (-importance[j], j))
    return sorted(ranked[:num_keep]), sorted(ranked[num_keep:])


def cosine(a, b) -> float:
    norms = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
    return math.fsum(x * y for x, y in zip(a, b)) / norms if norms else 0.


def match(metric, kept: list[int], background: list[int]) -> list[int]:
    """For each background token the place, in ``kept``, of the first most similar kept token."""
    # max() returns the first of equal values
    return [max(range(len(kept)), key=lambda place: cosine(metric[i], metric[kept[place]]))
            for i in background]


def distinctness(metric, importance: list[float]) -> list[float]:
    """1 minus the highest cosine to a more important token, or an earlier equal one."""
    return [1 - max((cosine(metric[i], metric[j]) for j in range(len(importance))
                     if (-importance[j], j) < (-importance[i], i)), default=-math.inf)
            for i in range(len(importance))]


def gaie(x, importance, keep_ratio: str, metric=None) -> np.ndarray:
    """All of it for a batch: ``(B, N, C)`` and ``(B, N)`` to ``(B, K, C)``."""
    results = []
    for b in range(len(x)):
        kept, background = select(list(importance[b]), num_kept(len(x[b]), keep_ratio))
        places = match((x if metric is None else metric)[b], kept, background)
        # the plain mean of each kept token and what joined it
        groups = [[x[b][j], *(x[b][i] for i, where in zip(background, places) if where == place)]
                  for place, j in enumerate(kept)]
        results.append([sum(group) / len(group) for group in groups])
    return np.array(results)
