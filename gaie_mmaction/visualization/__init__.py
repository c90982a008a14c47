"""Pictures of what a token reducer does."""
from .annotated_video import AnnotatedVideo, write_annotated_video
from .overlay import paint_importance, paint_tokens, paint_window
from .pictures import draw_heat_maps, draw_token_map, figure_to_image, grad_cam
from .token_map import TokenMap, record_tokens
from .video_writer import VideoWriter

__all__ = [
    'AnnotatedVideo', 'TokenMap', 'VideoWriter', 'draw_heat_maps', 'draw_token_map',
    'figure_to_image', 'grad_cam', 'paint_importance', 'paint_tokens', 'paint_window',
    'record_tokens', 'write_annotated_video'
]
