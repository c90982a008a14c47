"""The interface of all token reducers.

A reducer sits inside the backbone's blocks, between the attention and the MLP. To add one,
subclass :class:`TokenReducer`, register it in ``MODELS`` and name it in a config:
``backbone=dict(neck=dict(type='MyNeck', ...))``.

Shapes: B batch, N present tokens, N0 original tokens, K kept tokens, C channels, h heads,
d channels per head.
"""
from abc import ABCMeta, abstractmethod
from dataclasses import dataclass, replace
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ...ops import (
    attention_with_importance,
    gather_tokens,
    merge_sizes,
    merge_tokens,
    new_index,
    num_kept,
    update_source,
    weighted_attention,
)

# how much all tokens attend to a token; how sharp its own attention is (vid-TLDR, section 3); how
# much the MLP of the previous block changed it (Representation Shift)
IMPORTANCES = ('attention', 'sharpness', 'shift')


def is_number(value: object) -> bool:
    """Whether a value is a real number of Python or NumPy, not a bool."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_integer(value: object) -> bool:
    """Whether a value is an integer of Python or NumPy, not a bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)


@dataclass(frozen=True)
class TokenState:
    """The tokens of a batch and where they come from.

    Attributes:
        x (Tensor): ``(B, N, C)`` features (the residual stream).
        size (Tensor): ``(B, N)`` float32, how many original tokens each one stands for. Sums to
            N0 unless a reducer drops or weighs tokens.
        source (Tensor): ``(B, N0)`` int64, the present token, in [0, N), that holds each
            original token, or -1 if it was dropped.
        position (Tensor): ``(B, N)`` int64, the original token, in [0, N0), at whose place each
            present token is, or -1 for one without a place, such as EViT's fused token.
        importance (Tensor, optional): ``(B, N)`` float32, higher = keep; set as
            ``TokenReducer.importance`` tells.
        keys (Tensor, optional): ``(B, N, d)``, the attention's keys averaged over heads; set if
            ``needs_keys``.
        step (int): Number of earlier reductions.
    """
    x: Tensor
    size: Tensor
    source: Tensor
    position: Tensor
    importance: Tensor | None = None
    keys: Tensor | None = None
    step: int = 0

    @classmethod
    def start(cls, x: Tensor) -> 'TokenState':
        """State before the first block, of ``(B, N0, C)`` tokens."""
        batch, num_tokens, _ = x.shape
        index = torch.arange(num_tokens, device=x.device).expand(batch, -1)
        size = torch.ones(batch, num_tokens, device=x.device)
        return cls(x=x, size=size, source=index, position=index)

    @property
    def num_tokens(self) -> int:
        """int: N, a plain integer also while the model is traced."""
        return int(self.x.shape[1])

    def merge(self, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor,
              weight: Tensor | None = None) -> 'TokenState':
        """State with tokens merged; arguments as in :func:`gaie_mmaction.ops.merge_tokens`."""
        index = new_index(keep_idx, self.num_tokens, merge_idx, dst)
        return replace(
            self,
            x=merge_tokens(self.x, keep_idx, merge_idx, dst, weight),
            size=merge_sizes(self.size, keep_idx, merge_idx, dst),
            source=update_source(self.source, index),
            position=gather_tokens(self.position, keep_idx),
            importance=None, keys=None)  # they are of the N tokens

    def keep(self, keep_idx: Tensor) -> 'TokenState':
        """State with all tokens dropped but ``keep_idx`` ``(B, K)``."""
        return replace(
            self,
            x=gather_tokens(self.x, keep_idx),
            size=gather_tokens(self.size, keep_idx),
            source=update_source(self.source, new_index(keep_idx, self.num_tokens)),
            position=gather_tokens(self.position, keep_idx),
            importance=None, keys=None)  # they are of the N tokens


def _refuse_other_input(reducer: 'TokenReducer', args: tuple, kwargs: dict) -> None:
    # A recognizer calls its neck as neck(features, data_samples=...): without a hook before the
    # call, Python's complaint about the keyword would hide what is wrong with the config.
    if not isinstance(args[0], TokenState):
        raise TypeError(f'{type(reducer).__name__} reduces the tokens inside a backbone: put it in '
                        'model.backbone.neck instead of model.neck, with '
                        "model.backbone.type='GAIEVisionTransformer' "
                        f'(it got a {type(args[0]).__name__})')


class TokenReducer(BaseModule, metaclass=ABCMeta):
    """Base class of all token reducers.

    Args:
        token_keep_ratio (float, optional): Share of the tokens that stay, in (0, 1]; 1 is the
            identity, None a reducer that is not set by a ratio.
        prop_attn (bool): Proportional attention: add the log of the token sizes to the logits of
            all later blocks, and weigh the backbone's final mean by size. Defaults to False.

    Raises:
        TypeError: If ``token_keep_ratio`` is not a number.
        ValueError: If it is outside (0, 1].
    """

    #: what ``TokenState.importance`` is, one of IMPORTANCES; None if it is not needed
    importance: str | None = None
    #: whether ``TokenState.keys`` is needed
    needs_keys = False
    #: number of queries that the importance is estimated from; None: all
    importance_queries: int | None = None
    #: whether original tokens can be lost (``source`` -1)
    drops_tokens = False
    #: attributes that a printed model shows
    shown: tuple[str, ...] = ('token_keep_ratio', 'prop_attn')

    def __init__(self, token_keep_ratio: float | None, prop_attn: bool = False) -> None:
        super().__init__()
        self.register_forward_pre_hook(_refuse_other_input, with_kwargs=True)
        if token_keep_ratio is not None:
            if not is_number(token_keep_ratio):
                raise TypeError('token_keep_ratio must be a number in (0, 1], but got '
                                f'{token_keep_ratio!r}')
            if not 0 < token_keep_ratio <= 1:
                raise ValueError(f'token_keep_ratio must be in (0, 1], but got {token_keep_ratio}')
        #: share of the tokens that stay; may change during training
        self.token_keep_ratio = token_keep_ratio
        self.prop_attn = prop_attn
        #: whether the backbone's final mean weighs tokens by size
        self.weighted_mean = prop_attn

    @property
    def needs_attention_score(self) -> bool:
        """bool: Whether the importance comes from the attention of the reducing blocks."""
        return self.importance in ('attention', 'sharpness')

    def setup(self, num_tokens: int, num_reductions: int) -> None:
        """Called once by the backbone when it is built, with N0 and the number of its reductions.

        N0 is for the input size of the position table. A ``ValueError`` if the reducer cannot
        reduce that many tokens that often.
        """
        # a dry run: a ratio or schedule that cannot work fails here, not in the first batch
        for step in range(num_reductions):
            num_tokens = self.num_left(num_tokens, step)

    def num_left(self, num_tokens: int, step: int) -> int:
        """Number of tokens, in [1, N], after a reduction of N; ``step`` earlier ones were made."""
        assert self.token_keep_ratio is not None, 'override num_left without a token_keep_ratio'
        return num_kept(num_tokens, self.token_keep_ratio)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, *, scale: float, dropout_p: float,
               state: TokenState, needs_importance: bool) -> tuple[Tensor, Tensor | None]:
        """Attention of every block of a backbone with this reducer.

        Of ``q``, ``k`` and ``v``, each ``(B, h, N, d)``, with ``scale`` as factor of the logits and
        ``dropout_p`` of the map. ``needs_importance`` if the reducer follows in this block and
        ranks by it.

        Returns:
            tuple: Output ``(B, h, N, d)``, and importance ``(B, N)`` or None.
        """
        # before the first reduction all sizes are 1; attention with a bias of zeros takes longer
        size = state.size if self.prop_attn and state.step else None
        bias = None if size is None else size.log().to(q.dtype)
        out = importance = None
        if needs_importance:
            # dropout is for the output alone: tokens are ranked by the whole map
            with torch.set_grad_enabled(torch.is_grad_enabled() and not dropout_p):
                if self.importance == 'sharpness':
                    # of the rows of the map, where the other importance is of its columns
                    out, importance = weighted_attention(
                        q, k, v, scale=scale, score='sharpness', size=size)
                else:
                    out, importance = attention_with_importance(
                        q, k, v, scale=scale, bias=bias,
                        importance_queries=self.importance_queries)
        if out is None or dropout_p:
            mask = None if bias is None else bias[:, None, None, :]
            out = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=dropout_p, scale=scale)
        return out, importance

    def mean_weight(self, state: TokenState) -> Tensor | None:
        """Weights ``(B, N)`` of the backbone's final mean; None for a plain mean."""
        return state.size if self.weighted_mean else None

    @abstractmethod
    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens to K.

        ``size``, ``source`` and ``position`` must be kept up to date; :meth:`TokenState.merge`
        and :meth:`TokenState.keep` do that.
        """

    def extra_repr(self) -> str:
        return ', '.join(f'{name}={getattr(self, name)!r}' for name in self.shown)
