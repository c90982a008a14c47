"""Backbones."""
from .gaie_vit import GAIEVisionTransformer

__all__ = ['GAIEVisionTransformer']
