"""Backbones, token reducers inside them, recognizers of frames and skeletons, detectors, losses."""
from .backbones import *  # noqa: F401,F403
from .localizers import *  # noqa: F401,F403
from .losses import *  # noqa: F401,F403
from .multimodal import *  # noqa: F401,F403
from .necks import *  # noqa: F401,F403
from .pretraining import *  # noqa: F401,F403
