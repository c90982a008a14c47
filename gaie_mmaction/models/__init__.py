"""Backbones, the token reducers inside them, and recognizers of frames and skeletons."""
from .backbones import *  # noqa: F401,F403
from .multimodal import *  # noqa: F401,F403
from .necks import *  # noqa: F401,F403
from .pretraining import *  # noqa: F401,F403
