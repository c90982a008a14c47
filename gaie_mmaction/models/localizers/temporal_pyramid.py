"""Multi-scale features of a sequence ("ActionFormer", ECCV 2022, section 3.2).

Shapes: B batch, T steps, C channels, L levels.
"""
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ...ops.local_attention import local_attention


class TemporalConv(nn.Module):
    """Convolution of three steps of ``(B, T, C)``, which keeps padding at zero."""

    def __init__(self, in_channels: int, out_channels: int, *, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, 3, padding=1, groups=groups)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """``(B, T, C) -> (B, T, out_channels)``; ``valid`` ``(B, T)`` is False for padding."""
        return self.conv(x.transpose(1, 2)).transpose(1, 2) * valid[..., None]


class TemporalBlock(nn.Module):
    """Transformer block with local attention; arguments as of :class:`TemporalPyramid`."""

    def __init__(self, embed_dims: int, *, num_heads: int, radius: int, drop_rate: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.radius = radius
        # the depthwise convolution tells the steps apart: there are no position embeddings,
        # so that a sequence may be longer than any in training
        self.local = TemporalConv(embed_dims, embed_dims, groups=embed_dims)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dims, 4 * embed_dims), nn.GELU(), nn.Dropout(drop_rate),
            nn.Linear(4 * embed_dims, embed_dims))
        self.drop = nn.Dropout(drop_rate)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """``(B, T, C) -> (B, T, C)``."""
        x = x + self.local(x, valid)
        qkv = self.qkv(self.norm1(x)).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, T, 3, h, d) -> 3 of (B, h, T, d)
        attended = local_attention(q, k, v, valid, self.radius).transpose(1, 2).flatten(2)
        x = x + self.drop(self.proj(attended))
        return (x + self.drop(self.mlp(self.norm2(x)))) * valid[..., None]


class TemporalPyramid(BaseModule):
    """Features of a sequence at L scales, each with half the steps of the previous one.

    Args:
        in_channels (int): Channels of the sequence.
        embed_dims (int): C. Defaults to 128.
        num_heads (int): Number of heads. Defaults to 4.
        num_levels (int): L. Defaults to 5.
        stem_blocks (int): Blocks before the pyramid. Defaults to 2.
        radius (int): Steps to either side that a step attends to. Defaults to 8.
        drop_rate (float): Dropout after attention and MLP. Defaults to 0.1.
        init_cfg (dict, optional): Weight initialization. Defaults to None.
    """

    def __init__(self, *, in_channels: int, embed_dims: int = 128, num_heads: int = 4,
                 num_levels: int = 5, stem_blocks: int = 2, radius: int = 8, drop_rate: float = .1,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.num_levels = num_levels
        self.embed = ModuleList([
            TemporalConv(in_channels, embed_dims), TemporalConv(embed_dims, embed_dims)])
        self.embed_norms = ModuleList(nn.LayerNorm(embed_dims) for _ in self.embed)

        def block() -> TemporalBlock:
            return TemporalBlock(
                embed_dims, num_heads=num_heads, radius=radius, drop_rate=drop_rate)

        self.stem = ModuleList(block() for _ in range(stem_blocks))
        self.branch = ModuleList(block() for _ in range(num_levels - 1))
        self.norms = ModuleList(nn.LayerNorm(embed_dims) for _ in range(num_levels))

    def forward(self, x: Tensor, valid: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features ``(B, T / 2^l, C)`` and validity ``(B, T / 2^l)`` of each level l."""
        for conv, norm in zip(self.embed, self.embed_norms):
            x = F.relu(norm(conv(x, valid))) * valid[..., None]
        for block in self.stem:
            x = block(x, valid)
        levels = [(x, valid)]
        for block in self.branch:
            # centred at every second step, thus a point of level l is at a multiple of 2^l
            x = F.max_pool1d(x.transpose(1, 2), 3, stride=2, padding=1).transpose(1, 2)
            valid = valid[:, ::2]
            x = block(x * valid[..., None], valid)
            levels.append((x, valid))
        # the norms' biases would reach valid steps through the heads' convolutions
        return [(norm(x) * valid[..., None], valid)
                for norm, (x, valid) in zip(self.norms, levels)]


def level_strides(levels: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Times and strides of all P points of a pyramid, in steps of the sequence, ``(P,)`` each."""
    device = levels[0][0].device
    points = [2**level * torch.arange(x.shape[1], device=device)
              for level, (x, _) in enumerate(levels)]
    strides = [torch.full_like(times, 2**level) for level, times in enumerate(points)]
    return torch.cat(points).float(), torch.cat(strides).float()
