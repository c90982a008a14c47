"""VideoMAE's masked pretraining of a video ViT.

"VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video
Pre-Training", NeurIPS 2022.

Shapes: B batch, T frames, H and W pixels, (T', H', W') the grid of tokens, N = T'H'W' tokens,
M hidden ones, C channels of the encoder, D of the decoder, P values of a tubelet.
"""
from typing import Any

import torch
from mmaction.models.backbones.vit_mae import get_sinusoid_encoding
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModel, BaseModule, ModuleList
from torch import Tensor, nn

from ...ops.masking import tube_mask
from ..backbones import GAIEVisionTransformer
from ..backbones.vit_block import NORM_CFG, Block
from ..necks import TokenState
from ..utils.positions import resize_positions

# of frames in [0, 1]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Decoder(BaseModule):
    """Blocks, norm and a linear layer to the values of a tubelet.

    Args:
        dims (int): Number of channels D.
        depth (int): Number of blocks.
        num_heads (int): Number of heads.
        num_values (int): P.
    """

    def __init__(self, *, dims: int, depth: int, num_heads: int, num_values: int) -> None:
        super().__init__()
        self.blocks = ModuleList(Block(embed_dims=dims, num_heads=num_heads) for _ in range(depth))
        self.norm = build_norm_layer(NORM_CFG, dims)[1]
        self.head = nn.Linear(dims, num_values)

    def forward(self, x: Tensor, num_hidden: int) -> Tensor:
        """Decode ``(B, N, D)`` tokens, the M hidden ones last, to ``(B, M, P)``."""
        state = TokenState.start(x)
        for block in self.blocks:
            state = block(state)
        return self.head(self.norm(state.x[:, -num_hidden:]))


@MODELS.register_module()
class MaskedVideoModel(BaseModel):
    """Predict the pixels of hidden tubelets from the visible ones.

    The encoder runs on the visible tokens alone. Its checkpoint's ``backbone.`` part is a
    ``pretrained`` file of any :class:`GAIEVisionTransformer`, with or without a neck.

    Args:
        backbone (dict): Config of a :class:`GAIEVisionTransformer` without a neck.
        mask_ratio (float): Share of the places that are hidden, in (0, 1). Defaults to 0.9.
        decoder_depth (int): Number of decoder blocks. Defaults to 4.
        decoder_dims (int): Number of channels D of the decoder. Defaults to 384.
        decoder_heads (int): Number of heads of the decoder. Defaults to 6.
        normalize_target (bool): Subtract each tubelet's mean per channel, and divide by its
            standard deviation. Defaults to True.
        data_preprocessor (dict, optional): Normalizes the frames by ImageNet's mean and standard
            deviation. Defaults to None.
        init_cfg (dict, optional): Weight initialization. Defaults to None.

    Raises:
        TypeError: If the backbone is not a :class:`GAIEVisionTransformer`.
        ValueError: If it has a neck, or ``mask_ratio`` hides no or every place.
    """

    def __init__(self,
                 *,
                 backbone: dict,
                 mask_ratio: float = 0.9,
                 decoder_depth: int = 4,
                 decoder_dims: int = 384,
                 decoder_heads: int = 6,
                 normalize_target: bool = True,
                 data_preprocessor: OptConfigType = None,
                 init_cfg: OptConfigType = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        if not isinstance(self.backbone, GAIEVisionTransformer):
            raise TypeError('backbone must be a GAIEVisionTransformer, but got a '
                            f'{type(self.backbone).__name__}')
        if self.backbone.neck is not None:
            raise ValueError('backbone must have no neck in pretraining, since hidden tokens have '
                             f'left it already, but got {type(self.backbone.neck).__name__}')
        tube_mask(1, self.backbone.grid_size, mask_ratio)  # a wrong ratio is an error when built
        self.mask_ratio = mask_ratio
        self.normalize_target = normalize_target
        dims = self.backbone.embed_dims
        num_values = self.backbone.patch_embed.projection.weight[0].numel()
        self.encoder_to_decoder = nn.Linear(dims, decoder_dims, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_dims))
        num_tokens = self.backbone.pos_embed.shape[1]
        self.register_buffer(
            'decoder_positions', get_sinusoid_encoding(num_tokens, decoder_dims), persistent=False)
        self.decoder = Decoder(
            dims=decoder_dims, depth=decoder_depth, num_heads=decoder_heads, num_values=num_values)

    def init_weights(self) -> None:
        """VideoMAE's: Xavier-uniform linear layers, the mask token from a normal distribution."""
        super().init_weights()
        for module in self.decoder.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.encoder_to_decoder.weight)
        nn.init.trunc_normal_(self.mask_token, std=.02)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'loss') -> Any:
        """Draw a mask and run the model.

        Args:
            inputs (Tensor): ``(B, views, 3, T, H, W)`` normalized frames.
            data_samples (list, optional): Not used.
            mode (str): ``'loss'``, or ``'tensor'`` for prediction and mask. Defaults to
                ``'loss'``.

        Returns:
            dict or tuple: ``loss``; or values of the hidden tubelets ``(B * views, M, P)`` and the
            mask ``(B * views, N)``.

        Raises:
            ValueError: If the mode is unknown.
        """
        frames = inputs.flatten(0, 1)  # (B, views, 3, T, H, W) -> (B * views, 3, T, H, W)
        grid = self.backbone.token_grid(frames)
        mask = tube_mask(len(frames), grid, self.mask_ratio).to(frames.device)
        if mode == 'loss':
            return dict(loss=self.forward_loss(frames, mask))
        if mode == 'tensor':
            return self.reconstruct(frames, mask), mask
        raise ValueError(f"mode must be 'loss' or 'tensor', but got {mode!r}: masked pretraining "
                         'has nothing to validate or test')

    def reconstruct(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Predict the hidden tubelets.

        Args:
            frames (Tensor): ``(B, 3, T, H, W)`` normalized frames.
            mask (Tensor): ``(B, N)`` bool, True = hidden, M in each clip.

        Returns:
            Tensor: ``(B, M, P)``, in the order of the tokens.

        Raises:
            ValueError: If clips have different numbers of hidden tokens.
        """
        num_hidden = _num_hidden(mask)
        backbone, batch = self.backbone, len(frames)
        grid = backbone.token_grid(frames)
        tokens = backbone.patch_embed(frames)  # (B, 3, T, H, W) -> (B, N, C)
        tokens = tokens + resize_positions(backbone.pos_embed, backbone.grid_size, grid)
        # (B, N, C) -> (B, N - M, C)
        state = TokenState.start(backbone.pos_drop(tokens[~mask].view(batch, -1, tokens.shape[2])))
        for block in backbone.blocks:
            state = block(state)
        norm = backbone.norm if backbone.fc_norm is None else backbone.fc_norm
        visible = self.encoder_to_decoder(norm(state.x))  # (B, N - M, D)
        positions = resize_positions(self.decoder_positions, backbone.grid_size, grid)
        positions = positions.expand(batch, -1, -1).to(visible.dtype)
        hidden = self.mask_token + positions[mask].view(batch, num_hidden, -1)
        visible = visible + positions[~mask].view(visible.shape)
        return self.decoder(torch.cat([visible, hidden], dim=1), num_hidden)

    def target(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Values that :meth:`reconstruct` should predict.

        Args:
            frames (Tensor): ``(B, 3, T, H, W)`` normalized frames.
            mask (Tensor): ``(B, N)`` bool.

        Returns:
            Tensor: ``(B, M, P)``, each tubelet's values in the order frame, row, column, channel.
        """
        num_hidden = _num_hidden(mask)
        side, tubelet = self.backbone.patch_size, self.backbone.tubelet_size
        for dim, step in ((4, side), (3, side), (2, tubelet)):
            frames = frames.unflatten(dim, (-1, step))
        # (B, 3, T', t, H', p, W', p) -> (B, N, 3, t p p) -> (B, M, 3, t p p)
        pixels = frames.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(5).flatten(1, 3)
        pixels = pixels[mask].view(len(frames), num_hidden, *pixels.shape[2:])
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

    def forward_loss(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Mean squared error of the hidden tubelets' values.

        Args:
            frames (Tensor): ``(B, 3, T, H, W)``, normalized by ImageNet's mean and standard
                deviation.
            mask (Tensor): ``(B, N)`` bool, True = hidden, as many in each clip.

        Returns:
            Tensor: Scalar.
        """
        with torch.no_grad():
            target = self.target(frames, mask)
        # in float32 under autocast, too: half precision rounds small errors away
        return nn.functional.mse_loss(self.reconstruct(frames, mask).to(target.dtype), target)


def _num_hidden(mask: Tensor) -> int:
    """M, the same in each clip of ``(B, N)``."""
    counts = mask.sum(dim=1).tolist()
    if len(set(counts)) != 1:
        raise ValueError(f'each clip must have as many hidden tokens, but got {counts}')
    return int(counts[0])
