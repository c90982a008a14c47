"""What the transforms share."""
from inspect import signature

from mmcv.transforms import BaseTransform


class ShownTransform(BaseTransform):
    """A transform that keeps its arguments under their names, and is printed with them."""

    def __repr__(self) -> str:
        shown = (f'{name}={getattr(self, name)!r}' for name in signature(type(self)).parameters)
        return f'{type(self).__name__}({", ".join(shown)})'
