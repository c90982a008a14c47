"""The method's arithmetic; imports torch alone."""
from .attention import attention_with_importance
from .bipartite_matching import match_bipartite
from .masking import motion_mask, tube_mask
from .token_merging import (
    distinctness,
    gather_tokens,
    match_tokens,
    merge_sizes,
    merge_tokens,
    num_kept,
    select_tokens,
)
from .token_provenance import new_index, unmerge_tokens, update_source
from .weighted_attention import weighted_attention

__all__ = [
    'attention_with_importance', 'distinctness', 'gather_tokens', 'match_bipartite',
    'match_tokens', 'merge_sizes', 'merge_tokens', 'motion_mask', 'new_index', 'num_kept',
    'select_tokens', 'tube_mask', 'unmerge_tokens', 'update_source', 'weighted_attention'
]
