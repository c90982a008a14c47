"""Losses."""
from .prototype_refinement import PrototypeRefinement

__all__ = ['PrototypeRefinement']
