"""Draw which tokens of a clip are kept and merged, and where the importance lies."""
import argparse
import sys
from typing import Tuple

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from torch import nn

from gaie_mmaction.analysis import build_recognizer
from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.datasets.annotations import read_annotations
from gaie_mmaction.visualization import draw_token_map


def find_clip(cfg: Config, clip_id: str) -> dict:
    """A clip of the config's test part by its id."""
    dataset = cfg.test_dataloader.dataset
    root = dataset.get('data_root', '')
    clips = read_annotations(f'{root}/{dataset.ann_file}' if root else dataset.ann_file,
                             cfg.model.cls_head.num_classes)
    for clip in clips:
        if clip['clip_id'] == clip_id:
            clip['filename'] = '/'.join(
                filter(None, (root, dataset.data_prefix.video, clip.pop('video'))))
            return clip
    sys.exit(f'clip {clip_id} is not in {dataset.ann_file}; the first ids there are '
             f'{[clip["clip_id"] for clip in clips[:5]]}')


def load_views(pipeline: list, clip: dict) -> Tuple[dict, np.ndarray]:
    """The network's input, and the same frames as a person sees them.

    Returns:
        tuple[dict, np.ndarray]: What PackActionInputs gives, and ``(T, H, W, 3)`` uint8.
    """
    start = dict(clip, modality='RGB', start_index=0)
    packed = Compose(pipeline)(dict(start))
    seen = [t for t in pipeline
            if t['type'] not in ('SubtractClipMean', 'FormatShape', 'PackActionInputs')]
    return packed, np.stack(Compose(seen)(dict(start))['imgs'])


@torch.no_grad()
def draw_clip(model: nn.Module, cfg: Config, clip: dict, out: str) -> str:
    """Draw one clip.

    Args:
        model (nn.Module): Recognizer whose backbone has a neck.
        cfg (Config): Its config.
        clip (dict): ``filename``, ``clip_id``, ``start_frame``, ``end_frame``, ``label``.
        out (str): PNG to write.

    Returns:
        str: One line that says what was recognised.
    """
    packed, frames = load_views(cfg.test_dataloader.dataset.pipeline, clip)
    batch = model.data_preprocessor(
        dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']]))
    backbone, history = model.backbone, []
    view = batch['inputs'][0, :1]  # the first view, (1, C, T, H, W)
    backbone.forward_tokens(view, history)
    if not history:
        sys.exit('the backbone of this config merges no tokens: there is nothing to draw')
    scores = model.cls_head(backbone(view)).softmax(dim=1)[0]
    best = int(scores.argmax())
    names = cfg.test_dataloader.dataset.get('metainfo', {}).get('classes', IMIGUE_CLASSES)
    line = f'{clip["clip_id"]}: predicted {names[best]} ({scores[best]:.2f})'
    if clip['label'] >= 0:
        line += f', label {names[clip["label"]]}'
    steps = tuple(n // s for n, s in zip(
        view.shape[2:], (backbone.tubelet_size, backbone.patch_size, backbone.patch_size)))
    draw_token_map(frames[:view.shape[2]:backbone.tubelet_size], history, steps, out, line)
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a model with a token reducer')
    parser.add_argument('checkpoint', help='its checkpoint')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--clip-id', help='a clip of the test part')
    what.add_argument('--video', help='any video file')
    parser.add_argument('--range', type=int, nargs=2, default=(0, -1), metavar=('START', 'END'),
                        help='frames of --video, from 0, end inclusive (default: all)')
    parser.add_argument('--out', default='token_map.png', help='PNG (default: token_map.png)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes of the config')
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    init_default_scope('mmaction')
    model = build_recognizer(cfg)
    load_checkpoint(model, args.checkpoint, map_location='cpu', strict=True)
    if args.clip_id:
        clip = find_clip(cfg, args.clip_id)
    else:
        clip = dict(filename=args.video, clip_id=args.video, start_frame=args.range[0],
                    end_frame=args.range[1], label=-1)
    print(draw_clip(model, cfg, clip, args.out))
    print(f'The picture is {args.out}')


if __name__ == '__main__':
    main()
