"""Draw the importance of tokens next to Grad-CAM of the predicted class (MMAction2's GradCAM)."""
import sys

from gaie_mmaction.apis import Clip, ClipRecognizer, find_clip, load_config, open_footage
from gaie_mmaction.datasets.video_file import VideoReadError
from gaie_mmaction.utils.command_line import Namespace, add_model, exit_on, tool_parser
from gaie_mmaction.utils.files import atomic_file
from gaie_mmaction.visualization import draw_heat_maps, grad_cam


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    add_model(parser, 'config of a model with a token reducer')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--clip-id', help='a clip of the test part')
    what.add_argument('--video', help='any video file, or a folder of images')
    parser.add_argument('--range', type=int, nargs=2, default=(0, -1), metavar=('START', 'END'),
                        help='frames of --video, from 0, end inclusive (default: all)')
    parser.add_argument('--out', default='importance_cam.png', help='PNG (default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    if cfg.model.backbone.type != 'GAIEVisionTransformer':
        sys.exit(f'{args.config} has a {cfg.model.backbone.type}: only GAIEVisionTransformer has '
                 'both an importance and a map for Grad-CAM')
    # the same weights and the same features, with a layer that Grad-CAM can hook
    cfg.model.backbone.type = 'FeatMapVisionTransformer'
    with exit_on(ValueError, OSError, VideoReadError):
        recognizer = ClipRecognizer(cfg, args.checkpoint)
        clip = (find_clip(cfg, args.clip_id) if args.clip_id else
                Clip(args.video, args.video, *args.range))
        window, frames = recognizer.recognize_clip(clip)
        with open_footage(clip.filename) as footage:
            packed, _ = recognizer.pipeline(footage, clip.start, clip.end)
    if window.tokens is None or window.tokens.importance[0] is None:
        sys.exit('the token reducer of this config uses no importance: there is nothing to compare')
    cam = grad_cam(recognizer.model, packed, window.tokens.kept[0].shape)
    title = recognizer.describe(clip, window)
    figure, ranks = draw_heat_maps(frames, window.tokens, cam, title)
    with atomic_file(args.out) as partial:
        figure.savefig(partial, format='png', dpi=110)
    print(title)
    for merge, rank in enumerate(ranks, 1):
        print(f'rank correlation of the importance before merge {merge} with Grad-CAM: {rank:+.3f}')
    print(f'Written: {args.out}')


if __name__ == '__main__':
    main()
