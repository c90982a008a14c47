"""Pictures of what a token reducer does."""
from .annotated_video import AnnotatedVideo, write_annotated_video
from .heat_maps import draw_heat_maps, grad_cam
from .image_grid import figure_to_image
from .overlay import paint_importance, paint_tokens
from .token_map import TokenMap, record_tokens
from .token_picture import draw_token_map
from .video_writer import VideoWriter

__all__ = [
    'AnnotatedVideo', 'TokenMap', 'VideoWriter', 'draw_heat_maps', 'draw_token_map',
    'figure_to_image', 'grad_cam', 'paint_importance', 'paint_tokens', 'record_tokens',
    'write_annotated_video'
]
