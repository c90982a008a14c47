"""What every token reducer takes and gives.

A reducer sits inside a backbone's block, between the attention and the MLP. To
add one, subclass :class:`TokenReducer`, register it in ``MODELS`` and name it in
a config: ``backbone=dict(neck=dict(type='MyNeck', ...))``.

Letters: B batch, N present tokens, N0 original tokens, C channels, d channels of a head.
"""
from abc import ABCMeta, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TypeVar

import torch
from mmengine.model import BaseModule
from torch import Tensor

from ...ops.token_merging import exact_ratio, round_up

T = TypeVar('T')


def given(value: T | None) -> T:
    """A value that a reducer works with, and that not every state or reducer has.

    Raises:
        TypeError: If it is None.
    """
    if value is None:
        raise TypeError('the reducer lacks what it works with: token_keep_ratio, or what the '
                        'backbone gives it, importance if needs_importance is True, keys if '
                        'needs_keys is, and sizes by attach()')
    return value


def is_integer(value: object) -> bool:
    """Whether a value is an integer of Python or NumPy; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a value is a real number of Python or NumPy; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


@dataclass(frozen=True)
class TokenState:
    """The tokens of a batch and where they come from.

    Attributes:
        x (Tensor): ``(B, N, C)`` features (the residual stream).
        size (Tensor): ``(B, N)`` float32, how many original tokens each one
            stands for. A reducer that only merges keeps the sum N0; one that
            drops tokens or weighs them lowers it.
        source (Tensor): ``(B, N0)`` int64, the present token, in [0, N), that
            holds each original token, or -1 if it was dropped.
        position (Tensor): ``(B, N)`` int64, the original token, in [0, N0),
            whose place each present token has, or -1 for one without a place,
            such as the fusion of many.
        importance (Tensor, optional): ``(B, N)`` float32, non-negative, higher =
            keep: what the reducer asks for by ``importance_type``. Only where the
            reducer needs it.
        keys (Tensor, optional): ``(B, N, d)``, the attention's keys, mean over
            heads. Only where the reducer needs them.
        mask (Tensor, optional): ``(B, N)`` of zeros and ones, for a reducer that
            hides tokens in training instead of removing them. Hidden tokens (0)
            take no part in attention and in the final mean; gradients flow to the
            mask. None where all tokens are there.
        step (int): Reductions so far, counted by the block: which of its blocks
            a reducer is in.
    """
    x: Tensor
    size: Tensor
    source: Tensor
    position: Tensor
    importance: Tensor | None = None
    keys: Tensor | None = None
    mask: Tensor | None = None
    step: int = 0

    @classmethod
    def start(cls, x: Tensor) -> 'TokenState':
        """State before the first block: each of the ``(B, N0, C)`` tokens is itself."""
        batch, num_tokens, _ = x.shape
        index = torch.arange(num_tokens, device=x.device).expand(batch, -1)
        size = torch.ones(batch, num_tokens, device=x.device)
        return cls(x=x, size=size, source=index, position=index)


@dataclass(frozen=True)
class BackboneLayout:
    """What a reducer may need to know of the backbone that it is built into.

    Attributes:
        num_tokens (int): N0, for the input that the position table is made for.
        merge_layers (tuple[int]): 0-based blocks with the reducer, ascending.
        depth (int): Number of blocks.
        embed_dims (int): C.
        hidden_dims (int): Channels inside the MLP.
        patch_values (int): Input values of one tubelet.
    """
    num_tokens: int
    merge_layers: tuple[int, ...]
    depth: int
    embed_dims: int
    hidden_dims: int
    patch_values: int


def _refuse_recognizer(reducer: 'TokenReducer', args: tuple, kwargs: dict) -> None:
    if kwargs:  # a recognizer calls its neck with ``data_samples``, which no reducer takes
        reducer.check_state(args[0])


class TokenReducer(BaseModule, metaclass=ABCMeta):
    """Base of all token reducers.

    Args:
        token_keep_ratio (float, optional): Share of the tokens that stay, in
            (0, 1]; None if the reducer has another measure.
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
    #: ``'column_mean'``: how much all tokens attend to a token; ``'sharpness'``: how far a
    #: token's own attention, mean over heads, is from uniform (log N minus its entropy)
    importance_type = 'column_mean'
    #: whether original tokens can be lost (``source`` -1)
    drops_tokens = False
    #: whether tokens are hidden in training (``TokenState.mask``)
    masks_in_training = False

    def __init__(self, token_keep_ratio: float | None, prop_attn: bool = False) -> None:
        super().__init__()
        self.register_forward_pre_hook(_refuse_recognizer, with_kwargs=True)
        self._token_keep_ratio: float | None = None
        self._exact_ratio: tuple[int, int] | None = None
        if token_keep_ratio is not None:
            self.token_keep_ratio = token_keep_ratio
        self.prop_attn = prop_attn
        #: whether the backbone's final mean weighs tokens by size
        self.weighted_mean = prop_attn

    @property
    def token_keep_ratio(self) -> float | None:
        """float: Share of the tokens that stay, in (0, 1]; may change during training."""
        return self._token_keep_ratio

    @token_keep_ratio.setter
    def token_keep_ratio(self, value: float) -> None:
        if not is_number(value):
            raise TypeError(f'token_keep_ratio must be a number in (0, 1], but got {value!r}')
        if not 0 < value <= 1:
            raise ValueError(f'token_keep_ratio must be in (0, 1], but got {value}')
        self._token_keep_ratio = float(value)
        self._exact_ratio = exact_ratio(value)  # not in forward: no compiler follows fractions

    def attach(self, layout: BackboneLayout) -> None:
        """Meet the backbone; it calls this once, when it is built.

        Args:
            layout (BackboneLayout): Its sizes.

        Raises:
            ValueError: If the reducer's numbers do not fit them.
        """
        num_tokens = layout.num_tokens
        for step in range(len(layout.merge_layers)):
            num_tokens = self.num_left(num_tokens, step)

    def num_left(self, num_tokens: int, step: int) -> int:
        """Number of tokens that a reduction leaves.

        Args:
            num_tokens (int): N.
            step (int): Reductions before this one.

        Returns:
            int: In [1, N].

        Raises:
            ValueError: If that many cannot be reached.
        """
        return round_up(num_tokens, given(self._exact_ratio))

    def check_state(self, state: TokenState) -> None:
        """Refuse anything but a state.

        Raises:
            TypeError: If a bare tensor is given, as a recognizer's own neck would be.
        """
        if not isinstance(state, TokenState):
            raise TypeError(f'{type(self).__name__} reduces the tokens inside a backbone: put it '
                            'in model.backbone.neck instead of model.neck, with '
                            "model.backbone.type='GAIEVisionTransformer' "
                            f'(it got a {type(state).__name__})')

    @abstractmethod
    def forward(self, state: TokenState) -> TokenState:
        """Reduce the tokens.

        Args:
            state (TokenState): N tokens.

        Returns:
            TokenState: K <= N tokens, with ``size``, ``source`` and ``position``
            brought up to date and without ``importance`` and ``keys``.
        """
