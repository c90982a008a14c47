"""Token reducers, used inside the backbones."""
from .diffrate_neck import DiffRateNeck
from .drop_necks import KeepFirstNeck, RandomDropNeck, UniformDropNeck
from .evit_neck import EViTNeck
from .gaie_neck import GAIENeck
from .prune_neck import PruneNeck
from .representation_shift_neck import RepresentationShiftNeck
from .sta_neck import STANeck
from .token_reducer import TokenReducer, TokenState
from .tome_neck import ToMeNeck
from .vidtldr_neck import VidTLDRNeck

__all__ = [
    'DiffRateNeck', 'EViTNeck', 'GAIENeck', 'KeepFirstNeck', 'PruneNeck', 'RandomDropNeck',
    'RepresentationShiftNeck', 'STANeck', 'ToMeNeck', 'TokenReducer', 'TokenState',
    'UniformDropNeck', 'VidTLDRNeck'
]
