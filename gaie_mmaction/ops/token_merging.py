"""Token selection, matching and merging of GAIE as pure functions.

Letters: B batch, N tokens, K kept tokens, C channels. Indices are ``int64``.
Source of the method: "Enhancing Micro-gesture Classification via Global-Aware
Importance Estimation in Vision Transformer", CEUR-WS Vol-4168, section 3.
"""
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import at_least_float32, no_autocast
from .tracing import is_exporting

# Similarities held at once, in float32 8 MB: at large batches the whole map would be hundreds
MATCH_VALUES = 2_000_000


def num_kept(num_tokens: int, keep_ratio: float) -> int:
    """Number of tokens that stay, ``K = ceil(keep_ratio * N)``.

    The ratio is read as the decimal that was written, so that 0.55 of 100 is
    55: in binary floating point the product is 55.000000000000007.

    Args:
        num_tokens (int): Tokens before the reduction, at least 1.
        keep_ratio (float): Share that stays, in (0, 1].

    Returns:
        int: K, in [1, num_tokens], rounded up.

    Raises:
        ValueError: If ``num_tokens < 1`` or ``keep_ratio`` is outside (0, 1].
    """
    if num_tokens < 1:
        raise ValueError(f'num_tokens must be at least 1, but got {num_tokens}')
    if not 0 < keep_ratio <= 1:
        raise ValueError(f'keep_ratio must be in (0, 1], but got {keep_ratio}')
    return round_up(num_tokens, exact_ratio(keep_ratio))


def exact_ratio(keep_ratio: float) -> tuple[int, int]:
    """Numerator and denominator of the decimal that a ratio is written as."""
    return Fraction(str(keep_ratio)).as_integer_ratio()


def round_up(num_tokens: int, ratio: tuple[int, int]) -> int:
    """The share of N tokens that a numerator and a denominator give, rounded up."""
    return -(-num_tokens * ratio[0] // ratio[1])


def select_tokens(importance: Tensor, num_keep: int) -> tuple[Tensor, Tensor]:
    """Split the tokens into the most important ones and the rest.

    Args:
        importance (Tensor): ``(B, N)``, higher = keep.
        num_keep (int): K, in [1, N].

    Returns:
        tuple[Tensor, Tensor]: ``keep_idx`` ``(B, K)`` and ``merge_idx``
        ``(B, N - K)``, both ascending, so that the space-time order stays. Of
        equally important tokens the earlier one is kept.

    Raises:
        ValueError: If ``num_keep`` is outside [1, N].
    """
    num_tokens = importance.shape[1]
    if not 1 <= num_keep <= num_tokens:
        raise ValueError(f'num_keep must be in [1, {num_tokens}], the number of tokens, '
                         f'but got {num_keep}')
    if is_exporting():
        # slower, but one sort is all that ONNX needs
        order = importance.argsort(dim=1, descending=True, stable=True)
        return order[:, :num_keep].sort(dim=1).values, order[:, num_keep:].sort(dim=1).values
    # topk does not say which of equal tokens it takes: only its smallest value is used
    least = importance.topk(num_keep, dim=1, sorted=False).values.amin(dim=1, keepdim=True)
    above, equal = importance > least, importance == least
    vacant = num_keep - above.sum(dim=1, keepdim=True)
    keep = above | (equal & (equal.cumsum(dim=1) <= vacant))
    # kept tokens go to the front and the others behind them, each in their order
    index = torch.arange(num_tokens, device=importance.device).expand_as(keep)
    rank = keep.cumsum(dim=1)
    place = torch.where(keep, rank - 1, rank[:, -1:] + index - rank)
    order = torch.empty_like(place).scatter_(1, place, index)
    return order[:, :num_keep], order[:, num_keep:]


def gather_tokens(x: Tensor, idx: Tensor) -> Tensor:
    """Take tokens by their index.

    Args:
        x (Tensor): ``(B, N, C)`` or ``(B, N)``.
        idx (Tensor): ``(B, M)``, in [0, N).

    Returns:
        Tensor: ``(B, M, C)`` or ``(B, M)``.
    """
    if x.dim() == 2:
        return x.gather(1, idx)
    # whole rows at once: several times faster than gather, which takes value by value
    return x.flatten(0, 1).index_select(0, _rows(idx, x.shape[1])).unflatten(0, idx.shape)


def _rows(idx: Tensor, num_tokens: int) -> Tensor:
    """Rows ``(B * M, )`` of a ``(B * num_tokens, C)`` tensor that ``(B, M)`` tokens are."""
    first = torch.arange(len(idx), device=idx.device).unsqueeze(-1) * num_tokens
    return (idx + first).flatten()


@torch.no_grad()
def match_tokens(metric: Tensor, keep_idx: Tensor, merge_idx: Tensor) -> Tensor:
    """Find for each background token the kept token of highest cosine similarity.

    The choice has no gradient. It is made in float32 at least: in half
    precision the many near-equal tokens of a static background would tie.

    Args:
        metric (Tensor): ``(B, N, D)``, what is compared (the token features).
        keep_idx (Tensor): ``(B, K)`` kept tokens.
        merge_idx (Tensor): ``(B, N - K)`` background tokens.

    Returns:
        Tensor: ``dst`` ``(B, N - K)``, in [0, K): a place in ``keep_idx``. Of
        equally similar kept tokens the earliest. A token of norm zero has
        similarity 0 to all.
    """
    metric = metric.to(at_least_float32(metric.dtype))
    with no_autocast(metric.device):
        # a background token's own norm changes nothing in what is most similar to it
        kept = F.normalize(gather_tokens(metric, keep_idx), dim=-1).transpose(1, 2)  # (B, D, K)
        background = gather_tokens(metric, merge_idx)  # (B, N - K, D)
        rows = max(1, MATCH_VALUES // (kept.shape[0] * kept.shape[2]))
        return torch.cat([(block @ kept).argmax(dim=-1) for block in background.split(rows, dim=1)],
                         dim=1)


def merge_tokens(x: Tensor, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor) -> Tensor:
    """Replace each kept token by the plain mean of itself and its background tokens.

    Gradients flow through the mean, not through the indices. Sums are taken in
    float32 at least.

    Args:
        x (Tensor): ``(B, N, C)``.
        keep_idx (Tensor): ``(B, K)`` kept tokens, ascending.
        merge_idx (Tensor): ``(B, N - K)`` background tokens.
        dst (Tensor): ``(B, N - K)``, where each background token goes, in [0, K).

    Returns:
        Tensor: ``(B, K, C)`` in the dtype of ``x`` and the order of ``keep_idx``.
    """
    dtype = at_least_float32(x.dtype)
    kept = gather_tokens(x, keep_idx).to(dtype)  # (B, K, C)
    background = gather_tokens(x, merge_idx).to(dtype)  # (B, N - K, C)
    total = add_rows(kept, dst, background)
    count = merge_sizes(x.new_ones(x.shape[:2], dtype=dtype), keep_idx, merge_idx, dst)
    return (total / count.unsqueeze(-1)).to(x.dtype)


def add_rows(kept: Tensor, dst: Tensor, rows: Tensor) -> Tensor:
    """Add rows to others, in the same order in each run.

    Args:
        kept (Tensor): ``(B, K, C)``.
        dst (Tensor): ``(B, M)``, where each row goes, in [0, K).
        rows (Tensor): ``(B, M, C)``.

    Returns:
        Tensor: ``(B, K, C)``, new.
    """
    if is_exporting():  # ONNX has no index_add
        return kept.scatter_add(1, dst.unsqueeze(-1).expand_as(rows), rows)
    total, index, rows = kept.flatten(0, 1), _rows(dst, kept.shape[1]), rows.flatten(0, 1)
    if kept.device.type == 'cpu':
        return total.index_add(0, index, rows).view_as(kept)
    # elsewhere index_add leaves the order of its sums to chance; this one sorts
    return total.index_put((index, ), rows, accumulate=True).view_as(kept)


def merge_sizes(size: Tensor, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor) -> Tensor:
    """Add up how many original tokens each merged token stands for.

    Args:
        size (Tensor): ``(B, N)``.
        keep_idx, merge_idx, dst (Tensor): As in :func:`merge_tokens`.

    Returns:
        Tensor: ``(B, K)``; its sum over tokens is that of ``size``.
    """
    return gather_tokens(size, keep_idx).scatter_add(1, dst, gather_tokens(size, merge_idx))


def merge_source(source: Tensor, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor) -> Tensor:
    """Follow the original tokens through a merge.

    Args:
        source (Tensor): ``(B, N0)``, the present token, in [0, N), that holds
            each of the N0 original tokens.
        keep_idx, merge_idx, dst (Tensor): As in :func:`merge_tokens`.

    Returns:
        Tensor: ``(B, N0)``, the same after the merge, in [0, K).
    """
    place = torch.arange(keep_idx.shape[1], device=source.device).expand_as(keep_idx)
    num_tokens = keep_idx.shape[1] + merge_idx.shape[1]
    moved = source.new_empty(source.shape[0], num_tokens)
    moved = moved.scatter(1, keep_idx, place).scatter(1, merge_idx, dst)
    return moved.gather(1, source)
