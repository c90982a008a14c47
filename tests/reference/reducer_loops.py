"""The token reducers in plain loops over single numbers, straight from their descriptions.

Slow on purpose and free of the package: what the fast code is compared with.
A clip is a list of feature vectors ``x`` of float64, with a list of sizes. Each
function returns the features, the sizes and ``where``: for each of the N tokens
its place in the result, or -1 if it was dropped.
"""
import math
from typing import List, Sequence

import numpy as np


def sharpness(q, k, scale: float) -> np.ndarray:
    """log N minus the entropy of each token's attention, mean over heads: ``(B, N)``."""
    batch, heads, num_tokens, dims = q.shape
    result = np.zeros((batch, num_tokens))
    for b in range(batch):
        for i in range(num_tokens):
            row = [0.] * num_tokens
            for h in range(heads):
                weights = []
                for j in range(num_tokens):
                    weights.append(
                        math.exp(scale * sum(q[b, h, i, c] * k[b, h, j, c] for c in range(dims))))
                for j in range(num_tokens):
                    row[j] += weights[j] / math.fsum(weights) / heads
            entropy = -math.fsum(p * math.log(p) for p in row if p > 0)
            result[b, i] = math.log(num_tokens) - entropy
    return result


def drop(x, size, kept: Sequence[int]):
    """Keep the tokens of ``kept``, in that order."""
    where = [-1] * len(x)
    for place, i in enumerate(kept):
        where[i] = place
    return [x[i] for i in kept], [size[i] for i in kept], where


def evenly(positions: Sequence[int], num_keep: int) -> List[int]:
    """Tokens whose position is lowest in ``frac(position * golden ratio)``, ascending."""
    golden = (math.sqrt(5) - 1) / 2
    ranked = sorted(range(len(positions)), key=lambda i: positions[i] * golden % 1)
    return sorted(ranked[:num_keep])
