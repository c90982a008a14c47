"""Video vision transformer with joint space-time attention and a token reducer.

Shapes: B batch, C channels (of the input or of a token), T frames, H and W pixels,
(T', H', W') the grid of tokens, N present tokens, N0 = T'H'W' original tokens.
"""
from collections.abc import Sequence

import torch
from mmaction.models.backbones.vit_mae import get_sinusoid_encoding
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ...ops import gather_tokens, unmerge_tokens
from ..necks import TokenReducer, TokenState
from ..necks.token_reducer import is_integer
from ..utils.positions import resize_positions, token_grid
from ..utils.weights import load_backbone_weights, load_strictly
from .vit_block import NORM_CFG, Block, TubeletEmbed

# MMAction2's
INIT_CFG = (dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.),
            dict(type='Constant', layer='LayerNorm', val=1., bias=0.))


@MODELS.register_module()
class GAIEVisionTransformer(BaseModule):
    """VideoMAE's vision transformer with a token reducer in some blocks.

    Without a neck it is MMAction2's ``VisionTransformer``. Its state_dict has the same keys
    either way, except for what a neck learns (GAIE learns nothing). Arguments are keyword-only.

    Args:
        img_size (int): Height and width in pixels that the position table is made for. Defaults
            to 224.
        patch_size (int): Height and width of a tubelet in pixels. Defaults to 16.
        in_channels (int): Number of input channels. Defaults to 3.
        embed_dims (int): Number of channels C of a token. Defaults to 768.
        depth (int): Number of blocks. Defaults to 12.
        num_heads (int): Number of heads. Defaults to 12.
        mlp_ratio (float): Hidden channels of the MLP over C. Defaults to 4.
        qkv_bias (bool): Whether queries and values have a bias. Defaults to True.
        qk_scale (float, optional): Factor of the attention logits. Defaults to ``d ** -0.5``.
        drop_rate (float): Dropout of embeddings, attention outputs and MLPs. Defaults to 0.
        attn_drop_rate (float): Dropout of the attention maps. Defaults to 0.
        drop_path_rate (float): Stochastic depth of the last block, growing linearly from 0 in
            the first. Defaults to 0.
        norm_cfg (dict, optional): Norm layers. Defaults to None, ``dict(type='LN', eps=1e-6)``.
        init_values (float): Initial value of LayerScale; 0 disables it. Defaults to 0.
        use_learnable_pos_emb (bool): Learned positions instead of the fixed sine-cosine table.
            Defaults to False.
        num_frames (int): Number of frames that the position table is made for. Defaults to 16.
        tubelet_size (int): Frames of a tubelet. Defaults to 2.
        use_mean_pooling (bool): Mean of the last tokens, then a norm; otherwise the norm and the
            token that holds the first one. Defaults to True.
        pretrained (str, optional): Path or URL of an MMAction2 recognizer's checkpoint, whose
            ``backbone.`` part is loaded strictly. Defaults to None.
        return_feat_map (bool): Return ``(B, C, T', H', W')``, with merged tokens copied back to
            their places and zeros where tokens were dropped. Defaults to False.
        neck (dict, optional): Config of a :class:`TokenReducer`, e.g. ``dict(type='GAIENeck')``.
            Defaults to None, the plain ViT.
        merge_layers (Sequence[int]): Blocks with the reducer, 0-based, in [0, depth), without
            repetition. Defaults to (3, 6, 9), as in the paper.
        with_cp (bool): Recompute attention and MLP in the backward pass to save memory. Defaults
            to False.
        init_cfg (dict or list[dict], optional): Weight initialization. Defaults to truncated
            normal Linear layers and unit LayerNorms.

    Raises:
        TypeError: If a keyword is unknown, ``merge_layers`` holds anything but integers, or the
            neck is not a token reducer.
        ValueError: If a layer is outside [0, depth) or repeated, sizes do not divide, or the
            neck cannot reduce that many tokens or in these blocks.
    """

    def __init__(self, *, img_size: int = 224, patch_size: int = 16, in_channels: int = 3,
                 embed_dims: int = 768, depth: int = 12, num_heads: int = 12,
                 mlp_ratio: float = 4., qkv_bias: bool = True, qk_scale: float | None = None,
                 drop_rate: float = 0., attn_drop_rate: float = 0., drop_path_rate: float = 0.,
                 norm_cfg: OptConfigType = None, init_values: float = 0.,
                 use_learnable_pos_emb: bool = False, num_frames: int = 16,
                 tubelet_size: int = 2, use_mean_pooling: bool = True,
                 pretrained: str | None = None, return_feat_map: bool = False,
                 neck: OptConfigType = None, merge_layers: Sequence[int] = (3, 6, 9),
                 with_cp: bool = False,
                 init_cfg: dict | Sequence[dict] | None = INIT_CFG) -> None:
        super().__init__(init_cfg=list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg)
        check_divides('embed_dims', embed_dims, 'num_heads', num_heads)
        check_divides('img_size', img_size, 'patch_size', patch_size)
        check_divides('num_frames', num_frames, 'tubelet_size', tubelet_size)
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.patch_size = patch_size
        self.tubelet_size = tubelet_size
        self.pretrained = pretrained
        self.return_feat_map = return_feat_map

        tubelet = (tubelet_size, patch_size, patch_size)
        self.patch_embed = TubeletEmbed(in_channels, embed_dims, tubelet)
        side = img_size // patch_size
        self.grid_size = (num_frames // tubelet_size, side, side)
        num_tokens = self.grid_size[0] * side * side
        if use_learnable_pos_emb:
            self.pos_embed = nn.Parameter(torch.zeros(1, num_tokens, embed_dims))
            nn.init.trunc_normal_(self.pos_embed, std=.02)
        else:
            self.register_buffer('pos_embed', get_sinusoid_encoding(num_tokens, embed_dims))
        self.pos_drop = nn.Dropout(drop_rate)

        self.blocks = ModuleList(
            Block(embed_dims=embed_dims, num_heads=num_heads, mlp_ratio=mlp_ratio,
                  qkv_bias=qkv_bias, qk_scale=qk_scale, drop_rate=drop_rate,
                  attn_drop_rate=attn_drop_rate, drop_path_rate=rate, init_values=init_values,
                  norm_cfg=norm_cfg, with_cp=with_cp)
            for rate in torch.linspace(0, drop_path_rate, depth).tolist())

        self.neck = None if neck is None else MODELS.build(neck)
        if not isinstance(self.neck, (TokenReducer, type(None))):
            raise TypeError('neck must be a token reducer such as GAIENeck, but got a '
                            f'{type(self.neck).__name__}')
        self.merge_layers = () if neck is None else _check_layers(merge_layers, depth)
        if self.neck is not None:
            if self.neck.drops_tokens and not use_mean_pooling:
                raise ValueError(f'use_mean_pooling must be True with a {type(self.neck).__name__}:'
                                 ' it can drop the first token, which would be the feature')
            if self.neck.importance == 'shift' and 0 in self.merge_layers:
                raise ValueError('merge_layers must be 1 or higher where the importance is the '
                                 'shift by the MLP of the block before, but got '
                                 f'{self.merge_layers}')
            self.neck.setup(num_tokens, len(self.merge_layers))

        norm = build_norm_layer(norm_cfg or NORM_CFG, embed_dims)[1]
        # with mean pooling the norm follows the mean, as upstream
        self.norm = nn.Identity() if use_mean_pooling else norm
        self.fc_norm = norm if use_mean_pooling else None
        self.feat_map = nn.Identity()  # where hooks such as Grad-CAM's find the feature map

    def init_weights(self) -> None:
        """Initialize, then load ``pretrained``.

        A ``ValueError`` if the checkpoint has no backbone, or lists all keys and shapes that
        differ.
        """
        super().init_weights()
        if self.pretrained is None:
            return
        weights = load_backbone_weights(self.pretrained, self.num_heads)
        # checkpoints of plain networks have no weights for a neck that learns
        neck = {key: value for key, value in self.state_dict().items() if key.startswith('neck.')}
        load_strictly(self, {**neck, **weights}, self.pretrained)

    def forward_tokens(self, x: Tensor, history: list[TokenState] | None = None) -> TokenState:
        """Run the embedding and all blocks.

        Args:
            x (Tensor): ``(B, C, T, H, W)`` normalized frames.
            history (list, optional): Receives the states before and after each reduction, in
                the order of the blocks. Defaults to None.

        Returns:
            TokenState: The last tokens ``(B, N, C)``, before the final norm; ``source``
            ``(B, N0)`` tells which of them holds each original token (-1: none).

        Raises:
            ValueError: If the input's sizes are not multiples of the tubelet's.
        """
        # the table keeps its size: other inputs get an interpolated copy
        positions = resize_positions(self.pos_embed, self.grid_size, self.token_grid(x))
        tokens = self.patch_embed(x)  # (B, C, T, H, W) -> (B, N0, C)
        state = TokenState.start(self.pos_drop(tokens + positions))
        for index, block in enumerate(self.blocks):
            state = block(state, self.neck, index in self.merge_layers, history)
        return state

    def forward(self, x: Tensor) -> Tensor:
        """Extract the features of normalized frames ``(B, C, T, H, W)``.

        T must be a multiple of ``tubelet_size``, H and W of ``patch_size``, else it is a
        ``ValueError``.

        Returns:
            Tensor: ``(B, C)``, or ``(B, C, T', H', W')`` with ``return_feat_map``.
        """
        state = self.forward_tokens(x)
        tokens = self.norm(state.x)  # (B, N, C)
        if self.return_feat_map:
            # (B, N, C) -> (B, N0, C) -> (B, C, T', H', W')
            unmerged = unmerge_tokens(tokens, state.source)
            return self.feat_map(unmerged.transpose(1, 2).unflatten(2, self.token_grid(x)))
        return self.pool(tokens, state)

    def pool(self, tokens: Tensor, state: TokenState) -> Tensor:
        """Pool the last tokens, ``(B, N, C)`` after ``norm``, of a state to ``(B, C)``."""
        if self.fc_norm is None:
            # upstream takes the first token, which may have been merged into another
            return gather_tokens(tokens, state.source[:, :1])[:, 0]
        weight = None if self.neck is None else self.neck.mean_weight(state)
        if weight is None:
            # tokens count equally, as in the paper, however many they stand for
            return self.fc_norm(tokens.mean(dim=1))
        weight = weight / weight.sum(dim=1, keepdim=True)
        # weights are of float32, also in half precision
        return self.fc_norm((tokens * weight.unsqueeze(-1)).sum(dim=1).to(tokens.dtype))

    def token_grid(self, x: Tensor) -> tuple[int, int, int]:
        """Grid (T', H', W') of the tokens of a ``(B, C, T, H, W)`` input."""
        return token_grid(x, (self.tubelet_size, self.patch_size, self.patch_size))


def check_divides(name: str, value: int, divisor_name: str, divisor: int) -> None:
    if value % divisor:
        raise ValueError(f'{name} must be a multiple of {divisor_name} = {divisor}, '
                         f'but got {value}')


def _check_layers(merge_layers: Sequence[int], depth: int) -> tuple[int, ...]:
    if not isinstance(merge_layers, Sequence):
        raise TypeError('merge_layers must be a sequence of blocks such as (3, 6, 9), but got '
                        f'{merge_layers!r}')
    layers = tuple(merge_layers)
    for layer in layers:
        if not is_integer(layer):
            raise TypeError(f'merge_layers must be integers, but got {layer!r}')
        if not 0 <= layer < depth:
            raise ValueError(f'merge_layers must be in [0, {depth}), 0-based blocks of a '
                             f'depth of {depth}, but got {layer} in {layers}')
    if len(set(layers)) != len(layers):
        raise ValueError(f'merge_layers must not repeat a block, but got {layers}')
    return layers
