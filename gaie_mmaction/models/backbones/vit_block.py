"""Transformer block with a token reducer between attention and MLP.

Shapes: B batch, N tokens, C channels, h heads, d channels per head.
"""
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.models.backbones import vit_mae
from mmaction.utils import OptConfigType
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks import DropPath
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...ops.precision import at_least_float32
from ...ops.tracing import is_exporting
from ..necks import TokenReducer, TokenState

NORM_CFG = dict(type='LN', eps=1e-6)  # VideoMAE's

# output (B, N, C), importance (B, N) or None, mean keys (B, N, d) or None
Attended = tuple[Tensor, Tensor | None, Tensor | None]


def split_tubelets(x: Tensor, tubelet: tuple[int, ...]) -> Tensor:
    """``(B, C, T, H, W)`` -> ``(B, N, C, t, p, p)``, the values of each tubelet ``(t, p, p)``."""
    for axis, step in zip((2, 4, 6), tubelet):
        x = x.unflatten(axis, (-1, step))
    # (B, C, T', t, H', p, W', p) -> (B, T', H', W', C, t, p, p) -> (B, N, C, t, p, p)
    return x.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(1, 3)


class TubeletProjection(nn.Conv3d):
    """Conv3d with stride = kernel, as the one matrix product that it is.

    In half precision some versions of cuDNN take 10 to 20 times as long for the convolution
    (pytorch issues 166643 and 174051).
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, T, H, W)`` -> ``(B, N, embed_dims)``."""
        x = split_tubelets(x, self.kernel_size).flatten(2)  # (B, N, C t p p)
        return F.linear(x, self.weight.flatten(1), self.bias)


class TubeletEmbed(BaseModule):
    """Tokens of tubelets (frames, height, width), with the parameters of MMCV's ``PatchEmbed``."""

    def __init__(self, in_channels: int, embed_dims: int, tubelet: tuple[int, int, int]) -> None:
        super().__init__()
        self.projection = TubeletProjection(in_channels, embed_dims, tubelet, stride=tubelet)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, T, H, W)`` -> ``(B, N, embed_dims)``."""
        return self.projection(x)


class Attention(vit_mae.Attention):
    """MMAction2's multi-head self-attention, whose map fused kernels or a reducer can replace."""

    def project(self, x: Tensor) -> Tensor:
        """``(..., C)`` -> queries, keys and values ``(..., 3, h, d)``."""
        bias = None
        if hasattr(self, 'q_bias'):
            # keys have no bias: it would add the same to all logits of a query
            bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        # a functional product, as in VideoMAE's own code: thop does not count it (see docs)
        return F.linear(x, self.qkv.weight, bias).unflatten(-1, (3, self.num_heads, -1))

    @property
    def dropout_p(self) -> float:
        """float: Dropout of the attention map in the current mode."""
        return self.attn_drop.p if self.training else 0.

    def forward(self, x: Tensor, attend: Callable | None = None,
                needs_keys: bool = False) -> Attended:
        """Attend among tokens ``(B, N, C)``, by :meth:`TokenReducer.attend` if given.

        Returns:
            tuple: Output ``(B, N, C)``, importance ``(B, N)`` or None, and keys averaged over
            heads ``(B, N, d)`` or None.
        """
        q, k, v = self.project(x).permute(2, 0, 3, 1, 4)  # (B, N, 3, h, d) -> 3 x (B, h, N, d)
        importance = None
        if attend is None:
            out = F.scaled_dot_product_attention(
                q, k, v, dropout_p=self.dropout_p, scale=self.scale)
        else:
            out, importance = attend(q, k, v, scale=self.scale, dropout_p=self.dropout_p)
        out = out.transpose(1, 2)  # (B, h, N, d) -> (B, N, h, d)
        if is_exporting():
            # ONNX's attention has other strides than the traced one, which the view would assume
            out = out.clone(memory_format=torch.contiguous_format)
        out = self.proj_drop(self.proj(out.flatten(2)))  # (B, N, h, d) -> (B, N, C)
        return out, importance, k.detach().mean(dim=1) if needs_keys else None


class Block(BaseModule):
    """Attention, then the token reducer in some blocks, then the MLP.

    The arguments are those of :class:`~.gaie_vit.GAIEVisionTransformer`; ``drop_path_rate`` is
    that of this block.
    """

    attention = Attention

    def __init__(self, *, embed_dims: int, num_heads: int, mlp_ratio: float = 4.,
                 qkv_bias: bool = True, qk_scale: float | None = None, drop_rate: float = 0.,
                 attn_drop_rate: float = 0., drop_path_rate: float = 0., init_values: float = 0.,
                 norm_cfg: OptConfigType = None, with_cp: bool = False) -> None:
        super().__init__()
        self.with_cp = with_cp
        norm_cfg = norm_cfg or NORM_CFG
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = self.attention(
            embed_dims=embed_dims, num_heads=num_heads, qkv_bias=qkv_bias, qk_scale=qk_scale,
            attn_drop_rate=attn_drop_rate, drop_rate=drop_rate)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.mlp = FFN(
            embed_dims=embed_dims, feedforward_channels=int(embed_dims * mlp_ratio),
            act_cfg=dict(type='GELU'), ffn_drop=drop_rate,
            add_identity=False)  # forward() adds it, after LayerScale and drop path
        self.gamma_1 = self.gamma_2 = None
        if init_values > 0:
            self.gamma_1 = nn.Parameter(init_values * torch.ones(embed_dims))
            self.gamma_2 = nn.Parameter(init_values * torch.ones(embed_dims))

    def forward(self, state: TokenState, reducer: TokenReducer | None = None,
                reduces: bool = False,
                history: list[TokenState] | None = None) -> TokenState:
        """Run the block on N tokens; returns these, or with ``reduces`` what the reducer left.

        The attention of every block follows the backbone's ``reducer``. ``history`` receives the
        states before and after the reduction.
        """
        attend, needs_keys, needs_shift = None, False, False
        if reducer is not None:
            attend = partial(reducer.attend, state=state,
                             needs_importance=reduces and reducer.needs_attention_score)
            needs_keys = reduces and reducer.needs_keys
            needs_shift = reducer.importance == 'shift'
        # the reducer comes after the attention, whose map ranks the tokens, and before the MLP,
        # which then runs on fewer of them
        x, importance, keys = self._run(self._attend, state.x, attend, needs_keys)
        state = replace(state, x=x)
        if reducer is not None and reduces:
            # outside the recomputed branches: the choice of tokens is made once
            before = replace(state, keys=keys,
                             importance=state.importance if importance is None else importance)
            state = replace(reducer(before), importance=None, keys=None, step=before.step + 1)
            if history is not None:
                history += [before, state]
        x, shift = self._run(self._transform, state.x, needs_shift)
        return replace(state, x=x, importance=shift)

    def _run(self, branch: Callable, *args: Any) -> Any:
        if self.with_cp and self.training and torch.is_grad_enabled():
            return checkpoint(branch, *args, use_reentrant=False)
        return branch(*args)

    def _attend(self, x: Tensor, *args: Any) -> Attended:
        out, importance, keys = self.attn(self.norm1(x), *args)
        if self.gamma_1 is not None:
            out = self.gamma_1 * out
        return x + self.drop_path(out), importance, keys

    def _transform(self, x: Tensor, needs_shift: bool) -> tuple[Tensor, Tensor | None]:
        out = self.mlp(self.norm2(x))
        if self.gamma_2 is not None:
            out = self.gamma_2 * out
        shift = None
        if needs_shift:
            # before the drop path, which would make all tokens of a clip equal
            shift = torch.linalg.vector_norm(
                out.detach(), dim=-1, dtype=at_least_float32(out.dtype))
        return x + self.drop_path(out), shift
