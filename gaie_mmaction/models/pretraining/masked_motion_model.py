"""MAMP's masked pretraining of a skeleton transformer.

"Masked Motion Predictors are Strong 3D Action Representation Learners", ICCV 2023,
arXiv 2308.09975.

Shapes: B batch (of single persons), T frames, V joints, t frames of a patch, T' = T / t, N = T'V
tokens, M hidden ones, C channels of a joint or of the encoder, D of the decoder, P values of a
token's target.
"""
import torch
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType
from torch import Tensor, nn

from ...ops.masking import motion_mask
from ..backbones import SkeletonTransformer
from ..backbones.skeleton_transformer import NORM_CFG, separable_positions
from .masked_model import Decoder, MaskedModel, num_hidden


@MODELS.register_module()
class MaskedMotionModel(MaskedModel):
    """Predict the motion of hidden joints from the visible ones.

    Joints that move are hidden more often, the encoder runs on the visible tokens alone, and the
    target is the difference to the next frame, normalized per token. The checkpoint's
    ``backbone.`` part is a ``pretrained`` file of any :class:`SkeletonTransformer` of the same
    sizes.

    Args:
        backbone (dict): Config of a :class:`SkeletonTransformer`.
        mask_ratio (float): Share of the tokens that are hidden, in (0, 1). Defaults to 0.9.
        temperature (float): Paper's tau, above 0; the lower, the more often moving joints are
            hidden. Defaults to 0.8.
        decoder_depth, decoder_dims, decoder_heads (int): Blocks, channels D and heads of the
            decoder. Default to 5, 256 and 8.
        target_channels (int, optional): How many channels of a joint are coordinates, the first
            ones; a score behind them is seen, but neither predicted nor motion. Defaults to None,
            all.
        normalize_target (bool): Subtract each token's mean, and divide by its standard deviation.
            Defaults to True.
        data_preprocessor, init_cfg: Same as :class:`MaskedModel`.

    Raises:
        TypeError: If the backbone is not a :class:`SkeletonTransformer`.
        ValueError: If ``mask_ratio`` hides no or every token, the temperature is not positive, or
            ``target_channels`` are not channels of a joint.
    """

    def __init__(self,
                 *,
                 backbone: dict,
                 mask_ratio: float = 0.9,
                 temperature: float = 0.8,
                 decoder_depth: int = 5,
                 decoder_dims: int = 256,
                 decoder_heads: int = 8,
                 target_channels: int | None = None,
                 normalize_target: bool = True,
                 data_preprocessor: OptConfigType = None,
                 init_cfg: OptConfigType = None) -> None:
        super().__init__(backbone=backbone, kind=SkeletonTransformer,
                         data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        temporal, joints = self.backbone.temporal_embed.shape[1], self.backbone.num_joints
        # wrong values are an error when built
        motion_mask(torch.zeros(1, temporal * joints), mask_ratio, temperature)
        self.mask_ratio = mask_ratio
        self.temperature = temperature
        self.normalize_target = normalize_target
        in_channels = self.backbone.patch_embed.projection.in_channels
        self.target_channels = in_channels if target_channels is None else target_channels
        if not 0 < self.target_channels <= in_channels:
            raise ValueError(f'target_channels must be in 1..{in_channels}, the channels of a '
                             f'joint, but got {target_channels}')
        self.encoder_to_decoder = nn.Linear(self.backbone.embed_dims, decoder_dims)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_dims))
        self.decoder_temporal_embed = nn.Parameter(torch.zeros(1, temporal, decoder_dims))
        self.decoder_joint_embed = nn.Parameter(torch.zeros(1, joints, decoder_dims))
        for table in (self.decoder_temporal_embed, self.decoder_joint_embed):
            nn.init.trunc_normal_(table, std=.02)
        self.decoder = Decoder(
            dims=decoder_dims, depth=decoder_depth, num_heads=decoder_heads,
            num_values=self.backbone.temporal_patch * self.target_channels, norm_cfg=NORM_CFG)

    def draw_mask(self, skeletons: Tensor) -> Tensor:
        """Mask ``(B, N)`` bool of skeletons, True = hidden, moving joints more often.

        A token's motion is the mean absolute difference of its values to those of the same joint
        in the patch before; the first patch has the motion of the second.
        """
        patches = self._patches(_single_persons(skeletons))
        motion = patches.diff(dim=1).abs().mean(dim=3)  # (B, T' - 1, V)
        # a single patch has no motion: all its tokens alike
        first = motion[:, :1] if motion.shape[1] else torch.zeros_like(patches[..., 0])
        return motion_mask(torch.cat([first, motion], dim=1).flatten(1), self.mask_ratio,
                           self.temperature)

    def embed(self, skeletons: Tensor) -> tuple[Tensor, Tensor]:
        skeletons = _single_persons(skeletons)
        tokens = self.backbone.embed(skeletons)
        length, _ = self.backbone.token_grid(skeletons)
        return tokens, separable_positions(self.decoder_temporal_embed, self.decoder_joint_embed,
                                           length)

    def target(self, skeletons: Tensor, mask: Tensor) -> Tensor:
        """Motion of the hidden tokens ``(B, M, P)``, values in the order frame, channel."""
        skeletons = _single_persons(skeletons)
        # the last frame has no next one: its motion is 0
        motion = skeletons.diff(dim=1, append=skeletons[:, -1:])
        motion = self._patches(motion).flatten(1, 2)  # (B, T', V, P) -> (B, N, P)
        motion = motion[mask].view(len(skeletons), num_hidden(mask), -1)
        if self.normalize_target:
            var = motion.var(dim=2, unbiased=True, keepdim=True)
            motion = (motion - motion.mean(dim=2, keepdim=True)) / (var + 1e-6).sqrt()
        return motion

    def _patches(self, skeletons: Tensor) -> Tensor:
        """Coordinates ``(B, T, V, C)`` -> ``(B, T', V, P)``, in the order frame, channel."""
        length, _ = self.backbone.token_grid(skeletons)
        patches = skeletons[..., :self.target_channels].unflatten(1, (length, -1))
        return patches.transpose(2, 3).flatten(3)  # (B, T', t, V, C) -> (B, T', V, P)


def _single_persons(skeletons: Tensor) -> Tensor:
    """``(..., T, V, C)`` -> ``(B, T, V, C)``: each person is a sample of its own."""
    return skeletons.flatten(0, -4)
