"""Backbones."""
from .feat_map_vit import FeatMapVisionTransformer
from .gaie_vit import GAIEVisionTransformer
from .vivit import ViViT

__all__ = ['FeatMapVisionTransformer', 'GAIEVisionTransformer', 'ViViT']
