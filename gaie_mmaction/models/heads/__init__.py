"""Classification heads."""
from .vclip_head import VCLIPHead

__all__ = ['VCLIPHead']
