"""Video vision transformer with joint space-time attention and a token reducer.

Letters: B batch, C channels (of the input or of a token), T frames, H and W pixels,
(T', H', W') the grid of tokens, N present tokens, N0 = T'H'W' original tokens,
h heads, d channels of a head.
"""
from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmaction.models.backbones.vit_mae import get_sinusoid_encoding
from mmaction.registry import MODELS
from mmaction.utils import ConfigType, OptConfigType
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks import DropPath
from mmcv.cnn.bricks.transformer import FFN, PatchEmbed
from mmengine.model import BaseModule, ModuleList
from mmengine.runner.checkpoint import _load_checkpoint
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...ops import attention_with_importance, gather_tokens, spread_tokens, weighted_attention
from ..necks import BackboneLayout, TokenReducer, TokenState
from ..necks.token_reducer import is_integer

Attended = Tuple[Tensor, Optional[Tensor], Optional[Tensor]]


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
                 qk_scale: Optional[float] = None,
                 attn_drop_rate: float = 0.,
                 drop_rate: float = 0.) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = qk_scale or (embed_dims // num_heads)**-0.5
        self.attn_drop_rate = attn_drop_rate
        self.q_bias: Optional[nn.Parameter] = None
        self.v_bias: Optional[nn.Parameter] = None
        if qkv_bias:
            self.q_bias = nn.Parameter(torch.zeros(embed_dims))
            self.v_bias = nn.Parameter(torch.zeros(embed_dims))
        self.qkv = nn.Linear(embed_dims, embed_dims * 3, bias=False)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(drop_rate)

    def forward(self,
                x: Tensor,
                size: Optional[Tensor] = None,
                needs_importance: bool = False,
                needs_keys: bool = False,
                importance_type: str = 'column_mean',
                mask: Optional[Tensor] = None) -> Attended:
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
        norm_cfg (dict): Norm layers. Defaults to ``dict(type='LN', eps=1e-6)``.
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
                 norm_cfg: ConfigType = dict(type='LN', eps=1e-6),
                 with_cp: bool = False,
                 **attn_cfg: Any) -> None:
        super().__init__()
        self.with_cp = with_cp
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
                reducer: Optional[TokenReducer] = None,
                size: Optional[Tensor] = None,
                history: Optional[List[TokenState]] = None) -> TokenState:
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


@MODELS.register_module()
class GAIEVisionTransformer(BaseModule):
    """VideoMAE's vision transformer with a token reducer inside some blocks.

    Without a neck it is MMAction2's ``VisionTransformer``, and its state_dict has
    the same keys either way, but for what a neck learns (GAIE learns nothing). All
    arguments are keyword-only and an unknown one is a ``TypeError``.

    Args:
        img_size (int): Height and width of the input that the position table is
            made for, pixels. Defaults to 224.
        patch_size (int): Height and width of a tubelet, pixels. Defaults to 16.
        in_channels (int): Channels of the input. Defaults to 3.
        embed_dims (int): Channels C of a token. Defaults to 768.
        depth (int): Number of blocks. Defaults to 12.
        num_heads (int): Number of heads. Defaults to 12.
        mlp_ratio (float): Hidden channels of the MLP over C. Defaults to 4.
        qkv_bias (bool): Whether queries and values have a bias. Defaults to True.
        qk_scale (float, optional): Factor of the attention logits. Defaults to ``d ** -0.5``.
        drop_rate (float): Dropout of embeddings, attention outputs and MLPs. Defaults to 0.
        attn_drop_rate (float): Dropout of the attention maps. Defaults to 0.
        drop_path_rate (float): Stochastic depth of the last block; it grows
            linearly from 0 in the first. Defaults to 0.
        norm_cfg (dict): Norm layers. Defaults to ``dict(type='LN', eps=1e-6)``.
        init_values (float): Start of LayerScale; 0 is without. Defaults to 0.
        use_learnable_pos_emb (bool): Learned positions instead of the fixed
            sine-cosine table. Defaults to False.
        num_frames (int): Frames that the position table is made for. Defaults to 16.
        tubelet_size (int): Frames of a tubelet. Defaults to 2.
        use_mean_pooling (bool): Mean of the last tokens and a norm; otherwise the
            norm and the token that holds the first one. Defaults to True.
        pretrained (str, optional): Path or URL of a checkpoint of an MMAction2
            recognizer, whose ``backbone.`` part is loaded strictly. Defaults to None.
        return_feat_map (bool): Return ``(B, C, T', H', W')``, merged tokens spread
            back to their places, zeros where tokens were dropped. Defaults to False.
        neck (dict, optional): Config of a :class:`TokenReducer`, e.g.
            ``dict(type='GAIENeck')``. Defaults to None, the plain ViT.
        merge_layers (Sequence[int]): Blocks with the reducer, 0-based, in
            [0, depth), each at most once. Defaults to (3, 6, 9), the paper's.
        with_cp (bool): Recompute the branches in the backward pass to save
            memory. Defaults to False.
        init_cfg (dict or list[dict], optional): Weight initialisation. Defaults to
            truncated normal Linear layers and unit LayerNorms.

    Raises:
        TypeError: If a keyword is unknown, ``merge_layers`` holds anything but
            integers, or the neck is no token reducer.
        ValueError: If a layer is outside [0, depth) or repeated, sizes do not divide,
            or the neck cannot reduce that many tokens, or needs other settings.
    """

    def __init__(self,
                 *,
                 img_size: int = 224,
                 patch_size: int = 16,
                 in_channels: int = 3,
                 embed_dims: int = 768,
                 depth: int = 12,
                 num_heads: int = 12,
                 mlp_ratio: float = 4.,
                 qkv_bias: bool = True,
                 qk_scale: Optional[float] = None,
                 drop_rate: float = 0.,
                 attn_drop_rate: float = 0.,
                 drop_path_rate: float = 0.,
                 norm_cfg: ConfigType = dict(type='LN', eps=1e-6),
                 init_values: float = 0.,
                 use_learnable_pos_emb: bool = False,
                 num_frames: int = 16,
                 tubelet_size: int = 2,
                 use_mean_pooling: bool = True,
                 pretrained: Optional[str] = None,
                 return_feat_map: bool = False,
                 neck: OptConfigType = None,
                 merge_layers: Sequence[int] = (3, 6, 9),
                 with_cp: bool = False,
                 init_cfg: Optional[Union[Dict, Sequence[Dict]]] = (
                     dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.),
                     dict(type='Constant', layer='LayerNorm', val=1., bias=0.))
                 ) -> None:
        super().__init__(init_cfg=list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg)
        check_divides('embed_dims', embed_dims, 'num_heads', num_heads)
        check_divides('img_size', img_size, 'patch_size', patch_size)
        check_divides('num_frames', num_frames, 'tubelet_size', tubelet_size)
        self.embed_dims = embed_dims
        self.patch_size = patch_size
        self.tubelet_size = tubelet_size
        self.pretrained = pretrained
        self.return_feat_map = return_feat_map

        tubelet = (tubelet_size, patch_size, patch_size)
        self.patch_embed = PatchEmbed(
            in_channels=in_channels,
            embed_dims=embed_dims,
            conv_type='Conv3d',
            kernel_size=tubelet,
            stride=tubelet,
            padding=(0, 0, 0),
            dilation=(1, 1, 1))
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
            Block(
                embed_dims=embed_dims,
                num_heads=num_heads,
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                qk_scale=qk_scale,
                drop_rate=drop_rate,
                attn_drop_rate=attn_drop_rate,
                drop_path_rate=rate,
                init_values=init_values,
                norm_cfg=norm_cfg,
                with_cp=with_cp) for rate in torch.linspace(0, drop_path_rate, depth).tolist())

        self.neck = None if neck is None else MODELS.build(neck)
        if not isinstance(self.neck, (TokenReducer, type(None))):
            raise TypeError('neck must be a token reducer such as GAIENeck, but got a '
                            f'{type(self.neck).__name__}')
        self.merge_layers = () if neck is None else _check_layers(merge_layers, depth)
        if self.neck is not None:
            _check_neck(self.neck, use_mean_pooling, attn_drop_rate)
            self.neck.attach(
                BackboneLayout(
                    num_tokens=num_tokens,
                    merge_layers=tuple(sorted(self.merge_layers)),
                    depth=depth,
                    embed_dims=embed_dims,
                    hidden_dims=int(embed_dims * mlp_ratio),
                    patch_values=in_channels * tubelet_size * patch_size**2))

        norm = build_norm_layer(norm_cfg, embed_dims)[1]
        self.norm = nn.Identity() if use_mean_pooling else norm
        self.fc_norm = norm if use_mean_pooling else None

    def init_weights(self) -> None:
        """Initialise, then load ``pretrained`` over it.

        Raises:
            ValueError: If the checkpoint has no backbone, or one of other keys or shapes; all
                are listed.
        """
        super().init_weights()
        if self.pretrained is None:
            return
        weights = load_backbone_weights(self.pretrained)
        # what a neck learns has a start of its own, and no plain network's file holds it
        neck = {key: value for key, value in self.state_dict().items() if key.startswith('neck.')}
        load_strictly(self, {**neck, **weights}, self.pretrained)

    def forward_tokens(self,
                       x: Tensor,
                       history: Optional[List[TokenState]] = None) -> TokenState:
        """Run the embedding and all blocks.

        Args:
            x (Tensor): ``(B, C, T, H, W)`` normalised frames.
            history (list, optional): Gets the state before and the state after each
                merge, first block first, for pictures. Defaults to None.

        Returns:
            TokenState: The last tokens ``(B, N, C)``, without the final norm. ``source``
            ``(B, N0)`` is the provenance: which of them holds each original token (-1: none).

        Raises:
            ValueError: If the input's sizes are not multiples of the tubelet's.
        """
        grid = self._token_grid(x)
        tokens = self.patch_embed(x)[0]  # (B, C, T, H, W) -> (B, N0, C)
        state = TokenState.start(self.pos_drop(tokens + self._positions(grid)))
        prop_attn = self.neck is not None and self.neck.prop_attn
        for index, block in enumerate(self.blocks):
            reducer = self.neck if index in self.merge_layers else None
            state = block(state, reducer, state.size if prop_attn else None, history)
        return state

    def forward(self, x: Tensor) -> Tensor:
        """Features of clips.

        Args:
            x (Tensor): ``(B, C, T, H, W)`` normalised frames; T a multiple of
                ``tubelet_size``, H and W of ``patch_size``.

        Returns:
            Tensor: ``(B, C)``, or ``(B, C, T', H', W')`` with ``return_feat_map``.

        Raises:
            ValueError: If the input's sizes are not multiples of the tubelet's.
        """
        state = self.forward_tokens(x)
        tokens = self.norm(state.x)  # (B, N, C)
        if self.return_feat_map:
            # (B, N, C) -> (B, N0, C) -> (B, C, T', H', W')
            spread = spread_tokens(tokens, state.source)
            return spread.transpose(1, 2).unflatten(2, self._token_grid(x))
        return self.pool(tokens, state)

    def pool(self, tokens: Tensor, state: TokenState) -> Tensor:
        """Make one feature of the last tokens.

        Args:
            tokens (Tensor): ``(B, N, C)``, after ``norm``.
            state (TokenState): Their sizes and provenance.

        Returns:
            Tensor: ``(B, C)``.
        """
        if self.fc_norm is None:
            return gather_tokens(tokens, state.source[:, :1])[:, 0]
        weight = state.mask
        if self.neck is not None and self.neck.weighted_mean:
            weight = state.size if weight is None else state.size * weight
        if weight is None:
            return self.fc_norm(tokens.mean(dim=1))
        weight = weight / weight.sum(dim=1, keepdim=True)
        return self.fc_norm((tokens * weight.unsqueeze(-1)).sum(dim=1))

    def _token_grid(self, x: Tensor) -> Tuple[int, int, int]:
        return token_grid(x, (self.tubelet_size, self.patch_size, self.patch_size))

    def _positions(self, grid: Tuple[int, int, int]) -> Tensor:
        return resize_positions(self.pos_embed, self.grid_size, grid)


def load_backbone_weights(source: str) -> Dict[str, Tensor]:
    """The ``backbone.`` part of a recognizer's checkpoint, without that prefix.

    Args:
        source (str): Path or URL.

    Raises:
        ValueError: If the checkpoint has no such part.
    """
    checkpoint = _load_checkpoint(source, map_location='cpu')
    weights = checkpoint.get('state_dict', checkpoint)
    found = {key.removeprefix('backbone.'): value
             for key, value in weights.items() if key.startswith('backbone.')}
    if not found:
        raise ValueError(
            f'{source} is no checkpoint of an MMAction2 recognizer: no name in it starts with '
            f"'backbone.', the first are {', '.join(map(repr, list(weights)[:3]))}. VideoMAE's own "
            'files are converted by tools/model_converters/videomae_to_mmaction.py')
    return found


def list_misfits(own: Dict[str, Tensor], weights: Dict[str, Tensor]) -> List[str]:
    """What keeps weights from fitting, in words.

    Args:
        own (dict[str, Tensor]): The network's state_dict.
        weights (dict[str, Tensor]): The weights'.

    Returns:
        list[str]: A line for each missing key, each left-over one, each other shape.
    """
    problems = [f'missing: {key}' for key in own if key not in weights]
    problems += [f'left over: {key}' for key in weights if key not in own]
    problems += [
        f'{key}: {tuple(weights[key].shape)} in the file, {tuple(own[key].shape)} here'
        for key in own if key in weights and weights[key].shape != own[key].shape
    ]
    return problems


def load_strictly(backbone: nn.Module, weights: Dict[str, Tensor], source: str) -> None:
    """Load weights that must fit.

    Args:
        backbone (nn.Module): A video ViT.
        weights (dict[str, Tensor]): Its whole state_dict.
        source (str): Where they come from, for the error.

    Raises:
        ValueError: If a key is missing or left over, or a shape differs; all are listed.
    """
    problems = list_misfits(backbone.state_dict(), weights)
    if problems:
        listed = '\n  '.join(problems)
        raise ValueError(
            f'the backbone of {source} does not fit:\n  {listed}\nBuild the backbone '
            'with the sizes of the checkpoint. img_size and num_frames are those of the '
            'position table: other inputs are interpolated on the fly. VideoMAE\'s own files '
            'are converted by tools/model_converters/videomae_to_mmaction.py')
    backbone.load_state_dict(weights)


def token_grid(x: Tensor, tubelet: Tuple[int, int, int]) -> Tuple[int, int, int]:
    """Grid (T', H', W') of the tokens that a ``(B, C, T, H, W)`` input gives.

    Raises:
        ValueError: If the input's sizes are not multiples of the tubelet's.
    """
    if x.dim() != 5:
        raise ValueError(f'the input must be (B, C, T, H, W), but got {tuple(x.shape)}')
    for name, length, step in zip(('frames', 'height', 'width'), x.shape[2:], tubelet):
        if length < step or length % step:
            raise ValueError(f'the input\'s {name} must be a multiple of {step}, but got '
                             f'{length} in {tuple(x.shape)}')
    frames, height, width = (length // step for length, step in zip(x.shape[2:], tubelet))
    return frames, height, width


def resize_positions(table: Tensor, grid: Tuple[int, int, int],
                     new_grid: Tuple[int, int, int]) -> Tensor:
    """Position table of another grid. Space is bicubic, as MMAction2's; time is linear.

    Args:
        table (Tensor): ``(1, T'H'W', C)`` of ``grid``, (T', H', W').
        grid (tuple[int]): Its grid.
        new_grid (tuple[int]): The grid wanted.

    Returns:
        Tensor: ``(1, T'H'W', C)`` of ``new_grid``; ``table`` itself for the same grid.
    """
    if new_grid == grid:
        return table
    table = table.unflatten(1, grid)[0].permute(0, 3, 1, 2)  # (T', C, H', W')
    if new_grid[1:] != grid[1:]:
        table = F.interpolate(table, size=new_grid[1:], mode='bicubic', align_corners=False)
    if new_grid[0] != grid[0]:
        # (T', C, H', W') -> (1, C H' W', T') -> back
        flat = table.flatten(1).t().unsqueeze(0)
        flat = F.interpolate(flat, size=new_grid[0], mode='linear', align_corners=False)
        table = flat[0].t().reshape(new_grid[0], *table.shape[1:])
    return table.permute(0, 2, 3, 1).flatten(0, 2).unsqueeze(0)


def check_divides(name: str, value: int, divisor_name: str, divisor: int) -> None:
    if value % divisor:
        raise ValueError(f'{name} must be a multiple of {divisor_name} = {divisor}, '
                         f'but got {value}')


def _check_neck(neck: TokenReducer, use_mean_pooling: bool, attn_drop_rate: float) -> None:
    if neck.drops_tokens and not use_mean_pooling:
        raise ValueError(f'use_mean_pooling must be True with a {type(neck).__name__}: it can drop '
                         'the first token, which would be the feature')
    if neck.masks_in_training and attn_drop_rate:
        raise ValueError(f'attn_drop_rate must be 0 with a {type(neck).__name__}, which masks '
                         f'attention in training, but got {attn_drop_rate}')


def _check_layers(merge_layers: Sequence[int], depth: int) -> Tuple[int, ...]:
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
