"""Write the features of all clips of a config's test part.

Without --dense, one npz: clip_ids (clips), labels (-1 is unlabelled), videos, start_frames,
end_frames, and features (clips, C), the head's input. With --dense, a folder with CLIP_ID.npy
(C, T', H', W') of each clip: the last tokens, before the final norm, each merged token at all of
its places and zeros where tokens were dropped; existing files are kept.
"""

import torch

from gaie_mmaction.apis import extract_features, load_config
from gaie_mmaction.datasets.video_file import VideoReadError
from gaie_mmaction.utils.command_line import Namespace, add_model, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    add_model(parser)
    parser.add_argument('--out', required=True, help='an .npz file, or with --dense a folder')
    parser.add_argument('--dense', action='store_true', help="(C, T', H', W') of each clip")
    parser.add_argument('--ann-file', help="annotation file (default: the test part's)")
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='default: cuda if available, else cpu')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on(ValueError, TypeError, OSError, VideoReadError):
        cfg = load_config(args.config, args.cfg_options)
        if args.ann_file:
            cfg.test_dataloader.dataset.ann_file = args.ann_file
        done, clips = extract_features(cfg, args.checkpoint, args.out, args.dense, args.device)
    print(f'Written: features of {done} of {clips} clips to {args.out}')


if __name__ == '__main__':
    main()
