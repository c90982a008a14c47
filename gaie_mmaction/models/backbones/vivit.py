"""ViViT: joint attention over space and time, or attention factorised into the two.

"ViViT: A Video Vision Transformer", ICCV 2021, arXiv 2103.15691, section 3.3.

Shapes: B batch, C channels (of the input or of a token), T frames, H and W pixels,
(T', H', W') the grid of tokens, S = H'W' places in each of its T' frames, N = T'S tokens,
h heads, d channels per head.
"""
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule, ModuleList
from mmengine.runner.checkpoint import _load_checkpoint
from torch import Tensor, nn

from ..utils.image_weights import TUBELET_INITS, convert_image_vit
from ..utils.positions import resize_positions, token_grid
from ..utils.weights import load_backbone_weights, load_strictly
from .gaie_vit import INIT_CFG, check_divides
from .vit_block import NORM_CFG, Attention, Block, TubeletEmbed


def attend_frames(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """Attention among the tokens of each frame, ``(B, h, T', S, d)`` in and out."""
    batch = q.shape[0]
    # (B, h, T', S, d) -> (B T', h, S, d): fused attention takes four dimensions
    q, k, v = (t.transpose(1, 2).flatten(0, 1) for t in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, **options)
    return out.unflatten(0, (batch, -1)).transpose(1, 2)


def attend_places(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """Attention among the tokens of each place, ``(B, h, T', S, d)`` in and out."""
    q, k, v = (t.transpose(2, 3) for t in (q, k, v))
    return attend_frames(q, k, v, **options).transpose(2, 3)


def attend_clip(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """Attention among all tokens, ``(B, h, T', S, d)`` in and out."""
    grid = q.shape[2:4]
    q, k, v = (t.flatten(2, 3) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, **options).unflatten(2, grid)


def attend_frames_and_places(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """Factorised dot product: the first half of the heads over space, the rest over time."""
    (space_q, time_q), (space_k, time_k), (space_v, time_v) = (t.chunk(2, 1) for t in (q, k, v))
    return torch.cat((attend_frames(space_q, space_k, space_v, **options),
                      attend_places(time_q, time_k, time_v, **options)), dim=1)


# what the tokens attend to in a variant's blocks
VARIANTS = dict(
    joint=attend_clip,
    factorised_encoder=attend_frames,
    factorised_self_attention=attend_frames,
    factorised_dot_product=attend_frames_and_places)


class SpaceTimeAttention(Attention):
    """Multi-head self-attention over a part of space and time."""

    # unlike GAIE's blocks, ViViT's read nothing but the output
    def forward(self, x: Tensor, attend: Callable[..., Tensor]) -> Tensor:  # type: ignore[override]
        """Attend by one of the functions above; ``(B, T', S, C)`` in and out."""
        # (B, T', S, 3, h, d) -> 3 x (B, h, T', S, d)
        q, k, v = self.project(x).permute(3, 0, 4, 1, 2, 5)
        out = attend(q, k, v, scale=self.scale, dropout_p=self.dropout_p)
        # (B, h, T', S, d) -> (B, T', S, C)
        return self.proj_drop(self.proj(out.permute(0, 2, 3, 1, 4).flatten(3)))


class SpaceTimeBlock(Block):
    """Attention, in factorised self-attention a second one over time, then the MLP.

    Args:
        attend (callable): What tokens attend to in the (first) attention.
        temporal (bool): Whether a temporal attention follows (equations 4 to 6 of the paper).
            Defaults to False.

    The others are those of :class:`~.vit_block.Block`; ``with_cp`` recomputes the whole block.
    """

    attention = SpaceTimeAttention

    def __init__(self, *, embed_dims: int, num_heads: int, attend: Callable[..., Tensor],
                 temporal: bool = False, mlp_ratio: float = 4., qkv_bias: bool = True,
                 qk_scale: float | None = None, drop_rate: float = 0., attn_drop_rate: float = 0.,
                 drop_path_rate: float = 0., norm_cfg: OptConfigType = None,
                 with_cp: bool = False) -> None:
        attention_cfg: dict[str, Any] = dict(
            embed_dims=embed_dims, num_heads=num_heads, qkv_bias=qkv_bias, qk_scale=qk_scale,
            attn_drop_rate=attn_drop_rate, drop_rate=drop_rate)
        super().__init__(**attention_cfg, mlp_ratio=mlp_ratio, drop_path_rate=drop_path_rate,
                         norm_cfg=norm_cfg, with_cp=with_cp)
        self.attend = attend
        self.temporal_norm: nn.Module | None = None
        self.temporal_attn: SpaceTimeAttention | None = None
        if temporal:
            self.temporal_norm = build_norm_layer(norm_cfg or NORM_CFG, embed_dims)[1]
            self.temporal_attn = SpaceTimeAttention(**attention_cfg)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Run the block; ``(B, T', S, C)`` in and out."""
        return self._run(self._forward, x)

    def _forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), self.attend))
        if self.temporal_norm is not None and self.temporal_attn is not None:
            x = x + self.drop_path(self.temporal_attn(self.temporal_norm(x), attend_places))
        return x + self.drop_path(self.mlp(self.norm2(x)))


@MODELS.register_module()
class ViViT(BaseModule):
    """The four models of "ViViT: A Video Vision Transformer", ICCV 2021.

    =========================  =====  =====================================================
    variant                    model  tokens attend to
    =========================  =====  =====================================================
    joint                      1      all tokens of the clip
    factorised_encoder         2      the tokens of their frame; then a temporal encoder runs
                                      on the means of the frames
    factorised_self_attention  3      the tokens of their frame, then those at their place
    factorised_dot_product     4      half of the heads: of their frame, the others: at their
                                      place
    =========================  =====  =====================================================

    All variants take the mean of the last tokens, which the paper allows instead of a class
    token (model 3 has none), so that they differ in their attention alone. ``joint`` is
    :class:`GAIEVisionTransformer` without a neck and with learned positions, and has its
    state_dict keys. Positions are learned: one per token, in the factorised encoder one per
    place and one per frame. Arguments are keyword-only.

    Args:
        variant (str): One of the table's.
        depth (int): Number of blocks; of the spatial encoder in the factorised encoder. Defaults
            to 12.
        temporal_depth (int): Blocks of the factorised encoder's temporal encoder. Defaults to 4.
        num_heads (int): Number of heads; even in the factorised dot product. Defaults to 12.
        pretrained (str, optional): Path or URL of weights. Defaults to None.
        pretrained2d (bool): Whether these are an image ViT's, with the names of timm or
            MMPretrain (section 3.4 of the paper); otherwise an MMAction2 recognizer's, whose
            ``backbone.`` part is loaded. Both are loaded strictly, except for the temporal
            encoder and temporal attention, which an image ViT lacks. Defaults to True.
        tubelet_init (str): How the image ViT's patch embedding becomes a tubelet's:
            ``'central_frame'`` or ``'filter_inflation'``. Defaults to ``'central_frame'``, the
            better one in the paper.

    The others are those of :class:`GAIEVisionTransformer`.

    Raises:
        ValueError: If ``variant`` or ``tubelet_init`` is unknown, or sizes do not divide.
    """

    def __init__(self, *, variant: str, img_size: int = 224, patch_size: int = 16,
                 in_channels: int = 3, embed_dims: int = 768, depth: int = 12,
                 temporal_depth: int = 4, num_heads: int = 12, mlp_ratio: float = 4.,
                 qkv_bias: bool = True, qk_scale: float | None = None, drop_rate: float = 0.,
                 attn_drop_rate: float = 0., drop_path_rate: float = 0.,
                 norm_cfg: OptConfigType = None, num_frames: int = 16, tubelet_size: int = 2,
                 pretrained: str | None = None, pretrained2d: bool = True,
                 tubelet_init: str = 'central_frame', with_cp: bool = False,
                 init_cfg: dict | Sequence[dict] | None = INIT_CFG) -> None:
        super().__init__(init_cfg=list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg)
        if variant not in VARIANTS:
            raise ValueError(f'variant must be one of {list(VARIANTS)}, but got {variant!r}')
        if tubelet_init not in TUBELET_INITS:
            raise ValueError(
                f'tubelet_init must be one of {list(TUBELET_INITS)}, but got {tubelet_init!r}')
        check_divides('embed_dims', embed_dims, 'num_heads', num_heads)
        check_divides('img_size', img_size, 'patch_size', patch_size)
        check_divides('num_frames', num_frames, 'tubelet_size', tubelet_size)
        if variant == 'factorised_dot_product' and num_heads % 2:
            raise ValueError('num_heads must be even, half for space and half for time, '
                             f'but got {num_heads}')
        self.num_heads = num_heads
        self.pretrained = pretrained
        self.pretrained2d = pretrained2d
        self.tubelet_init = tubelet_init

        self.tubelet = (tubelet_size, patch_size, patch_size)
        self.patch_embed = TubeletEmbed(in_channels, embed_dims, self.tubelet)
        side = img_size // patch_size
        frames = num_frames // tubelet_size
        encodes_frames = variant == 'factorised_encoder'
        # one position per token, or per place where frames are encoded separately
        self.grid_size = (1 if encodes_frames else frames, side, side)
        self.pos_embed = _make_positions(self.grid_size[0] * side * side, embed_dims)
        self.pos_drop = nn.Dropout(drop_rate)

        def make_blocks(depth: int, **cfg: Any) -> ModuleList:
            return ModuleList(
                SpaceTimeBlock(
                    embed_dims=embed_dims, num_heads=num_heads, mlp_ratio=mlp_ratio,
                    qkv_bias=qkv_bias, qk_scale=qk_scale, drop_rate=drop_rate,
                    attn_drop_rate=attn_drop_rate, drop_path_rate=rate, norm_cfg=norm_cfg,
                    with_cp=with_cp, **cfg)
                for rate in torch.linspace(0, drop_path_rate, depth).tolist())

        self.blocks = make_blocks(
            depth, attend=VARIANTS[variant], temporal=variant == 'factorised_self_attention')
        self.fc_norm = build_norm_layer(norm_cfg or NORM_CFG, embed_dims)[1]
        self.temporal_blocks = None
        if encodes_frames:
            self.temporal_pos_embed = _make_positions(frames, embed_dims)
            self.temporal_blocks = make_blocks(temporal_depth, attend=attend_places)
            self.temporal_norm = build_norm_layer(norm_cfg or NORM_CFG, embed_dims)[1]

    def init_weights(self) -> None:
        """Initialize, then load ``pretrained``.

        The output of a temporal attention that follows a spatial one starts at zero, so that a
        block starts as the image ViT's. The paper (section 3.4) zeroes all of its weights, of
        which only the output's bias would ever get a gradient. Weights that do not fit are a
        ``ValueError``, which lists all mismatched keys.
        """
        super().init_weights()
        for block in self.blocks:
            if block.temporal_attn is not None:
                nn.init.zeros_(block.temporal_attn.proj.weight)
                nn.init.zeros_(block.temporal_attn.proj.bias)
        if self.pretrained is None:
            return
        if self.pretrained2d:
            weights = _load_checkpoint(self.pretrained, map_location='cpu')
            weights = convert_image_vit(
                weights.get('state_dict', weights),
                tubelet_size=self.tubelet[0],
                tubelet_init=self.tubelet_init,
                grid=self.grid_size)
            # what an image ViT lacks keeps its initialization
            weights.update(
                {key: value for key, value in self.state_dict().items() if 'temporal' in key})
        else:
            weights = load_backbone_weights(self.pretrained, self.num_heads)
        load_strictly(self, weights, self.pretrained)

    def forward(self, x: Tensor) -> Tensor:
        """Extract the features ``(B, C)`` of normalized frames ``(B, C, T, H, W)``.

        T must be a multiple of ``tubelet_size``, H and W of ``patch_size``, else it is a
        ``ValueError``; position tables are interpolated to other sizes.
        """
        frames, height, width = token_grid(x, self.tubelet)
        tokens = self.patch_embed(x).unflatten(1, (frames, -1))  # -> (B, T', S, C)
        grid = (frames if self.temporal_blocks is None else 1, height, width)
        positions = resize_positions(self.pos_embed, self.grid_size, grid)
        # (1, T'S, C) or (1, S, C) -> (1, T', S, C) or (1, 1, S, C)
        tokens = self.pos_drop(tokens + positions.unflatten(1, (grid[0], -1)))
        for block in self.blocks:
            tokens = block(tokens)
        if self.temporal_blocks is None:
            return self.fc_norm(tokens.mean(dim=(1, 2)))

        tokens = self.fc_norm(tokens.mean(dim=2, keepdim=True))  # -> (B, T', 1, C)
        table = self.temporal_pos_embed
        positions = resize_positions(table, (table.shape[1], 1, 1), (frames, 1, 1))
        tokens = self.pos_drop(tokens + positions.unsqueeze(2))
        for block in self.temporal_blocks:
            tokens = block(tokens)
        return self.temporal_norm(tokens.mean(dim=(1, 2)))


def _make_positions(num_positions: int, embed_dims: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(1, num_positions, embed_dims), std=.02))
