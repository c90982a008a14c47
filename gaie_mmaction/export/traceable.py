"""A recognizer as one graph of tensors.

The graph holds the normalisation, the backbone and the head. Numbers of tokens follow from the
input's size alone, so all shapes are fixed and nothing is approximated.

Letters: B batch, N tokens, K kept tokens, C channels.
"""
from collections.abc import Sequence

import torch
from mmaction.models import Recognizer3D
from torch import Tensor, nn

from ..models.necks import TokenState


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
    return torch.export.export(graph, (frames, ), strict=False)
