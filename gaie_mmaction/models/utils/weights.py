"""Backbone weights from checkpoints."""
from mmengine.runner.checkpoint import _load_checkpoint
from torch import Tensor, nn


def load_backbone_weights(source: str) -> dict[str, Tensor]:
    """The ``backbone.`` part of a recognizer's checkpoint, without that prefix.

    Args:
        source (str): Path or URL.

    Raises:
        ValueError: If the checkpoint has no such part.
    """
    checkpoint = _load_checkpoint(source, map_location='cpu')
    weights = checkpoint.get('state_dict', checkpoint)
    found = {key.removeprefix('backbone.'): value
             for key, value in weights.items() if key.startswith('backbone.')}
    if not found:
        raise ValueError(
            f'{source} is no checkpoint of an MMAction2 recognizer: no name in it starts with '
            f"'backbone.', the first are {', '.join(map(repr, list(weights)[:3]))}. VideoMAE's own "
            'files are converted by tools/model_converters/videomae_to_mmaction.py')
    return found


def list_misfits(own: dict[str, Tensor], weights: dict[str, Tensor]) -> list[str]:
    """What keeps weights from fitting, in words.

    Args:
        own (dict[str, Tensor]): The network's state_dict.
        weights (dict[str, Tensor]): The weights'.

    Returns:
        list[str]: A line for each missing key, each left-over one, each other shape.
    """
    problems = [f'missing: {key}' for key in own if key not in weights]
    problems += [f'left over: {key}' for key in weights if key not in own]
    problems += [
        f'{key}: {tuple(weights[key].shape)} in the file, {tuple(own[key].shape)} here'
        for key in own if key in weights and weights[key].shape != own[key].shape
    ]
    return problems


def load_strictly(backbone: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    """Load weights that must fit.

    Args:
        backbone (nn.Module): A video ViT.
        weights (dict[str, Tensor]): Its whole state_dict.
        source (str): Where they come from, for the error.

    Raises:
        ValueError: If a key is missing or left over, or a shape differs; all are listed.
    """
    problems = list_misfits(backbone.state_dict(), weights)
    if problems:
        listed = '\n  '.join(problems)
        raise ValueError(
            f'the backbone of {source} does not fit:\n  {listed}\nBuild the backbone '
            'with the sizes of the checkpoint. img_size and num_frames are those of the '
            'position table: other inputs are interpolated on the fly. VideoMAE\'s own files '
            'are converted by tools/model_converters/videomae_to_mmaction.py')
    backbone.load_state_dict(weights)
