"""Global-aware importance estimation: keep the attended tokens, merge the rest."""
from mmaction.registry import MODELS

from ...ops import (
    gather_tokens,
    match_tokens,
    merge_sizes,
    merge_source,
    merge_tokens,
    select_tokens,
)
from .token_reducer import TokenReducer, TokenState, given

METRICS = ('token', 'key')


@MODELS.register_module()
class GAIENeck(TokenReducer):
    """Merge every unimportant token into its most similar important one.

    The ``K = ceil(token_keep_ratio * N)`` tokens that all the others attend to
    most are kept. Each of the rest, the background, joins the kept token of
    highest cosine similarity, and each kept token becomes the plain mean of
    itself and what joined it (GAIE paper, section 3). There are no parameters.

    Args:
        token_keep_ratio (float): Share of the tokens that stay, in (0, 1]; 1 is
            the identity. Defaults to 0.7.
        metric (str): What the similarity compares: ``'token'``, the features (the
            paper's), or ``'key'``, the attention's keys averaged over heads.
            Defaults to ``'token'``.
        prop_attn (bool): Size-weighted attention in all later blocks (the log of
            the sizes is added to the logits) and a size-weighted final mean. The
            merge itself stays a plain mean. Defaults to False, as in the paper.

    Raises:
        TypeError: If ``token_keep_ratio`` is not a number, at building.
        ValueError: If it is outside (0, 1], or the metric is unknown.
    """

    needs_importance = True

    def __init__(self,
                 token_keep_ratio: float = 0.7,
                 metric: str = 'token',
                 prop_attn: bool = False) -> None:
        super().__init__(token_keep_ratio, prop_attn)
        if metric not in METRICS:
            raise ValueError(f'metric must be one of {METRICS}, but got {metric!r}')
        self.metric = metric
        self.needs_keys = metric == 'key'

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens to ``K = ceil(token_keep_ratio * N)``.

        Args:
            state (TokenState): With ``importance``, and ``keys`` if they are the metric.

        Returns:
            TokenState: K tokens in their original space-time order.

        Raises:
            TypeError: If a bare tensor is given, as a recognizer's own neck would be.
        """
        self.check_state(state)
        # int: while a model is traced, a shape holds tensors
        num_keep = self.num_left(int(state.x.shape[1]), state.step)
        keep_idx, merge_idx = select_tokens(given(state.importance), num_keep)
        metric = given(state.keys) if self.metric == 'key' else state.x
        merge = (keep_idx, merge_idx, match_tokens(metric, keep_idx, merge_idx))
        return TokenState(
            x=merge_tokens(state.x, *merge),
            size=merge_sizes(state.size, *merge),
            source=merge_source(state.source, *merge),
            position=gather_tokens(state.position, keep_idx))

    def extra_repr(self) -> str:
        return (f'token_keep_ratio={self.token_keep_ratio}, metric={self.metric!r}, '
                f'prop_attn={self.prop_attn}')
