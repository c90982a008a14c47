"""Backbones."""
from .cross_modal_rgbpose import CrossModalRGBPoseConv3D
from .gaie_vit import GAIEVisionTransformer
from .vivit import ViViT

__all__ = ['CrossModalRGBPoseConv3D', 'GAIEVisionTransformer', 'ViViT']
