"""What every token reducer takes and gives.

A reducer sits inside a backbone's block, between the attention and the MLP. To
add one, subclass :class:`TokenReducer`, register it in ``MODELS`` and name it in
a config: ``backbone=dict(neck=dict(type='MyNeck', ...))``.

Letters: B batch, N present tokens, N0 original tokens, C channels, d channels of a head.
"""
from abc import ABCMeta, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Optional

import torch
from mmengine.model import BaseModule
from torch import Tensor


@dataclass(frozen=True)
class TokenState:
    """The tokens of a batch and where they come from.

    Attributes:
        x (Tensor): ``(B, N, C)`` features (the residual stream).
        size (Tensor): ``(B, N)`` float32, how many original tokens each one
            stands for. A reducer that only merges keeps the sum N0.
        source (Tensor): ``(B, N0)`` int64, the present token, in [0, N), that
            holds each original token.
        position (Tensor): ``(B, N)`` int64, the original token, in [0, N0),
            whose place each present token has.
        importance (Tensor, optional): ``(B, N)`` float32, the column mean of the
            attention just made, higher = keep. Only where the reducer needs it.
        keys (Tensor, optional): ``(B, N, d)``, the attention's keys, mean over
            heads. Only where the reducer needs them.
    """
    x: Tensor
    size: Tensor
    source: Tensor
    position: Tensor
    importance: Optional[Tensor] = None
    keys: Optional[Tensor] = None

    @classmethod
    def start(cls, x: Tensor) -> 'TokenState':
        """State before the first block: each of the ``(B, N0, C)`` tokens is itself."""
        batch, num_tokens, _ = x.shape
        index = torch.arange(num_tokens, device=x.device).expand(batch, -1)
        size = torch.ones(batch, num_tokens, device=x.device)
        return cls(x=x, size=size, source=index, position=index)


class TokenReducer(BaseModule, metaclass=ABCMeta):
    """Base of all token reducers.

    Args:
        token_keep_ratio (float): Share of the tokens that stay, in (0, 1].
        prop_attn (bool): Whether later attention adds the log of the token sizes
            to its logits, and the backbone's final mean weighs tokens by size.
            Defaults to False.

    Raises:
        TypeError: If ``token_keep_ratio`` is not a number.
        ValueError: If it is outside (0, 1].
    """

    #: whether ``TokenState.importance`` and ``TokenState.keys`` must be filled
    needs_importance = False
    needs_keys = False

    def __init__(self, token_keep_ratio: float, prop_attn: bool = False) -> None:
        super().__init__()
        self.token_keep_ratio = token_keep_ratio
        self.prop_attn = prop_attn

    @property
    def token_keep_ratio(self) -> float:
        """float: Share of the tokens that stay, in (0, 1]; may change during training."""
        return self._token_keep_ratio

    @token_keep_ratio.setter
    def token_keep_ratio(self, value: float) -> None:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f'token_keep_ratio must be a number in (0, 1], but got {value!r}')
        if not 0 < value <= 1:
            raise ValueError(f'token_keep_ratio must be in (0, 1], but got {value}')
        self._token_keep_ratio = float(value)

    @abstractmethod
    def forward(self, state: TokenState) -> TokenState:
        """Reduce the tokens.

        Args:
            state (TokenState): N tokens.

        Returns:
            TokenState: K <= N tokens, with ``size``, ``source`` and ``position``
            brought up to date and without ``importance`` and ``keys``.
        """
