"""Networks of frames and skeletons."""
from .m2hen import M2HEN
from .proto_gesture import ProtoGesture
from .vclip import VCLIP

__all__ = ['M2HEN', 'ProtoGesture', 'VCLIP']
