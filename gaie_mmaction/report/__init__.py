"""Pages that open from disk: results of score dumps, a prepared release, and trainings."""
from .previews import make_previews
from .results import Results, read_results
from .results_page import write_page
from .token_previews import make_token_previews
from .training_page import Run, read_runs, write_training_page

__all__ = ['Results', 'Run', 'make_previews', 'make_token_previews', 'read_results', 'read_runs',
           'write_page', 'write_training_page']
