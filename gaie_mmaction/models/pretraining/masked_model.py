"""Asymmetric autoencoder, shared by masked pretraining of videos and of skeletons.

Shapes: B batch, N tokens, M hidden ones, C channels of the encoder, D of the decoder, P values of
a token's target.
"""
from typing import Any

import torch
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModel, BaseModule, ModuleList
from torch import Tensor, nn

from ..backbones.vit_block import Block
from ..necks import TokenState

PREPROCESSOR = dict(type='mmaction.ActionDataPreprocessor')


class Decoder(BaseModule):
    """``depth`` blocks of ``dims`` = D channels, norm, and a linear layer to ``num_values`` = P."""

    def __init__(self, *, dims: int, depth: int, num_heads: int, num_values: int,
                 norm_cfg: dict) -> None:
        super().__init__()
        self.blocks = ModuleList(Block(embed_dims=dims, num_heads=num_heads, norm_cfg=norm_cfg)
                                 for _ in range(depth))
        self.norm = build_norm_layer(norm_cfg, dims)[1]
        self.head = nn.Linear(dims, num_values)

    def forward(self, x: Tensor, num_hidden: int) -> Tensor:
        """Decode ``(B, N, D)`` tokens, the M hidden ones last, to ``(B, M, P)``."""
        state = TokenState.start(x)
        for block in self.blocks:
            state = block(state)
        return self.head(self.norm(state.x[:, -num_hidden:]))


class MaskedModel(BaseModel):
    """Predict a target of hidden tokens from the visible ones, which alone enter the encoder.

    Subclasses say what tokens, positions, masks and targets are.

    Args:
        backbone (dict): Config of the encoder, with ``blocks``, ``pos_drop`` and a last norm.
        kind (type): Required class of the backbone.
        data_preprocessor (dict, optional): Preprocessor. Defaults to None, MMAction2's without
            normalization.
        init_cfg (dict, optional): Weight initialization. Defaults to None.

    Raises:
        TypeError: If the backbone is of another class.
    """

    decoder: Decoder
    encoder_to_decoder: nn.Linear
    mask_token: nn.Parameter

    def __init__(self, *, backbone: dict, kind: type, data_preprocessor: OptConfigType = None,
                 init_cfg: OptConfigType = None) -> None:
        # mmengine's own would leave the samples of a batch in a list
        super().__init__(data_preprocessor=data_preprocessor or PREPROCESSOR, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        if not isinstance(self.backbone, kind):
            raise TypeError(f'backbone must be a {kind.__name__}, but got a '
                            f'{type(self.backbone).__name__}')

    def init_weights(self) -> None:
        """Xavier-uniform linear layers, the mask token from a normal distribution."""
        super().init_weights()
        for module in (*self.decoder.modules(), self.encoder_to_decoder):
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.mask_token, std=.02)

    def draw_mask(self, inputs: Tensor) -> Tensor:
        """``(B, N)`` bool of one view per sample, True = hidden, M in each."""
        raise NotImplementedError

    def embed(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens with positions ``(B, N, C)``, and the decoder's positions ``(1, N, D)``."""
        raise NotImplementedError

    def target(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Values ``(B, M, P)`` that :meth:`reconstruct` should predict."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'loss') -> Any:
        """Draw a mask for ``(B, views, ...)`` inputs and run the model.

        Returns:
            dict or tuple: ``loss``; or with the mode ``'tensor'`` the predicted values of the
            hidden tokens ``(B, M, P)`` and the mask ``(B, N)``, where B counts views.
        """
        inputs = inputs.flatten(0, 1)
        mask = self.draw_mask(inputs).to(inputs.device)
        if mode == 'loss':
            return dict(loss=self.forward_loss(inputs, mask))
        if mode == 'tensor':
            return self.reconstruct(inputs, mask), mask
        raise ValueError(f"mode must be 'loss' or 'tensor', but got {mode!r}: masked pretraining "
                         'has nothing to validate or test')

    def reconstruct(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Predict the targets ``(B, M, P)`` of the hidden tokens, in the order of the tokens.

        Arguments as for :meth:`forward_loss`. Samples with different numbers of hidden tokens are a
        ``ValueError``.
        """
        hidden_count, batch, backbone = num_hidden(mask), len(mask), self.backbone
        tokens, positions = self.embed(inputs)
        # (B, N, C) -> (B, N - M, C)
        state = TokenState.start(backbone.pos_drop(tokens[~mask].view(batch, -1, tokens.shape[2])))
        for block in backbone.blocks:
            state = block(state)
        # with mean pooling a ViT's last norm has the name fc_norm
        norm = getattr(backbone, 'fc_norm', None) or backbone.norm
        visible = self.encoder_to_decoder(norm(state.x))  # (B, N - M, D)
        positions = positions.expand(batch, -1, -1).to(visible.dtype)
        hidden = self.mask_token + positions[mask].view(batch, hidden_count, -1)
        visible = visible + positions[~mask].view(visible.shape)
        # the order does not matter to attention: positions are in the tokens already
        return self.decoder(torch.cat([visible, hidden], dim=1), hidden_count)

    def forward_loss(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Mean squared error of the hidden tokens' targets.

        Args:
            inputs (Tensor): Normalized frames ``(B, 3, T, H, W)``, or skeletons.
            mask (Tensor): ``(B, N)`` bool, True = hidden, M in each sample.
        """
        with torch.no_grad():
            target = self.target(inputs, mask)
        # in float32 under autocast, too: half precision rounds small errors away
        return nn.functional.mse_loss(self.reconstruct(inputs, mask).to(target.dtype), target)


def num_hidden(mask: Tensor) -> int:
    """M, the same in each sample of ``(B, N)``."""
    counts = mask.sum(dim=1).tolist()
    if len(set(counts)) != 1:
        raise ValueError('all samples must have the same number of hidden tokens, but got '
                         f'{counts}')
    return int(counts[0])
