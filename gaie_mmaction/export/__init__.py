"""Recognizers in forms that run without MMAction2."""
from .formats import FORMATS, ExportError, check_available
from .traceable import TraceableRecognizer, trace
from .verification import Comparison, compare, sample_frames

__all__ = ['FORMATS', 'Comparison', 'ExportError', 'TraceableRecognizer', 'check_available',
           'compare', 'sample_frames', 'trace']
