"""Backbones."""
from .feat_map_vit import FeatMapVisionTransformer
from .gaie_vit import GAIEVisionTransformer
from .skeleton_transformer import SkeletonTransformer
from .vivit import ViViT

__all__ = ['FeatMapVisionTransformer', 'GAIEVisionTransformer', 'SkeletonTransformer', 'ViViT']
