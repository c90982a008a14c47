"""The method's arithmetic; imports torch alone."""
from .attention import attention_with_importance
from .token_merging import (
                            gather_tokens,
                            match_tokens,
                            merge_sizes,
                            merge_source,
                            merge_tokens,
                            num_kept,
                            select_tokens,
)

__all__ = [
    'attention_with_importance', 'gather_tokens', 'match_tokens', 'merge_sizes', 'merge_source',
    'merge_tokens', 'num_kept', 'select_tokens'
]
