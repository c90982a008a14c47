"""A recognizer as one graph of tensors.

The graph holds the normalisation, the backbone and the head. Numbers of tokens follow from the
input's size alone, so all shapes are fixed and nothing is approximated.

Letters: B batch, N tokens, K kept tokens, C channels.
"""
import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from mmaction.models import Recognizer3D
from torch import Tensor, nn

from ..models.backbones import gaie_vit
from ..models.necks import TokenState, gaie_neck
from ..ops import attention_with_importance, gather_tokens
from ..ops.precision import at_least_float32


class TraceableRecognizer(nn.Module):
    """What is exported: pixels in, scores and kept tokens out.

    Args:
        model (nn.Module): A ``Recognizer3D`` in evaluation mode.
        dtype (torch.dtype): ``float32``, or what autocast computes in. Defaults to ``float32``.

    Raises:
        TypeError: If it is another kind of recognizer.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.dtype = dtype
        if not isinstance(model, Recognizer3D):
            raise TypeError('only a Recognizer3D of clips (B, 3, T, H, W) can be exported, but '
                            f'got a {type(model).__name__}')
        self.backbone = model.backbone
        self.cls_head = model.cls_head
        preprocessor = model.data_preprocessor
        self.register_buffer('mean', preprocessor.mean.view(-1, 1, 1, 1))
        self.register_buffer('std', preprocessor.std.view(-1, 1, 1, 1))

    @property
    def output_names(self) -> tuple[str, ...]:
        """tuple[str]: ``scores``, then ``kept_1`` and so on, one for each merge."""
        merges = getattr(self.backbone, 'merge_layers', ())
        return ('scores', *(f'kept_{k + 1}' for k in range(len(merges))))

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Run it.

        Args:
            frames (Tensor): ``(B, 3, T, H, W)`` float32, RGB, in [0, 255].

        Returns:
            tuple[Tensor]: Scores ``(B, classes)`` before the softmax, and of each merge the
            original places ``(B, K)`` int64, ascending, of the tokens that were kept.
        """
        with torch.autocast(frames.device.type, self.dtype, self.dtype != torch.float32):
            scores, *kept = self._run((frames - self.mean) / self.std)
        return (scores.float(), *kept)

    def _run(self, x: Tensor) -> tuple[Tensor, ...]:
        if not hasattr(self.backbone, 'forward_tokens'):
            return (self.cls_head(self.backbone(x)), )
        history: list[TokenState] = []
        state = self.backbone.forward_tokens(x, history)
        features = self.backbone.pool(self.backbone.norm(state.x), state)
        return (self.cls_head(features), *(after.position for after in history[1::2]))


@torch.no_grad()
def trace(model: nn.Module, shape: Sequence[int],
          dtype: torch.dtype = torch.float32) -> torch.export.ExportedProgram:
    """Trace a recognizer by ``torch.export``.

    Args:
        model (nn.Module): A ``Recognizer3D`` in evaluation mode, on the CPU.
        shape (Sequence[int]): Of the input, ``(B, 3, T, H, W)``; it is fixed by this.
        dtype (torch.dtype): ``float32``, or what autocast computes in. Defaults to ``float32``.

    Returns:
        ExportedProgram: Of :class:`TraceableRecognizer`.
    """
    graph, frames = TraceableRecognizer(model, dtype).eval(), torch.zeros(tuple(shape))
    graph(frames)  # VideoSwin keeps masks of its first run: not those of the tracer
    with _traceable_ops():
        return torch.export.export(graph, (frames, ))


@contextmanager
def _traceable_ops() -> Iterator[None]:
    """Put forms of the method's operators that have a counterpart in ONNX into its modules.

    The fast ones are blockwise, or use operators that ONNX lacks.
    """
    eager = functools.partial(attention_with_importance, backend='eager')
    swaps = [(gaie_vit, 'attention_with_importance', eager),
             (gaie_neck, 'select_tokens', select_tokens),
             (gaie_neck, 'merge_tokens', merge_tokens)]
    originals = [getattr(module, name) for module, name, _ in swaps]
    try:
        for module, name, function in swaps:
            setattr(module, name, function)
        yield
    finally:
        for (module, name, _), original in zip(swaps, originals):
            setattr(module, name, original)


def select_tokens(importance: Tensor, num_keep: int) -> tuple[Tensor, Tensor]:
    """As :func:`gaie_mmaction.ops.select_tokens`, by one stable sort."""
    order = importance.argsort(dim=1, descending=True, stable=True)
    return order[:, :num_keep].sort(dim=1).values, order[:, num_keep:].sort(dim=1).values


def merge_tokens(x: Tensor, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor) -> Tensor:
    """As :func:`gaie_mmaction.ops.merge_tokens`, by ``scatter_add``: ONNX scatters no means."""
    kept = gather_tokens(x, keep_idx).to(at_least_float32(x.dtype))  # (B, K, C)
    background = gather_tokens(x, merge_idx).to(kept.dtype)  # (B, N - K, C)
    total = kept.scatter_add(1, dst.unsqueeze(-1).expand_as(background), background)
    count = torch.ones_like(kept[..., 0]).scatter_add(1, dst, torch.ones_like(background[..., 0]))
    return (total / count.unsqueeze(-1)).to(x.dtype)
