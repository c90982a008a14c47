"""Recognizers in formats that run without MMAction2."""
from .formats import FORMATS, ExportError, check_available, output_files, write_formats
from .traceable import TraceableRecognizer, reference_outputs, trace
from .verification import Comparison, compare, sample_frames, time_files, verify_files

__all__ = [
    'FORMATS', 'Comparison', 'ExportError', 'TraceableRecognizer', 'check_available', 'compare',
    'output_files', 'reference_outputs', 'sample_frames', 'time_files', 'trace', 'verify_files',
    'write_formats'
]
