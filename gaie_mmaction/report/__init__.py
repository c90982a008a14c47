"""One page for the results of score dumps."""
from .page import write_page
from .previews import make_previews
from .results import Results, read_results

__all__ = ['Results', 'make_previews', 'read_results', 'write_page']
