"""Backbone weights from checkpoints."""
from mmengine.runner.checkpoint import _load_checkpoint
from torch import Tensor, nn

CONVERTER = "VideoMAE's own files are converted by tools/model_converters/videomae_to_mmaction.py"
VIDEO_SIZES = ('img_size and num_frames are those of the position table: other inputs are '
               f'interpolated on the fly. {CONVERTER}')


def load_backbone_weights(source: str, num_heads: int) -> dict[str, Tensor]:
    """Load the ``backbone.`` part of a recognizer's checkpoint (path or URL), without prefix.

    Another ``num_heads`` than the file's, if it names one, is a ``ValueError``: no shape shows it.
    """
    checkpoint = _load_checkpoint(source, map_location='cpu')
    of_file = (checkpoint.get('meta') or {}).get('num_heads', num_heads)
    if num_heads != of_file:
        raise ValueError(f'{source} has {of_file} heads, but the backbone {num_heads}: it would '
                         f'compute something else. Set num_heads={of_file}')
    weights = checkpoint.get('state_dict', checkpoint)
    found = {key.removeprefix('backbone.'): value
             for key, value in weights.items() if key.startswith('backbone.')}
    if not found:
        raise ValueError(
            f'{source} is not a checkpoint of an MMAction2 recognizer: no name in it starts with '
            f"'backbone.', the first are {', '.join(map(repr, list(weights)[:3]))}. {CONVERTER}")
    return found


def describe_misfits(own: dict[str, Tensor], weights: dict[str, Tensor],
                     most: int | None = 4) -> str:
    """Missing keys, left-over keys and different shapes of two state_dicts; '' if they fit.

    Each is on a new line; of more than ``most``, the first and how many more.
    """
    misfits = [f'missing: {key}' for key in own if key not in weights]
    misfits += [f'left over: {key}' for key in weights if key not in own]
    misfits += [f'{key}: {tuple(weights[key].shape)} in the file, {tuple(own[key].shape)} here'
                for key in own if key in weights and weights[key].shape != own[key].shape]
    more = f'\n  and {len(misfits) - most} more' if most and len(misfits) > most else ''
    return ''.join(f'\n  {misfit}' for misfit in misfits[:most]) + more


def load_strictly(backbone: nn.Module, weights: dict[str, Tensor], source: str,
                  way_out: str = VIDEO_SIZES) -> None:
    """Load a whole state_dict that comes from ``source``; all that does not fit is listed."""
    # torch's own error does not say what to do
    if misfits := describe_misfits(backbone.state_dict(), weights, most=None):
        raise ValueError(f'the backbone of {source} does not fit:{misfits}\n'
                         f'Build the backbone with the sizes of the checkpoint. {way_out}')
    backbone.load_state_dict(weights)
