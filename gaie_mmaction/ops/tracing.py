"""Whether a model is being exported."""
import torch


def is_exporting() -> bool:
    """Whether ``torch.export`` traces, but not ``torch.compile``.

    PyTorch 2.8 says ``is_exporting()`` to ``torch.compile`` as well; ``torch.export`` traces
    without Dynamo.
    """
    return torch.compiler.is_exporting() and not torch.compiler.is_dynamo_compiling()
