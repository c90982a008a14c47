"""Token reducers, used inside the backbones."""
from .gaie_neck import GAIENeck
from .token_reducer import TokenReducer, TokenState

__all__ = ['GAIENeck', 'TokenReducer', 'TokenState']
