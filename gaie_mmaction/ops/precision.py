"""Which precision a product is made in."""
from contextlib import AbstractContextManager, nullcontext

import torch


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """float32 for the half precisions, otherwise the dtype itself."""
    return torch.promote_types(dtype, torch.float32)


def no_autocast(device: torch.device) -> AbstractContextManager:
    """Context in which the inputs' dtype decides and autocast lowers nothing."""
    if device.type == 'meta':
        return nullcontext()  # which has no autocast
    return torch.autocast(device.type, enabled=False)
