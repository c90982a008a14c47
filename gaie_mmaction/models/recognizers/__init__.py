"""Networks of frames and skeletons."""
from .proto_gesture import ProtoGesture

__all__ = ['ProtoGesture']
