"""Transformer over the joints of a skeleton.

The encoder of "Masked Motion Predictors are Strong 3D Action Representation Learners" (MAMP),
ICCV 2023, arXiv 2308.09975.

Shapes: B batch, M persons, T frames, V joints, t frames of a patch, T' = T / t, N = T'V tokens, C
channels (of the input or of a token).
"""
from collections.abc import Sequence

import torch
from mmaction.registry import MODELS
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ..necks import TokenState
from ..utils.positions import resize_positions
from ..utils.weights import load_backbone_weights, load_strictly
from .gaie_vit import check_divides
from .vit_block import Block, TubeletEmbed

# MAMP's
NORM_CFG = dict(type='LN', eps=1e-5)
INIT_CFG = (dict(type='Xavier', layer='Linear', distribution='uniform', bias=0.),
            dict(type='Constant', layer='LayerNorm', val=1., bias=0.))


@MODELS.register_module()
class SkeletonTransformer(BaseModule):
    """MAMP's transformer: a token is one joint in one short run of frames.

    In place of a graph convolution in MMAction2's ``RecognizerGCN``, with a ``GCNHead`` of
    ``in_channels=embed_dims``. All joints attend to each other, so it needs no graph.

    Args:
        num_joints (int): V. Defaults to 22, iMiGUE's.
        num_frames (int): Number of frames that the temporal position table is made for; for
            others it is interpolated. Defaults to 120.
        temporal_patch (int): Frames t of a token. Defaults to 4.
        in_channels (int): Number of channels of a joint. Defaults to 3: x, y and score, or x, y, z.
        embed_dims, depth, num_heads (int): Channels C of a token, blocks and heads. Default to
            256, 8 and 8.
        pretrained (str, optional): Path or URL of a checkpoint whose ``backbone.`` part is loaded
            strictly, such as that of a :class:`MaskedMotionModel`. Defaults to None.
        init_cfg (dict or list[dict], optional): Weight initialization. Defaults to MAMP's:
            Xavier-uniform Linear layers and unit LayerNorms.

    The others are those of :class:`GAIEVisionTransformer`.

    Raises:
        ValueError: If ``num_frames`` is not a multiple of ``temporal_patch``, or ``embed_dims``
            of ``num_heads``.
    """

    def __init__(self, *, num_joints: int = 22, num_frames: int = 120, temporal_patch: int = 4,
                 in_channels: int = 3, embed_dims: int = 256, depth: int = 8, num_heads: int = 8,
                 mlp_ratio: float = 4., drop_rate: float = 0., attn_drop_rate: float = 0.,
                 drop_path_rate: float = 0., pretrained: str | None = None, with_cp: bool = False,
                 init_cfg: dict | Sequence[dict] | None = INIT_CFG) -> None:
        super().__init__(init_cfg=list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg)
        check_divides('num_frames', num_frames, 'temporal_patch', temporal_patch)
        check_divides('embed_dims', embed_dims, 'num_heads', num_heads)
        self.num_joints = num_joints
        self.temporal_patch = temporal_patch
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.pretrained = pretrained
        self.patch_embed = TubeletEmbed(in_channels, embed_dims, (temporal_patch, 1, 1))
        # one table for time and one for joints: every clip trains all entries of both
        self.temporal_embed = nn.Parameter(
            torch.zeros(1, num_frames // temporal_patch, embed_dims))
        self.joint_embed = nn.Parameter(torch.zeros(1, num_joints, embed_dims))
        for table in (self.temporal_embed, self.joint_embed):
            nn.init.trunc_normal_(table, std=.02)
        self.pos_drop = nn.Dropout(drop_rate)
        self.blocks = ModuleList(
            Block(embed_dims=embed_dims, num_heads=num_heads, mlp_ratio=mlp_ratio,
                  drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, drop_path_rate=rate,
                  norm_cfg=NORM_CFG, with_cp=with_cp)
            for rate in torch.linspace(0, drop_path_rate, depth).tolist())
        self.norm = build_norm_layer(NORM_CFG, embed_dims)[1]

    def init_weights(self) -> None:
        """Initialize, then load ``pretrained``; errors as of :class:`GAIEVisionTransformer`."""
        super().init_weights()
        if self.pretrained is not None:
            weights = load_backbone_weights(self.pretrained, self.num_heads)
            load_strictly(self, weights, self.pretrained,
                          'joint_embed has (1, num_joints, embed_dims), and temporal_embed '
                          '(1, num_frames / temporal_patch, embed_dims)')

    def embed(self, x: Tensor) -> Tensor:
        """Tokens ``(B, N, C)`` with positions, the joints of the first patch first.

        Of skeletons ``(B, T, V, C)`` of single persons; errors as :meth:`token_grid`.
        """
        length, _ = self.token_grid(x)
        # (B, T, V, C) -> (B, C, T, V, 1) -> (B, N, C)
        tokens = self.patch_embed(x.permute(0, 3, 1, 2).unsqueeze(-1))
        return tokens + separable_positions(self.temporal_embed, self.joint_embed, length)

    def forward(self, x: Tensor) -> Tensor:
        """Extract the features ``(B, M, C, T', V)``, which ``GCNHead`` averages.

        Of skeletons ``(B, M, T, V, C)``, as MMAction2's graph convolutions take them; another
        number of dimensions is a ``ValueError``, further errors as :meth:`token_grid`.
        """
        if x.dim() != 5:
            raise ValueError(f'the input must be (B, M, T, V, C), but got {tuple(x.shape)}')
        batch, persons = x.shape[:2]
        state = TokenState.start(self.pos_drop(self.embed(x.flatten(0, 1))))
        for block in self.blocks:
            state = block(state)
        # (B M, N, C) -> (B, M, T', V, C) -> (B, M, C, T', V); GCNHead needs it contiguous
        tokens = self.norm(state.x).view(batch, persons, -1, self.num_joints, self.embed_dims)
        return tokens.permute(0, 1, 4, 2, 3).contiguous()

    def token_grid(self, x: Tensor) -> tuple[int, int]:
        """Grid (T', V) of the tokens of a ``(B, T, V, C)`` input.

        A ``ValueError`` if V is not ``num_joints``, or T not a multiple of ``temporal_patch``.
        """
        frames, joints = x.shape[1:3]
        if joints != self.num_joints:
            raise ValueError(f'the skeletons have {joints} joints, but the backbone has '
                             f'num_joints={self.num_joints}: set it, or the layout of the dataset')
        if frames % self.temporal_patch:
            raise ValueError(f'the number of frames must be a multiple of temporal_patch = '
                             f'{self.temporal_patch}, but got {frames}: set clip_len of the '
                             'pipeline')
        return frames // self.temporal_patch, joints


def separable_positions(temporal: Tensor, joint: Tensor, length: int) -> Tensor:
    """Sum of ``(1, T', C)``, interpolated to ``length``, and ``(1, V, C)``: ``(1, N, C)``."""
    temporal = resize_positions(temporal, (temporal.shape[1], 1, 1), (length, 1, 1))
    return (temporal.unsqueeze(2) + joint.unsqueeze(1)).flatten(1, 2)
