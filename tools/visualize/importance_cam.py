"""Draw the importance of tokens beside Grad-CAM of the predicted class (MMAction2's GradCAM)."""
import argparse
import sys

from mmengine.config import Config, DictAction
from token_map import add_clip_arguments, clip_of

from gaie_mmaction.apis import (
    ClipPipeline,
    find_class_names,
    open_footage,
    recognize,
    seen_frames,
)
from gaie_mmaction.benchmark import build_recognizer, load_weights, view_shape
from gaie_mmaction.datasets.video_file import VideoReadError
from gaie_mmaction.utils.files import atomic_file
from gaie_mmaction.visualization import draw_heat_maps, grad_cam


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_clip_arguments(parser)
    parser.add_argument('--out', default='importance_cam.png',
                        help='PNG (default: importance_cam.png)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes of the config')
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    if cfg.model.backbone.type != 'GAIEVisionTransformer':
        sys.exit(f'{args.config} has a {cfg.model.backbone.type}: only GAIEVisionTransformer has '
                 'both an importance and a map for Grad-CAM')
    # the same weights and the same features, with a layer that Grad-CAM can look at
    cfg.model.backbone.type = 'FeatMapVisionTransformer'
    model = build_recognizer(cfg)
    pipeline = ClipPipeline(cfg)
    try:
        meta = load_weights(model, args.checkpoint, args.config)
        clip = clip_of(cfg, args)
        with open_footage(clip['filename']) as footage:
            end = clip['end_frame'] if clip['end_frame'] >= 0 else len(footage) - 1
            window, = recognize(model, pipeline, footage, [(clip['start_frame'], end)])
            _, _, height, width = view_shape(cfg)
            frames = seen_frames(footage, window, height, width)
            packed, _ = pipeline(footage, clip['start_frame'], end)
    except (ValueError, FileNotFoundError, VideoReadError, IndexError) as error:
        sys.exit(str(error))
    if window.tokens is None or window.tokens.importance[0] is None:
        sys.exit('the token reducer of this config uses no importance: there is nothing to compare')
    cam = grad_cam(model, packed, window.tokens.kept[0].shape)
    best = int(window.scores.argmax())
    classes = find_class_names(meta, cfg, cfg.model.cls_head.num_classes)
    title = f'{clip["clip_id"]}: {classes.names[best]} ({window.scores[best]:.2f})'
    figure, ranks = draw_heat_maps(frames[::model.backbone.tubelet_size], window.tokens, cam, title)
    with atomic_file(args.out) as partial:
        figure.savefig(partial, format='png', dpi=110)
    print(title)
    for merge, rank in enumerate(ranks):
        print(f'rank correlation of the importance before merge {merge + 1} with Grad-CAM: '
              f'{rank:+.3f}')
    print(f'Written: {args.out}')


if __name__ == '__main__':
    main()
