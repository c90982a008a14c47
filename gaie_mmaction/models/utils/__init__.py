"""Weights and positions of the vision transformers."""
