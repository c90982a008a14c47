"""Recognising gestures in any footage."""
from .class_names import ClassNames, find_class_names
from .frame_source import ImageFolder, open_footage, record_webcam
from .recognition import ClipPipeline, Window, recognize, seen_frames
from .windows import Segment, frame_scores, merge_segments, window_ranges

__all__ = [
    'ClassNames', 'ClipPipeline', 'ImageFolder', 'Segment', 'Window', 'find_class_names',
    'frame_scores', 'merge_segments', 'open_footage', 'recognize', 'record_webcam', 'seen_frames',
    'window_ranges'
]
