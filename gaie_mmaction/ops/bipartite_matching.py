"""Bipartite soft matching ("Token Merging: Your ViT but Faster", ICLR 2023, section 3).

Shapes: B batch, N tokens, r merged tokens, K = N - r. Indices are ``int64``.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import at_least_float32, no_autocast


@torch.no_grad()
def match_bipartite(metric: Tensor, num_merge: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the r most similar pairs between the even and the odd tokens.

    Each even token (0, 2, ...) proposes its most similar odd one; the r proposals of highest
    cosine similarity are taken. Several even tokens can join the same odd one. Not
    differentiable, computed in float32 at least. Ties go to the earlier token.

    Args:
        metric (Tensor): ``(B, N, D)``, the features to compare.
        num_merge (int): r, in [0, N // 2].

    Returns:
        tuple[Tensor, Tensor, Tensor]: ``keep_idx`` ``(B, K)``, the remaining even tokens and then
        all odd ones, each ascending; ``merge_idx`` ``(B, r)``, ascending; ``dst`` ``(B, r)``, a
        position in ``keep_idx``, in [K - N // 2, K).

    Raises:
        ValueError: If ``num_merge`` is outside [0, N // 2].
    """
    batch, num_tokens, _ = metric.shape
    if not 0 <= num_merge <= num_tokens // 2:
        raise ValueError(f'num_merge must be in [0, {num_tokens // 2}], half of the '
                         f'{num_tokens} tokens, but got {num_merge}')
    even = torch.arange(0, num_tokens, 2, device=metric.device).expand(batch, -1)
    odd = torch.arange(1, num_tokens, 2, device=metric.device).expand(batch, -1)
    if num_merge == 0:
        none = even[:, :0]
        return torch.cat([even, odd], dim=1), none, none
    metric = metric.to(at_least_float32(metric.dtype))
    with no_autocast(metric.device):
        metric = F.normalize(metric, dim=-1)
        similarity = metric[:, ::2] @ metric[:, 1::2].transpose(1, 2)  # (B, even, odd)
    best, partner = similarity.max(dim=-1)
    order = best.argsort(dim=1, descending=True, stable=True)
    merged = order[:, :num_merge].sort(dim=1).values  # positions in ``even``
    left = order[:, num_merge:].sort(dim=1).values
    keep_idx = torch.cat([even.gather(1, left), odd], dim=1)
    return keep_idx, even.gather(1, merged), partner.gather(1, merged) + left.shape[1]
