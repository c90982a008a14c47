"""Pages that open from disk: of score dumps, and of a prepared release."""
from .previews import make_previews
from .results import Results, read_results
from .results_page import write_page

__all__ = ['Results', 'make_previews', 'read_results', 'write_page']
