"""One page for the results of score dumps."""
from .previews import make_previews
from .results import Results, read_results
from .results_page import write_page
from .token_previews import make_token_previews

__all__ = ['Results', 'make_token_previews', 'make_previews', 'read_results', 'write_page']
