"""Backbones."""
from .cross_modal_rgbpose import CrossModalRGBPoseConv3D
from .feat_map_vit import FeatMapVisionTransformer
from .gaie_vit import GAIEVisionTransformer
from .vivit import ViViT

__all__ = ['CrossModalRGBPoseConv3D', 'FeatMapVisionTransformer', 'GAIEVisionTransformer', 'ViViT']
