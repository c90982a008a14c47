"""Does an exported recognizer say what PyTorch says?"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True)
class Comparison:
    """Outputs of an exported recognizer beside PyTorch's.

    Attributes:
        max_error (float): Largest absolute difference of a score, before the softmax.
        scale (float): Largest absolute score of PyTorch's.
        same_top1 (bool): Whether the best class is the same in each clip.
        kept_agreement (tuple[float]): Of each merge, the share of the kept tokens that are kept
            by both, in [0, 1].
    """
    max_error: float
    scale: float
    same_top1: bool
    kept_agreement: tuple[float, ...]

    def within(self, tolerance: float) -> bool:
        """Whether the scores differ by no more, and the kept tokens are the same."""
        return self.max_error <= tolerance and all(
            share == 1 for share in self.kept_agreement)


def compare(expected: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> Comparison:
    """Compare outputs.

    Args:
        expected (Sequence[np.ndarray]): Scores ``(B, classes)``, then kept places ``(B, K)``
            of each merge.
        found (Sequence[np.ndarray]): The same of the exported recognizer.

    Returns:
        Comparison: How they differ; a difference of nan is infinite.
    """
    error = np.abs(expected[0].astype(np.float64) - found[0]).max()
    shares = [float(np.mean([np.isin(row, other).mean() for row, other in zip(one, two)]))
              for one, two in zip(expected[1:], found[1:], strict=True)]
    return Comparison(
        max_error=float('inf') if np.isnan(error) else float(error),
        scale=float(np.abs(expected[0]).max()),
        same_top1=bool((expected[0].argmax(1) == found[0].argmax(1)).all()),
        kept_agreement=tuple(shares))


def sample_frames(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Smooth invented frames: neighbouring pixels and frames are alike, as in a video.

    Args:
        shape (Sequence[int]): ``(B, 3, T, H, W)``.
        seed (int): Of the random numbers. Defaults to 0.

    Returns:
        np.ndarray: ``shape``, float32, whole numbers in [0, 255].
    """
    noise = np.random.default_rng(seed).normal(size=tuple(shape)).astype(np.float32)
    smooth = gaussian_filter(noise, sigma=(0, 0, 1, 6, 6)) + .3 * gaussian_filter(
        noise[:, ::-1], sigma=(0, 0, 1, 1.5, 1.5))
    low, high = np.percentile(smooth, (1, 99))
    return (255 * (smooth - low) / (high - low)).clip(0, 255).round().astype(np.float32)


@torch.no_grad()
def reference_outputs(model: torch.nn.Module, frames: np.ndarray) -> tuple[np.ndarray, ...]:
    """Outputs of the recognizer itself, by the operators that it tests with.

    Args:
        model (nn.Module): A ``Recognizer3D`` in evaluation mode, on the CPU.
        frames (np.ndarray): ``(B, 3, T, H, W)`` float32.

    Returns:
        tuple[np.ndarray]: As of :class:`TraceableRecognizer`.
    """
    from .traceable import TraceableRecognizer
    return tuple(out.numpy() for out in TraceableRecognizer(model).eval()(torch.from_numpy(frames)))
