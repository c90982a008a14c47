"""Backbones."""
from .gaie_vit import GAIEVisionTransformer
from .vivit import ViViT

__all__ = ['GAIEVisionTransformer', 'ViViT']
