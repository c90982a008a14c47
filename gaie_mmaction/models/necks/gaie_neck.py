"""Global-aware importance estimation: keep the attended tokens, merge the rest."""
from dataclasses import replace

from mmaction.registry import MODELS

from ...ops import distinctness, gather_tokens, match_tokens, select_tokens
from .token_reducer import IMPORTANCES, TokenReducer, TokenState, is_integer

METRICS = ('token', 'key')
SELECTIONS = ('importance', 'peaks')


@MODELS.register_module()
class GAIENeck(TokenReducer):
    """Merge every unimportant token into its most similar important one.

    The ``K = ceil(token_keep_ratio * N)`` tokens that all the others attend to most are kept.
    Each of the rest, the background, joins the kept token of highest cosine similarity, and each
    kept token becomes the plain mean of itself and what joined it (GAIE paper, section 3). There
    are no parameters.

    Args:
        token_keep_ratio (float): See :class:`TokenReducer`. Defaults to 0.7.
        metric (str): What the similarity compares: ``'token'``, the features as in the paper, or
            ``'key'``, the attention's keys averaged over heads. Defaults to ``'token'``.
        prop_attn (bool): See :class:`TokenReducer`. Defaults to False, as in the paper.
        importance (str): What ranks the tokens: ``'attention'``, what they receive from all
            others, as in the paper; ``'sharpness'`` of their own attention (vid-TLDR); or
            ``'shift'``, how much the previous block's MLP changed them (Representation Shift).
            Defaults to ``'attention'``.
        importance_queries (int, optional): Estimate ``'attention'`` from that many of the queries:
            cheaper where no kernel computes it exactly. Defaults to None, all of them.
        size_weighted (bool): Weigh tokens in the merge by how many original ones they stand for.
            Defaults to False, as in the paper.
        background_weight (float): What a merged token counts beside a kept one, in (0, 1], with
            ``size_weighted``. Its size in the result is lowered alike. Defaults to 1.
        selection (str): Which tokens are kept: ``'importance'``, the most important ones, as in
            the paper; or ``'peaks'``, those that no more important token resembles, by the metric
            (:func:`gaie_mmaction.ops.distinctness`). Defaults to ``'importance'``.

    Raises:
        ValueError: If metric, importance or selection is unknown, ``importance_queries`` is not a
            positive integer or without ``'attention'``, or ``background_weight`` is outside (0, 1]
            or without ``size_weighted``.
    """

    shown = ('token_keep_ratio', 'metric', 'prop_attn', 'importance', 'importance_queries',
             'size_weighted', 'background_weight', 'selection')

    def __init__(self,
                 token_keep_ratio: float = 0.7,
                 metric: str = 'token',
                 prop_attn: bool = False,
                 importance: str = 'attention',
                 importance_queries: int | None = None,
                 size_weighted: bool = False,
                 background_weight: float = 1.,
                 selection: str = 'importance') -> None:
        super().__init__(token_keep_ratio, prop_attn)
        if importance not in IMPORTANCES:
            raise ValueError(f'importance must be one of {IMPORTANCES}, but got {importance!r}')
        if selection not in SELECTIONS:
            raise ValueError(f'selection must be one of {SELECTIONS}, but got {selection!r}')
        if metric not in METRICS:
            raise ValueError(f'metric must be one of {METRICS}, but got {metric!r}')
        if importance_queries is not None and (
                not is_integer(importance_queries) or importance_queries < 1):
            raise ValueError('importance_queries must be an integer of at least 1, but got '
                             f'{importance_queries!r}')
        if importance_queries is not None and importance != 'attention':
            raise ValueError("importance_queries needs importance='attention', but got "
                             f'{importance!r}')
        if not 0 < background_weight <= 1 or (background_weight != 1 and not size_weighted):
            raise ValueError('background_weight must be in (0, 1], and 1 without size_weighted, '
                             f'but got {background_weight}')
        self.metric = metric
        self.importance = importance
        self.selection = selection
        self.size_weighted = size_weighted
        self.background_weight = background_weight
        self.importance_queries = importance_queries
        self.needs_keys = metric == 'key'

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens to ``K = ceil(token_keep_ratio * N)``, in their space-time order."""
        assert state.importance is not None
        num_keep = self.num_left(state.num_tokens, state.step)
        metric = state.x if state.keys is None else state.keys
        score = (state.importance if self.selection == 'importance' else
                 distinctness(metric, state.importance))
        keep_idx, merge_idx = select_tokens(score, num_keep)
        dst = match_tokens(metric, keep_idx, merge_idx)
        if not self.size_weighted:
            # the paper's mean counts a token once, however many it already stands for
            return state.merge(keep_idx, merge_idx, dst)
        if self.background_weight != 1:
            lowered = self.background_weight * gather_tokens(state.size, merge_idx)
            state = replace(state, size=state.size.scatter(1, merge_idx, lowered))
        return state.merge(keep_idx, merge_idx, dst, weight=state.size)
