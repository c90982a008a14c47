"""Transformer block with a token reducer between attention and MLP.

Shapes: B batch, N tokens, C channels, h heads, d channels per head.
"""
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.utils import OptConfigType
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks import DropPath
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...ops import attention_with_importance, weighted_attention
from ..necks import TokenReducer, TokenState

NORM_CFG = dict(type='LN', eps=1e-6)  # VideoMAE's

Attended = tuple[Tensor, Tensor | None, Tensor | None]


class Attention(BaseModule):
    """Multi-head self-attention that can also tell the importance of tokens.

    Parameters are named as in MMAction2's ``VisionTransformer``.

    Args:
        embed_dims (int): Channels C of a token.
        num_heads (int): Number of heads h.
        qkv_bias (bool): Whether queries and values have a bias. Defaults to True.
        qk_scale (float, optional): Factor of the logits. Defaults to ``d ** -0.5``.
        attn_drop_rate (float): Dropout of the attention map. Defaults to 0.
        drop_rate (float): Dropout of the output. Defaults to 0.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 num_heads: int,
                 qkv_bias: bool = True,
                 qk_scale: float | None = None,
                 attn_drop_rate: float = 0.,
                 drop_rate: float = 0.) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = qk_scale or (embed_dims // num_heads)**-0.5
        self.attn_drop_rate = attn_drop_rate
        self.q_bias: nn.Parameter | None = None
        self.v_bias: nn.Parameter | None = None
        if qkv_bias:
            self.q_bias = nn.Parameter(torch.zeros(embed_dims))
            self.v_bias = nn.Parameter(torch.zeros(embed_dims))
        self.qkv = nn.Linear(embed_dims, embed_dims * 3, bias=False)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(drop_rate)

    def forward(self,
                x: Tensor,
                size: Tensor | None = None,
                needs_importance: bool = False,
                needs_keys: bool = False,
                importance_type: str = 'column_mean',
                mask: Tensor | None = None) -> Attended:
        """Attend.

        Args:
            x (Tensor): ``(B, N, C)``.
            size (Tensor, optional): ``(B, N)`` token sizes for proportional
                attention. Defaults to None, plain attention.
            needs_importance (bool): Whether to return it. Defaults to False.
            needs_keys (bool): Whether to return them. Defaults to False.
            importance_type (str): Which one: ``'column_mean'`` or ``'sharpness'``.
                Defaults to ``'column_mean'``.
            mask (Tensor, optional): ``(B, N)`` zeros for tokens that nobody attends
                to, ones for the others. Defaults to None, all ones.

        Returns:
            tuple: Output ``(B, N, C)``, importance ``(B, N)`` or None, and keys
            averaged over heads ``(B, N, d)`` or None.
        """
        batch, num_tokens, _ = x.shape
        bias = None
        if self.q_bias is not None and self.v_bias is not None:
            bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        # (B, N, 3C) -> 3 x (B, h, N, d); a functional product, as in VideoMAE's own code
        qkv = F.linear(x, self.qkv.weight, bias)
        q, k, v = qkv.view(batch, num_tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        log_size = None if size is None else size.log().to(q.dtype)
        dropout = self.attn_drop_rate if self.training else 0.

        out = importance = None
        if mask is not None or (needs_importance and importance_type != 'column_mean'):
            with torch.set_grad_enabled(torch.is_grad_enabled() and not dropout):
                out, importance = weighted_attention(
                    q, k, v, scale=self.scale, size=size, mask=mask, score=importance_type)
        elif needs_importance:
            # Dropout is for the output alone: tokens are ranked by the whole map.
            with torch.set_grad_enabled(torch.is_grad_enabled() and not dropout):
                out, importance = attention_with_importance(
                    q, k, v, scale=self.scale, bias=log_size)
        if out is None or dropout:
            bias = None if log_size is None else log_size[:, None, None, :]
            out = F.scaled_dot_product_attention(
                q, k, v, attn_mask=bias, dropout_p=dropout, scale=self.scale)
        # (B, h, N, d) -> (B, N, C)
        out = self.proj_drop(self.proj(out.transpose(1, 2).reshape(batch, num_tokens, -1)))
        return (out, importance if needs_importance else None,
                k.detach().mean(dim=1) if needs_keys else None)


class Block(BaseModule):
    """Attention, then the token reducer if the block has one, then the MLP.

    Args:
        embed_dims (int): Channels C of a token.
        mlp_ratio (float): Hidden channels of the MLP over C. Defaults to 4.
        drop_rate (float): Dropout of the attention's output and in the MLP. Defaults to 0.
        drop_path_rate (float): Stochastic depth of both branches. Defaults to 0.
        init_values (float): Start of the branches' scales (LayerScale); 0 is
            without. Defaults to 0.
        norm_cfg (dict, optional): Norm layers. Defaults to None, ``dict(type='LN', eps=1e-6)``.
        with_cp (bool): Whether both branches are recomputed in the backward pass
            to save memory. The reducer is not: its choice is made once. Defaults to False.
        **attn_cfg: Further arguments of :class:`Attention`.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 mlp_ratio: float = 4.,
                 drop_rate: float = 0.,
                 drop_path_rate: float = 0.,
                 init_values: float = 0.,
                 norm_cfg: OptConfigType = None,
                 with_cp: bool = False,
                 **attn_cfg: Any) -> None:
        super().__init__()
        self.with_cp = with_cp
        norm_cfg = norm_cfg or NORM_CFG
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = Attention(embed_dims=embed_dims, drop_rate=drop_rate, **attn_cfg)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.mlp = FFN(
            embed_dims=embed_dims,
            feedforward_channels=int(embed_dims * mlp_ratio),
            act_cfg=dict(type='GELU'),
            ffn_drop=drop_rate,
            add_identity=False)
        self.gamma_1 = self.gamma_2 = None
        if init_values > 0:
            self.gamma_1 = nn.Parameter(init_values * torch.ones(embed_dims))
            self.gamma_2 = nn.Parameter(init_values * torch.ones(embed_dims))

    def forward(self,
                state: TokenState,
                reducer: TokenReducer | None = None,
                size: Tensor | None = None,
                history: list[TokenState] | None = None) -> TokenState:
        """Run the block.

        Args:
            state (TokenState): N tokens.
            reducer (TokenReducer, optional): Called between attention and MLP. Defaults to None.
            size (Tensor, optional): ``(B, N)`` for proportional attention. Defaults to None.
            history (list, optional): Gets the states before and after the reducer.
                Defaults to None.

        Returns:
            TokenState: N tokens, or what the reducer left of them.
        """
        needs = (False, False, 'column_mean')
        if reducer is not None:
            needs = (reducer.needs_importance, reducer.needs_keys, reducer.importance_type)
        x, importance, keys = self._run(self._attend, state.x, size, *needs, state.mask)
        state = replace(state, x=x)
        if reducer is not None:
            before = replace(state, importance=importance, keys=keys)
            state = replace(reducer(before), step=before.step + 1)
            if history is not None:
                history += [before, state]
        return replace(state, x=self._run(self._transform, state.x))

    def _run(self, branch: Callable, *args: Any) -> Any:
        if self.with_cp and self.training and torch.is_grad_enabled():
            return checkpoint(branch, *args, use_reentrant=False)
        return branch(*args)

    def _attend(self, x: Tensor, *args: Any) -> Attended:
        out, importance, keys = self.attn(self.norm1(x), *args)
        if self.gamma_1 is not None:
            out = self.gamma_1 * out
        return x + self.drop_path(out), importance, keys

    def _transform(self, x: Tensor) -> Tensor:
        out = self.mlp(self.norm2(x))
        if self.gamma_2 is not None:
            out = self.gamma_2 * out
        return x + self.drop_path(out)
