"""Draw which tokens of a clip are kept, where the others go, and where the importance lies."""
import argparse
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.config import Config, DictAction

from gaie_mmaction.apis import (
    ClassNames,
    ClipPipeline,
    find_class_names,
    open_footage,
    recognize,
    seen_frames,
)
from gaie_mmaction.benchmark import build_recognizer, load_weights, view_shape
from gaie_mmaction.datasets.annotations import read_annotations
from gaie_mmaction.datasets.video_file import VideoReadError
from gaie_mmaction.utils.files import atomic_file
from gaie_mmaction.visualization import draw_token_map

if TYPE_CHECKING:  # gaie_mmaction makes MMAction2's models importable
    from mmaction.models import BaseRecognizer


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


def draw_clip(model: 'BaseRecognizer', cfg: Config, clip: dict, classes: ClassNames,
              out: str) -> str:
    """Draw one clip.

    Args:
        model (BaseRecognizer): Recognizer whose backbone has a neck.
        cfg (Config): Its config.
        clip (dict): ``filename``, ``clip_id``, ``start_frame``, ``end_frame``, ``label``.
        classes (ClassNames): Of the model.
        out (str): Picture to write, ``.png`` or ``.npz`` with the same as arrays.

    Returns:
        str: One line that says what was recognised.
    """
    with open_footage(clip['filename']) as footage:
        end = clip['end_frame'] if clip['end_frame'] >= 0 else len(footage) - 1
        window, = recognize(model, ClipPipeline(cfg), footage, [(clip['start_frame'], end)])
        if window.tokens is None:
            sys.exit('the backbone of this config merges no tokens: there is nothing to draw')
        _, _, height, width = view_shape(cfg)
        frames = seen_frames(footage, window, height, width)
    best = int(window.scores.argmax())
    line = f'{clip["clip_id"]}: predicted {classes.names[best]} ({window.scores[best]:.2f})'
    if clip['label'] >= 0:
        line += f', label {classes.names[clip["label"]]}'
    layers = sorted(model.backbone.merge_layers)
    with atomic_file(out) as partial:
        if out.endswith('.npz'):
            arrays: dict[str, Any] = {f'importance_{layer}': heat for layer, heat in
                                      zip(layers, window.tokens.importance) if heat is not None}
            arrays.update((f'kept_{layer}', kept) for layer, kept in
                          zip(layers, window.tokens.kept))
            arrays.update((f'owner_{layer}', own) for layer, own in
                          zip(layers, window.tokens.owner))
            with open(partial, 'wb') as file:
                np.savez_compressed(
                    file, frame_inds=window.frame_inds, box=window.box, scores=window.scores,
                    **arrays)
        else:
            draw_token_map(frames[::model.backbone.tubelet_size], window.tokens, line,
                           layers).savefig(partial, format='png', dpi=110)
    return line


def add_clip_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say which model and which clip."""
    parser.add_argument('config', help='config of a model with a token reducer')
    parser.add_argument('checkpoint', help='its checkpoint')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--clip-id', help='a clip of the test part')
    what.add_argument('--video', help='any video file, or a folder of pictures')
    parser.add_argument('--range', type=int, nargs=2, default=(0, -1), metavar=('START', 'END'),
                        help='frames of --video, from 0, end inclusive (default: all)')


def clip_of(cfg: Config, args: argparse.Namespace) -> dict:
    """The clip that the arguments ask for."""
    if args.clip_id:
        return find_clip(cfg, args.clip_id)
    return dict(filename=args.video, clip_id=args.video, start_frame=args.range[0],
                end_frame=args.range[1], label=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_clip_arguments(parser)
    parser.add_argument('--out', default='token_map.png', help='PNG, or .npz for the arrays: kept '
                        'and owner of each merge by 0-based block (default: token_map.png)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes of the config')
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    model = build_recognizer(cfg)
    try:
        meta = load_weights(model, args.checkpoint, args.config)
        classes = find_class_names(meta, cfg, cfg.model.cls_head.num_classes)
        print(draw_clip(model, cfg, clip_of(cfg, args), classes, args.out))
    except (ValueError, FileNotFoundError, VideoReadError, IndexError) as error:
        sys.exit(str(error))
    print(f'Written: {args.out}')


if __name__ == '__main__':
    main()
