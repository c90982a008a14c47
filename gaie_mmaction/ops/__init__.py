"""The method's arithmetic; imports torch alone."""
from .attention import attention_with_importance
from .bipartite_matching import match_bipartite, merge_weighted
from .token_merging import (
                            gather_tokens,
                            match_tokens,
                            merge_sizes,
                            merge_source,
                            merge_tokens,
                            num_kept,
                            select_tokens,
)
from .token_provenance import follow_source, place_of_kept, spread_tokens
from .weighted_attention import weighted_attention

__all__ = [
    'attention_with_importance', 'follow_source', 'gather_tokens', 'match_bipartite',
    'match_tokens', 'merge_sizes', 'merge_source', 'merge_tokens', 'merge_weighted', 'num_kept',
    'place_of_kept', 'select_tokens', 'spread_tokens', 'weighted_attention'
]
