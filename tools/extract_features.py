"""Write the features of all clips of a data set, pooled or dense, for other work.

Without --dense, one npz: clip_ids (clips), labels (clips, -1 unlabelled), features (clips, C), what
the head gets. With --dense, a folder with CLIP_ID.npy (C, T', H', W') of each clip: the last
tokens, before the final norm, each merged token at all of its places and zeros where tokens were
dropped; clips that are there already are not made again. MMAction2's own script
(mim run mmaction clip_feature_extraction) gives the same for clip lists; this one also reads
segments of whole videos.
"""
import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from mmaction.registry import DATASETS
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Subset

from gaie_mmaction.benchmark import build_recognizer, load_weights
from gaie_mmaction.datasets.video_file import VideoReadError
from gaie_mmaction.utils.files import atomic_file, require_writable

if TYPE_CHECKING:  # gaie_mmaction makes MMAction2's models importable
    from mmaction.models import BaseRecognizer

console = Console()


@torch.no_grad()
def features_of(model: 'BaseRecognizer', batch: dict, dense: bool) -> torch.Tensor:
    """Features ``(B, C)`` of a batch of clips, or ``(B, C, T', H', W')``; means over views."""
    batch = model.data_preprocessor(batch)
    features, _ = model.extract_feat(
        batch['inputs'], stage='neck', data_samples=batch['data_samples'], test_mode=True)
    clips = len(batch['data_samples'])
    features = features.view(clips, -1, *features.shape[1:]).float().mean(dim=1).cpu()
    if dense and features.dim() != 5:
        sys.exit(f'the {type(model.backbone).__name__} gives features of shape '
                 f"{tuple(features.shape[1:])}, no map (C, T', H', W')")
    # backbones that give maps leave the mean to the head
    return features if dense or features.dim() == 2 else features.flatten(2).mean(dim=2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the model; its test part is what is read')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('out', help='an .npz file, or with --dense a folder')
    parser.add_argument('--dense', action='store_true', help="(C, T', H', W') of each clip")
    parser.add_argument('--ann-file', help="instead of the test part's")
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes of the config')
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    loader = cfg.test_dataloader
    if args.ann_file:
        loader.dataset.ann_file = args.ann_file
    if args.dense and cfg.model.backbone.type == 'GAIEVisionTransformer':
        cfg.model.backbone.return_feat_map = True
    if not args.dense and not args.out.endswith('.npz'):
        parser.error(f'the features of all clips go into one .npz file, but got {args.out}')
    try:
        model = build_recognizer(cfg, args.device)
        load_weights(model, args.checkpoint, args.config)
        dataset = DATASETS.build(loader.dataset)
        require_writable(str(Path(args.out) / 'x.npy') if args.dense else args.out)
    except (ValueError, TypeError, OSError) as error:
        sys.exit(str(error))
    clips = [dataset.get_data_info(k) for k in range(len(dataset))]
    wanted = [k for k, clip in enumerate(clips)
              if not (args.dense and (Path(args.out) / f'{clip["clip_id"]}.npy').is_file())]
    batches = DataLoader(Subset(dataset, wanted), batch_size=loader.batch_size,
                         num_workers=loader.num_workers, collate_fn=pseudo_collate)
    found = []
    try:
        for batch in track(batches, f'{len(wanted)} clips', console=console, transient=True):
            names = [sample.clip_id for sample in batch['data_samples']]
            for name, features in zip(names, features_of(model, batch, args.dense).numpy()):
                if args.dense:
                    with atomic_file(Path(args.out) / f'{name}.npy') as partial:
                        with open(partial, 'wb') as file:
                            np.save(file, features)
                else:
                    found.append(features)
    except VideoReadError as error:
        sys.exit(str(error))
    if not args.dense:
        with atomic_file(args.out) as partial, open(partial, 'wb') as file:
            np.savez(file, clip_ids=np.array([clip['clip_id'] for clip in clips]),
                     labels=np.array([clip['label'] for clip in clips]), features=np.stack(found))
    console.print(f'Written: features of {len(wanted)} of {len(clips)} clips to {args.out}',
                  highlight=False, soft_wrap=True)


if __name__ == '__main__':
    main()
