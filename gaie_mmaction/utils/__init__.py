"""Helpers that no part of the package owns."""
