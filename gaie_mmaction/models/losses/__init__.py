"""Losses of recognizers' heads."""
from .grouped_cross_entropy import GroupedCrossEntropyLoss

__all__ = ['GroupedCrossEntropyLoss']
