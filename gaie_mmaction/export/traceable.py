"""A recognizer as one graph of tensors: normalisation, backbone and head.

The number of tokens depends on the input size alone, so all shapes are fixed and nothing is
approximated. The operators of :mod:`gaie_mmaction.ops` choose exportable forms themselves.

Shapes: B batch, K kept tokens.
"""
from collections.abc import Sequence

import numpy as np
import torch
from mmaction.models import Recognizer3D
from torch import Tensor, nn

from ..models.necks import RandomDropNeck, TokenState


class TraceableRecognizer(nn.Module):
    """What is exported of a ``Recognizer3D``: pixels in, scores and kept tokens out.

    ``dtype`` is ``float32``, or autocast's. Another kind of recognizer is a ``TypeError``.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.dtype = dtype
        if not isinstance(model, Recognizer3D):
            raise TypeError('only a Recognizer3D of clips (B, 3, T, H, W) can be exported, but '
                            f'got a {type(model).__name__}')
        if isinstance(getattr(model.backbone, 'neck', None), RandomDropNeck):
            raise TypeError('a RandomDropNeck draws the tokens of each clip anew, which no '
                            'exported file does')
        self.backbone = model.backbone
        self.cls_head = model.cls_head
        preprocessor = model.data_preprocessor
        self.to_rgb = preprocessor.to_rgb
        for name, default in (('mean', 0.), ('std', 1.)):  # heat maps have neither
            values = getattr(preprocessor, name, torch.tensor(default))
            self.register_buffer(name, values.view(-1, 1, 1, 1))

    @property
    def output_names(self) -> tuple[str, ...]:
        """``scores``, then ``kept_1`` and so on, one per merge."""
        merges = getattr(self.backbone, 'merge_layers', ())
        return ('scores', *(f'kept_{k + 1}' for k in range(len(merges))))

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Scores ``(B, classes)`` before the softmax of ``(B, 3, T, H, W)`` frames in [0, 255].

        Then for each merge the original indices ``(B, K)``, ascending, of the kept tokens.
        """
        history: list[TokenState] = []
        with torch.autocast(frames.device.type, self.dtype, self.dtype != torch.float32):
            x = frames[:, [2, 1, 0]] if self.to_rgb else frames
            x = (x - self.mean) / self.std
            if hasattr(self.backbone, 'forward_tokens'):
                state = self.backbone.forward_tokens(x, history)
                features = self.backbone.pool(self.backbone.norm(state.x), state)
            else:
                features = self.backbone(x)
            scores = self.cls_head(features)
        return (scores.float(), *(after.position for after in history[1::2]))


@torch.no_grad()
def trace(model: nn.Module, shape: Sequence[int],
          dtype: torch.dtype = torch.float32) -> torch.export.ExportedProgram:
    """Trace a :class:`TraceableRecognizer` for inputs of ``shape`` ``(B, 3, T, H, W)`` alone."""
    graph, frames = TraceableRecognizer(model, dtype).eval(), torch.zeros(tuple(shape))
    graph(frames)  # VideoSwin caches masks in its first run: they must not be the tracer's
    return torch.export.export(graph, (frames, ), strict=False)


@torch.no_grad()
def reference_outputs(model: nn.Module, frames: np.ndarray) -> tuple[np.ndarray, ...]:
    """Outputs of :class:`TraceableRecognizer` by the operators that the model is tested with."""
    graph = TraceableRecognizer(model).eval()
    return tuple(out.numpy() for out in graph(torch.from_numpy(frames)))
