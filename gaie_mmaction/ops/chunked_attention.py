"""Attention and the column mean of its map, block by block, on any device.

Shapes: B batch, h heads, M queries, N keys, d channels per head, g heads at once.
"""
import torch
from torch import Tensor

from .precision import at_least_float32

# Float32 values that are held at once, of the map and of what is copied to float32 for it. On a
# CPU 3 MB for each of up to MAX_THREADS threads: more leaves the caches, less makes the products
# inefficient and lets the threads wait for each other more often. On a GPU launches count.
BLOCK_VALUES = dict(cpu=750_000, other=64_000_000)
MAX_THREADS = 8


def chunked_attention(q: Tensor, k: Tensor, v: Tensor | None, bias: Tensor | None,
                      scale: float) -> tuple[Tensor | None, Tensor]:
    """Output and importance in one pass, without a gradient.

    While a block's probabilities are at hand they are multiplied by the values and
    added to the column sums. The logits are float32 at least: rounded to bfloat16, a
    logit of 10 is off by 0.03 and its probability by 3 %.

    Args:
        q (Tensor): ``(B, h, M, d)`` queries.
        k (Tensor): ``(B, h, N, d)`` keys.
        v (Tensor, optional): ``(B, h, N, d)`` values; None for the importance alone.
        bias, scale: Same as in :func:`.attention.attention_with_importance`.

    Returns:
        tuple: ``(B, h, M, d)`` in the dtype of ``v``, with the memory order (B, M, h, d), or
        None; and ``(B, N)`` float32.
    """
    # torch.export traces without Dynamo; PyTorch 2.8 says is_exporting() to torch.compile, too
    if torch.compiler.is_dynamo_compiling():
        # one operator to the compiler: unrolled, the blocks would take it many minutes
        out, importance = _as_one_operator(q, k, v, bias, scale)
        return None if v is None else out, importance
    return _attend(q, k, v, bias, scale)


def _attend(q: Tensor, k: Tensor, v: Tensor | None, bias: Tensor | None,
            scale: float) -> tuple[Tensor | None, Tensor]:
    (batch, heads, num_queries, dims), num_keys = q.shape, k.shape[2]
    dtype = at_least_float32(q.dtype)
    out = None if v is None else v.new_empty(batch, num_queries, heads, dims).transpose(1, 2)
    column_sum = q.new_zeros(batch, num_keys, dtype=dtype)
    budget = block_values(q.device)
    copied = 0 if q.dtype == dtype else 2 * num_keys * dims  # per head: keys and values
    clips, group = _group_sizes(q, num_keys, copied, budget)
    # an exported program knows no results that are written into a view
    buffer = None
    if not torch.compiler.is_exporting():
        most = max(budget, clips * group * num_keys)  # a row of each at least
        buffer = q.new_empty(min(most, clips * group * num_queries * num_keys), dtype=dtype)
    for clip in range(0, batch, clips):
        for head in range(0, heads, group):
            part = (slice(clip, clip + clips), slice(head, head + group))
            # of one clip this is a view: nothing is copied
            queries, keys = q[part].flatten(0, 1), k[part].flatten(0, 1).to(dtype)  # (g, N, d)
            values = None if v is None else v[part].flatten(0, 1).to(dtype)
            most = (budget - copied * len(keys)) // (num_keys * len(keys))
            for start, stop in _query_blocks(num_queries, most):
                attn = _probabilities(queries[:, start:stop], keys, bias, part, scale, buffer)
                here = column_sum[part[0]]
                here += attn.view(len(here), -1, num_keys).sum(dim=1)
                if out is None or values is None:
                    continue
                place = out[part][:, :, start:stop]  # (clips, heads, M, d)
                if len(here) == 1 and buffer is not None and out.dtype == dtype:
                    torch.bmm(attn, values, out=place[0])
                else:
                    place.copy_((attn @ values).view(place.shape))
    return out, (column_sum / (heads * num_queries)).float()


def _probabilities(q: Tensor, k: Tensor, bias: Tensor | None, part: tuple[slice, slice],
                   scale: float, buffer: Tensor | None) -> Tensor:
    """Rows ``(g, M, N)`` of the map, written into the buffer if there is one."""
    shape = (len(k), q.shape[1], k.shape[1])
    q = q.to(k.dtype)
    attn = None if buffer is None else buffer[:shape[0] * shape[1] * shape[2]].view(shape)
    if bias is None:
        beta, start = 0, q.new_empty(()).expand(shape) if attn is None else attn
    else:
        bias = bias[part[0], None].to(k.dtype)  # (clips, 1, N)
        beta, start = 1, bias.repeat_interleave(len(k) // len(bias), dim=0).expand(shape)
    if attn is None:
        return torch.baddbmm(start, q, k.transpose(1, 2), beta=beta, alpha=scale).softmax(dim=-1)
    torch.baddbmm(start, q, k.transpose(1, 2), beta=beta, alpha=scale, out=attn)
    return torch.softmax(attn, dim=-1, out=attn)


def block_values(device: torch.device) -> int:
    """Float32 values of a block on a device, as :data:`BLOCK_VALUES` says."""
    if device.type == 'cpu':
        return BLOCK_VALUES['cpu'] * min(torch.get_num_threads(), MAX_THREADS)
    return BLOCK_VALUES['other']


def _group_sizes(q: Tensor, num_keys: int, copied: int, budget: int) -> tuple[int, int]:
    """Clips and heads at once: whole clips if they are small, else on a CPU a head per thread."""
    batch, heads, num_queries, _ = q.shape
    clips = budget // (heads * (num_queries * num_keys + copied))
    if clips:
        return min(clips, batch), heads
    threads = torch.get_num_threads() if q.device.type == 'cpu' else heads
    # copies take half of the budget at most: they would leave a block no more than single rows
    affordable = budget // (2 * copied) if copied else heads
    return 1, max(1, min(heads, threads, affordable))


def _query_blocks(num_queries: int, most: int) -> list[tuple[int, int]]:
    """Borders of blocks of about equal size, of at most ``most`` queries, or one."""
    step = -(-num_queries // -(-num_queries // max(1, most)))
    return [(start, min(start + step, num_queries)) for start in range(0, num_queries, step)]


@torch.library.custom_op('gaie_mmaction::chunked_attention', mutates_args=())
def _as_one_operator(q: Tensor, k: Tensor, v: Tensor | None, bias: Tensor | None,
                     scale: float) -> tuple[Tensor, Tensor]:
    out, importance = _attend(q, k, v, bias, scale)
    return q.new_empty(0) if out is None else out, importance  # an operator has no None to return


@_as_one_operator.register_fake
def _shapes(q: Tensor, k: Tensor, v: Tensor | None, bias: Tensor | None,
            scale: float) -> tuple[Tensor, Tensor]:
    batch, heads, num_queries, dims = q.shape
    out = q.new_empty(0)
    if v is not None:
        out = v.new_empty(batch, num_queries, heads, dims).transpose(1, 2)
    return out, q.new_empty(batch, k.shape[2], dtype=torch.float32)
