"""Pictures of what a token reducer does."""
from .token_map import draw_token_map, kept_masks, spread_importance

__all__ = ['draw_token_map', 'kept_masks', 'spread_importance']
