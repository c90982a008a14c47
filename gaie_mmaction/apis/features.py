"""Clip features for downstream work."""
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmaction.models import BaseRecognizer, RecognizerGCN
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from rich.progress import track
from torch.utils.data import DataLoader, Subset

from ..utils.files import atomic_file, require_writable
from .model import build_test_dataset, load_recognizer, require_test_part


@torch.no_grad()
def clip_features(model: BaseRecognizer, batch: dict, dense: bool = False) -> torch.Tensor:
    """Features ``(B, C)``, or dense ``(B, C, T', H', W')``: mean over views, float32 on the CPU."""
    batch = model.data_preprocessor(batch)
    of_graph = isinstance(model, RecognizerGCN)  # which has no neck
    features, _ = model.extract_feat(batch['inputs'], stage='backbone' if of_graph else 'neck',
                                     data_samples=batch['data_samples'], test_mode=True)
    if of_graph:
        features = features.mean(dim=1)  # (views, M, C, T, V): over people, as its head does
    name = type(model.backbone).__name__
    if not isinstance(features, torch.Tensor):
        raise ValueError(f'the {name} gives a {type(features).__name__} of features, such as those '
                         'of its branches: only one tensor of features can be extracted')
    return _pool(features, len(batch['data_samples']), dense, name)


@contextmanager
def record_features(model: BaseRecognizer) -> Iterator[list[np.ndarray | None]]:
    """Record the features ``(C,)`` of each clip that the model recognizes in the block, singly.

    None where the head sees anything but one tensor, such as those of two branches.
    """
    found: list[np.ndarray | None] = []
    name = type(model.backbone).__name__
    handle = model.cls_head.register_forward_pre_hook(lambda _, args: found.append(
        _pool(args[0], 1, False, name)[0].numpy() if isinstance(args[0], torch.Tensor) else None))
    try:
        yield found
    finally:
        handle.remove()


def _pool(features: torch.Tensor, clips: int, dense: bool, backbone: str) -> torch.Tensor:
    features = features.view(clips, -1, *features.shape[1:]).float().mean(dim=1).cpu()
    if dense and features.dim() != 5:
        raise ValueError(f'the {backbone} gives features of shape '
                         f"{tuple(features.shape[1:])}, not a map (C, T', H', W')")
    # backbones that give maps leave the mean to the head
    return features if dense or features.dim() == 2 else features.flatten(2).mean(dim=2)


def extract_features(cfg: Config, checkpoint: str, out: str, dense: bool = False,
                     device: str = 'cpu') -> tuple[int, int]:
    """Write the features of all clips of ``test_dataloader``; returns how many, and of how many.

    ``out`` is an npz of ``clip_ids`` ``(clips,)``, ``labels`` (-1 is unlabelled), ``videos`` (stems
    of the files), ``start_frames``, ``end_frames`` and ``features`` ``(clips, C)``, which
    :func:`read_feature_file` reads if the clips are windows of whole videos; clips of skeletons
    count as files of their own, frames 0 to -1. With ``dense`` it is a folder of ``CLIP_ID.npy``,
    ``(C, T', H', W')``: the last tokens, before the final norm, each merged token at all of its
    places, zeros where tokens were dropped. Files that exist are kept.
    """
    require_test_part(cfg)
    if dense and cfg.model.backbone.type == 'GAIEVisionTransformer':
        cfg.model.backbone.return_feat_map = True
    if not dense and not out.endswith('.npz'):
        raise ValueError(f'the features of all clips go into one .npz file, but got {out}')
    model, _ = load_recognizer(cfg, checkpoint, device)
    dataset = build_test_dataset(cfg)
    require_writable(str(Path(out) / 'x.npy') if dense else out)
    clips = [dataset.get_data_info(index) for index in range(len(dataset))]
    wanted = [index for index, clip in enumerate(clips)
              if not (dense and (Path(out) / f'{clip["clip_id"]}.npy').is_file())]
    loader = DataLoader(Subset(dataset, wanted), batch_size=cfg.test_dataloader.batch_size,
                        num_workers=cfg.test_dataloader.num_workers, collate_fn=pseudo_collate)
    found = []
    for batch in track(loader, f'{len(wanted)} clips', transient=True):
        features = clip_features(model, batch, dense).numpy()
        for sample, feature in zip(batch['data_samples'], features):
            if not dense:
                found.append(feature)
                continue
            path = Path(out) / f'{sample.clip_id}.npy'
            with atomic_file(path) as partial, open(partial, 'wb') as file:
                np.save(file, feature)
    if not dense:
        with atomic_file(out) as partial, open(partial, 'wb') as file:
            np.savez(file, clip_ids=np.array([clip['clip_id'] for clip in clips]),
                     labels=np.array([clip['label'] for clip in clips]),
                     videos=np.array([Path(clip.get('filename', clip['clip_id'])).stem
                                      for clip in clips]),
                     start_frames=np.array([clip.get('start_frame', 0) for clip in clips]),
                     end_frames=np.array([clip.get('end_frame', -1) for clip in clips]),
                     features=np.stack(found))
    return len(wanted), len(clips)
