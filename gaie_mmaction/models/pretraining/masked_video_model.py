"""VideoMAE's masked pretraining of a video ViT.

"VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video
Pre-Training", NeurIPS 2022.

Shapes: B batch, T frames, H and W pixels, (T', H', W') the grid of tokens, N = T'H'W' tokens,
M hidden ones, C channels of the encoder, D of the decoder, P values of a tubelet.
"""
import math

import torch
from mmaction.models.backbones.vit_mae import get_sinusoid_encoding
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType
from torch import Tensor, nn

from ...ops.masking import tube_mask
from ..backbones import GAIEVisionTransformer
from ..backbones.vit_block import NORM_CFG, split_tubelets
from ..utils.positions import resize_positions
from .masked_model import Decoder, MaskedModel, num_hidden

MASKINGS = ('tube', 'random')
# of frames in [0, 1]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@MODELS.register_module()
class MaskedVideoModel(MaskedModel):
    """Predict the pixels of hidden tubelets from the visible ones.

    The encoder runs on the visible tokens alone. Its checkpoint's ``backbone.`` part is a
    ``pretrained`` file of any :class:`GAIEVisionTransformer`, with or without a neck.

    Args:
        backbone (dict): Config of a :class:`GAIEVisionTransformer` without a neck.
        mask_ratio (float): Share of the tokens that are hidden, in (0, 1). Defaults to 0.9.
        masking (str): ``'tube'`` hides the same places in all frames, as in the paper;
            ``'random'`` hides tokens independently of their frame. Defaults to ``'tube'``.
        decoder_depth, decoder_dims, decoder_heads (int): Blocks, channels D and heads of the
            decoder. Default to 4, 384 and 6.
        normalize_target (bool): Subtract each tubelet's mean per channel, and divide by its
            standard deviation. Defaults to True.
        data_preprocessor (dict, optional): Normalizes the frames by ImageNet's mean and standard
            deviation. Defaults to None.
        init_cfg (dict, optional): Weight initialization. Defaults to None.

    Raises:
        TypeError: If the backbone is not a :class:`GAIEVisionTransformer`.
        ValueError: If it has a neck, ``masking`` is unknown, or ``mask_ratio`` hides nothing or
            everything.
    """

    def __init__(self,
                 *,
                 backbone: dict,
                 mask_ratio: float = 0.9,
                 masking: str = 'tube',
                 decoder_depth: int = 4,
                 decoder_dims: int = 384,
                 decoder_heads: int = 6,
                 normalize_target: bool = True,
                 data_preprocessor: OptConfigType = None,
                 init_cfg: OptConfigType = None) -> None:
        super().__init__(backbone=backbone, kind=GAIEVisionTransformer,
                         data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if self.backbone.neck is not None:
            raise ValueError('backbone must have no neck in pretraining, since hidden tokens have '
                             f'left it already, but got {type(self.backbone.neck).__name__}')
        if masking not in MASKINGS:
            raise ValueError(f'masking must be one of {MASKINGS}, but got {masking!r}')
        self.mask_ratio, self.masking = mask_ratio, masking
        self._draw(1, self.backbone.grid_size)  # a wrong ratio is an error when built
        self.normalize_target = normalize_target
        num_values = self.backbone.patch_embed.projection.weight[0].numel()
        self.encoder_to_decoder = nn.Linear(self.backbone.embed_dims, decoder_dims, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_dims))
        num_tokens = self.backbone.pos_embed.shape[1]
        self.register_buffer(
            'decoder_positions', get_sinusoid_encoding(num_tokens, decoder_dims), persistent=False)
        self.decoder = Decoder(dims=decoder_dims, depth=decoder_depth, num_heads=decoder_heads,
                               num_values=num_values, norm_cfg=NORM_CFG)

    def draw_mask(self, frames: Tensor) -> Tensor:
        """Mask ``(B, N)`` for ``(B, 3, T, H, W)`` frames: bool, True = hidden."""
        return self._draw(len(frames), self.backbone.token_grid(frames))

    def _draw(self, batch: int, grid: tuple[int, int, int]) -> Tensor:
        # a single frame of all tokens has no tubes
        grid = grid if self.masking == 'tube' else (1, 1, math.prod(grid))
        return tube_mask(batch, grid, self.mask_ratio)

    def embed(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        backbone = self.backbone
        grid = backbone.token_grid(frames)
        positions, decoder_positions = (resize_positions(table, backbone.grid_size, grid) for table
                                        in (backbone.pos_embed, self.decoder_positions))
        return backbone.patch_embed(frames) + positions, decoder_positions

    def target(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Values of the hidden tubelets ``(B, M, P)``, in the order frame, row, column, channel.

        Of ``(B, 3, T, H, W)`` frames, normalized by ImageNet's mean and standard deviation.
        """
        tubelet = self.backbone.patch_embed.projection.kernel_size
        pixels = split_tubelets(frames, tubelet).flatten(3)  # (B, N, 3, t p p)
        # -> (B, M, 3, t p p)
        pixels = pixels[mask].view(len(frames), num_hidden(mask), *pixels.shape[2:])
        mean, std = (pixels.new_tensor(values).view(3, 1)
                     for values in (IMAGENET_MEAN, IMAGENET_STD))
        pixels = pixels * std + mean  # in [0, 1]
        if self.normalize_target:
            pixels = pixels - pixels.mean(dim=3, keepdim=True)
            # unbiased; several times faster than torch.var on a CPU
            norm = torch.linalg.vector_norm(pixels, dim=3, keepdim=True)
            pixels = pixels / (norm / (pixels.shape[3] - 1)**.5 + 1e-6)
        pixels = pixels.transpose(2, 3)  # the channel is the last in the order of the values
        return pixels.flatten(2)
