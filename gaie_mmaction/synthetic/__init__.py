"""The synthetic dataset: a drawn release in the challenge's own form."""
