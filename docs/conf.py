"""Sphinx: Markdown pages, and the reference from the docstrings."""
import gaie_mmaction

project = 'gaie_mmaction'
release = gaie_mmaction.__version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
html_theme = 'alabaster'
myst_heading_anchors = 3  # pages link to each other's sections

# a method without a docstring must not show its host's, which may be no valid markup
autodoc_inherit_docstrings = False
autodoc_member_order = 'bysource'
# attributes that also have a comment of their own would appear twice
napoleon_use_ivar = True
