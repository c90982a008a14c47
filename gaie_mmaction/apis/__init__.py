"""What tools and notebooks call: build, load, recognize, extract features."""
from .features import clip_features, extract_features
from .footage import ImageFolder, find_footage, open_footage, record_webcam
from .model import (
    ClassNames,
    build_recognizer,
    find_class_names,
    load_config,
    load_recognizer,
    load_weights,
    view_shape,
)
from .recognition import Clip, ClipPipeline, ClipRecognizer, Window, find_clip, read_test_clips
from .video import (
    Segment,
    VideoResult,
    frame_scores,
    merge_segments,
    recognize_video,
    window_ranges,
)
from .video_detector import VideoDetector

__all__ = [
    'ClassNames', 'Clip', 'ClipPipeline', 'ClipRecognizer', 'ImageFolder', 'Segment',
    'VideoDetector', 'VideoResult', 'Window', 'build_recognizer', 'clip_features',
    'extract_features', 'find_class_names', 'find_clip', 'find_footage', 'frame_scores',
    'load_config', 'load_recognizer', 'load_weights', 'merge_segments', 'open_footage',
    'read_test_clips', 'recognize_video', 'record_webcam', 'view_shape', 'window_ranges'
]
