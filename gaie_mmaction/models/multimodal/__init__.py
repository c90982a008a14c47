"""The RGB + skeleton networks that the GAIE paper compares with."""
from .cross_modal_rgbpose import CrossModalRGBPoseConv3D
from .m2hen import M2HEN
from .proto_gesture import ProtoGesture, PrototypeRefinement
from .vclip import VCLIP, VCLIPHead

__all__ = ['CrossModalRGBPoseConv3D', 'M2HEN', 'ProtoGesture', 'PrototypeRefinement', 'VCLIP',
           'VCLIPHead']
