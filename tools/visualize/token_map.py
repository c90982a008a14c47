"""Draw which tokens of a clip are kept, where the others go, and where the importance lies."""
import sys

import numpy as np

from gaie_mmaction.apis import Clip, ClipRecognizer, find_clip, load_config
from gaie_mmaction.datasets.video_file import VideoReadError
from gaie_mmaction.utils.command_line import Namespace, add_model, exit_on, tool_parser
from gaie_mmaction.utils.files import atomic_file
from gaie_mmaction.visualization import draw_token_map


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    add_model(parser, 'config of a model with a token reducer')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--clip-id', help='a clip of the test part')
    what.add_argument('--video', help='any video file, or a folder of images')
    parser.add_argument('--range', type=int, nargs=2, default=(0, -1), metavar=('START', 'END'),
                        help='frames of --video, from 0, end inclusive (default: all)')
    parser.add_argument('--out', default='token_map.png', help='PNG, or .npz for the arrays: '
                        'importance, kept and owner by 0-based block (default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on(ValueError, OSError, VideoReadError):
        recognizer = ClipRecognizer(load_config(args.config, args.cfg_options), args.checkpoint)
        clip = (find_clip(recognizer.cfg, args.clip_id) if args.clip_id else
                Clip(args.video, args.video, *args.range))
        window, frames = recognizer.recognize_clip(clip)
    if window.tokens is None:
        sys.exit('the backbone of this config merges no tokens: there is nothing to draw')
    line, layers = recognizer.describe(clip, window), sorted(recognizer.model.backbone.merge_layers)
    with atomic_file(args.out) as partial, open(partial, 'wb') as file:
        if args.out.endswith('.npz'):
            np.savez_compressed(
                file, frame_inds=window.frame_inds, box=np.array(window.box), scores=window.scores,
                **window.tokens.to_arrays(layers))
        else:
            draw_token_map(frames, window.tokens, line, layers).savefig(file, format='png', dpi=110)
    print(f'{line}\nWritten: {args.out}')


if __name__ == '__main__':
    main()
