"""Does the importance find the gesture? Share of the tokens of known regions that are kept.

For clips whose moving region is known (regions.csv of the synthetic dataset), the share of the
region's tokens that stay in their own place after each merge is compared with chance (all tokens
alike) and with other reducers in the same network, with the same weights and keep ratio.
"""
import sys
from pathlib import Path

import numpy as np
import torch

from gaie_mmaction.apis import find_class_names, load_config, read_test_clips, region_survival
from gaie_mmaction.benchmark import print_table, write_csv
from gaie_mmaction.datasets.video_file import VideoReadError
from gaie_mmaction.utils.command_line import Namespace, add_model, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    add_model(parser, 'config of a model with a token reducer')
    parser.add_argument('--regions', default='data/demo_release/regions.csv',
                        help='csv clip_id,x0,y0,x1,y1 (default: %(default)s)')
    parser.add_argument('--rivals', nargs='*', default=['ToMeNeck'], metavar='NECK',
                        help='reducers to compare with (default: ToMeNeck)')
    parser.add_argument('--max-clips', type=int, help='only so many clips, evenly spaced')
    parser.add_argument('--out', default='region_survival.png',
                        help='PNG; a csv is written next to it (default: %(default)s)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='default: cuda if available, else cpu')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    out = Path(args.out)
    with exit_on(ValueError, OSError, VideoReadError):
        cfg = load_config(args.config, args.cfg_options)
        regions = region_survival.read_regions(args.regions)
        clips = [clip for name, clip in read_test_clips(cfg).items() if name in regions]
        if not clips:
            sys.exit(f'no clip of {cfg.test_dataloader.dataset.ann_file} is in {args.regions}')
        chosen = np.linspace(0, len(clips) - 1, args.max_clips or len(clips)).round().astype(int)
        clips = [clips[index] for index in np.unique(chosen)]
        found = region_survival.measure_survival(
            cfg, args.checkpoint, args.rivals, clips, regions, args.device)
    seen = found.clip_id.nunique()
    if seen < len(clips):
        print(f'{len(clips) - seen} clips are left out: the model does not see their region')
    if not seen:
        sys.exit('no clip is left')
    summary = region_survival.summarize_survival(found)
    print_table(summary, f'Tokens of the moving region that are kept, {seen} clips')
    write_csv(summary, out.with_suffix('.csv'))
    classes = find_class_names({}, cfg, cfg.model.cls_head.num_classes).names
    region_survival.draw_survival(found, classes, out)
    print(f'Written: {out} and {out.with_suffix(".csv")}')


if __name__ == '__main__':
    main()
