"""Test-time views by one option, such as ``tta=5x3+flip``."""
import copy
import re
from typing import Any


def inner_dataset(dataloader: dict[str, Any]) -> dict[str, Any]:
    """Config of a dataloader's dataset, without wrappers."""
    dataset = dataloader['dataset']
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset


def parse_views(views: str) -> tuple[int, int, bool]:
    """Clips, crops, and whether mirrored too, of ``'5x3'`` or ``'5x3+flip'``."""
    found = re.fullmatch(r'([1-9]\d?)x([1-9]\d?)(\+flip)?', str(views))
    if not found:
        raise ValueError(f'tta must be CLIPSxCROPS or CLIPSxCROPS+flip, such as 5x3 or 5x3+flip, '
                         f'but got {views!r}')
    return int(found[1]), int(found[2]), bool(found[3])


def with_views(dataloader: dict[str, Any], views: str) -> dict[str, Any]:
    """A test's dataloader config with other views, whose scores the head averages.

    The sampling of frames gets ``num_clips``, and :class:`ViewCrop` replaces ``CenterCrop``. The
    batch is reduced so that about as many views are in memory as before.

    Raises:
        ValueError: If ``views`` cannot be read, or the pipeline lacks a step that would be changed.
    """
    clips, crops, flip = parse_views(views)
    dataloader = copy.deepcopy(dataloader)
    dataset = inner_dataset(dataloader)
    if flip and (dataset.get('metainfo') or {}).get('flow'):
        raise ValueError(f'tta={views} mirrors frames, but mirrored flow also has other values: '
                         f'set tta={clips}x{crops}')
    pipeline = dataset['pipeline']
    samplers = [step for step in pipeline if 'Sample' in step['type'] and 'clip_len' in step]
    centers = [k for k, step in enumerate(pipeline) if step['type'] == 'CenterCrop']
    if len(samplers) != 1 or (crops > 1 or flip) and len(centers) != 1:
        raise ValueError(f'tta={views} needs one step of the test pipeline that samples frames by '
                         'clip_len, and one CenterCrop if there are several crops or flip, but it '
                         f'has {[step["type"] for step in pipeline]}')
    samplers[0]['num_clips'] = clips
    if crops > 1 or flip:
        joints = [step['type'] for step in pipeline[centers[0]:] if 'keypoint' in step.get(
            'collect_keys', ()) or step['type'].startswith(('Skeleton', 'FormatGCN'))]
        if joints:
            raise ValueError(f'tta={views} crops frames alone, and {", ".join(joints)} of the test '
                             f'pipeline takes skeletons: set tta={clips}x1')
        pipeline[centers[0]] = dict(
            type='ViewCrop', crop_size=pipeline[centers[0]]['crop_size'], num_crops=crops,
            flip=flip)
    dataloader['batch_size'] = max(1, dataloader['batch_size'] // (clips * crops * (1 + flip)))
    return dataloader
