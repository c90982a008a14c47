"""Does the importance find the gesture? Share of the tokens of known regions that are kept.

Of each clip whose moving region is known (regions.csv of the demo release), the share of the
region's tokens that stay in their own place after each merge is compared with chance (all tokens
alike) and with other reducers in the same network, with the same weights and keep ratio.
"""
import argparse
import copy
import sys
from pathlib import Path
from textwrap import shorten

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from mmaction.registry import DATASETS
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.progress import track

from gaie_mmaction.apis import ClipPipeline, open_footage, recognize
from gaie_mmaction.benchmark import build_recognizer, load_weights, print_table, write_csv
from gaie_mmaction.benchmark.region_survival import (
    Box,
    bootstrap_interval,
    read_regions,
    region_weights,
    survival,
)
from gaie_mmaction.utils.files import atomic_file

console = Console()


def measure(cfg: Config, checkpoint: str, clips: list[dict], regions: dict[str, Box],
            device: str) -> dict[str, np.ndarray]:
    """Survival of each clip's region, and of all tokens.

    Returns:
        dict: ``region`` and ``all``, ``(clips, M)``, in [0, 1].
    """
    model = build_recognizer(cfg, device)
    load_weights(model, checkpoint, cfg.filename)
    pipeline = ClipPipeline(cfg)
    name = cfg.model.backbone.neck.type
    found: dict[str, list[np.ndarray]] = dict(region=[], all=[])
    for clip in track(clips, name, console=console, transient=True):
        with open_footage(clip['filename']) as footage:
            window, = recognize(
                model, pipeline, footage, [(clip['start_frame'], clip['end_frame'])])
            shape = footage.read([clip['start_frame']])[0].shape[:2]
        assert window.tokens is not None  # the config has a neck
        kept = window.tokens.kept
        weights = region_weights(regions[clip['clip_id']], window.box, shape, kept[0].shape[1:])
        found['region'].append(survival(kept, weights) if weights.any() else
                               np.full(len(kept), np.nan))  # outside of what the network sees
        found['all'].append(survival(kept, np.ones_like(weights)))
    return {key: np.array(values) for key, values in found.items()}


def draw(results: dict[str, dict], labels: np.ndarray, classes: list[str], out: Path) -> None:
    """Draw the shares by merge, and by class after the last one."""
    figure = Figure(figsize=(12, 4.6), layout='constrained')
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.9))
    present = [label for label in np.unique(labels) if label >= 0]
    for place, (name, found) in enumerate(results.items()):
        region = found['region']
        merges = np.arange(1, region.shape[1] + 1)
        ends = np.array([bootstrap_interval(column) for column in region.T])
        mean = region.mean(axis=0)
        left.errorbar(merges, 100 * mean, 100 * np.abs(ends.T - mean), marker='o', capsize=3,
                      label=name, color=f'C{place}')
        for step, label in enumerate(present):
            values = region[labels == label, -1]
            error = np.array([bootstrap_interval(values)]).T
            right.errorbar(step + .16 * (place - (len(results) - 1) / 2), 100 * values.mean(),
                           100 * np.abs(error - values.mean()), marker='o', capsize=2,
                           color=f'C{place}')
    chance = next(iter(results.values()))['all'].mean(axis=0)
    left.plot(merges, 100 * chance, 'k--', label='chance: all tokens alike')
    right.axhline(100 * chance[-1], color='k', linestyle='--')
    left.set(xticks=merges, xlabel='merge', ylabel='kept tokens of the gesture\'s region, %',
             ylim=(0, 100), title=f'{len(labels)} clips, 95 % intervals')
    left.legend(fontsize=8)
    right.set(ylim=(0, 100), title='after the last merge, by class')
    names = [shorten(classes[label], 32, placeholder='…') for label in present]
    right.set_xticks(range(len(present)), names, fontsize=8, rotation=25, ha='right')
    with atomic_file(out) as partial:
        figure.savefig(partial, format='png', dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of a model with a token reducer')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--regions', default='data/demo_release/regions.csv',
                        help='csv clip_id,x0,y0,x1,y1 (default: the demo release\'s)')
    parser.add_argument('--rivals', nargs='*', default=['ToMeNeck'], metavar='NECK',
                        help='reducers to compare with (default: ToMeNeck)')
    parser.add_argument('--max-clips', type=int, help='only so many clips, evenly chosen')
    parser.add_argument('--out', default='region_survival.png',
                        help='PNG; a csv lies beside it (default: region_survival.png)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes of the config')
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    init_default_scope('mmaction')
    if cfg.model.backbone.get('neck') is None:
        sys.exit(f'{args.config} has no model.backbone.neck: it keeps all tokens')
    try:
        regions = read_regions(args.regions)
        dataset = DATASETS.build(copy.deepcopy(cfg.test_dataloader.dataset))
    except (ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    clips = [dataset.get_data_info(k) for k in range(len(dataset))]
    clips = [clip for clip in clips if clip['clip_id'] in regions]
    if not clips:
        sys.exit(f'no clip of {dataset.ann_file} is in {args.regions}')
    if args.max_clips:
        clips = [clips[k] for k in np.unique(
            np.linspace(0, len(clips) - 1, args.max_clips).round().astype(int))]
    results = {}
    own = cfg.model.backbone.neck
    for neck in (own, *(dict(type=name, token_keep_ratio=own.token_keep_ratio)
                        for name in args.rivals)):
        changed = copy.deepcopy(cfg)
        changed.model.backbone.neck = neck
        results[neck['type']] = measure(changed, args.checkpoint, clips, regions, args.device)
    seen = ~np.isnan(next(iter(results.values()))['region'][:, 0])
    labels = np.array([clip['label'] for clip in clips])[seen]
    results = {name: {key: values[seen] for key, values in found.items()}
               for name, found in results.items()}
    if not seen.all():
        console.print(f'{(~seen).sum()} clips are left out: the network does not see their region')
    rows = []
    for name, found in results.items():
        for merge in range(found['region'].shape[1]):
            share, chance = found['region'][:, merge], found['all'][:, merge]
            low, high = bootstrap_interval(share)
            rows.append((name, str(merge + 1), f'{100 * share.mean():.1f}',
                         f'{100 * low:.1f} to {100 * high:.1f}', f'{100 * chance.mean():.1f}',
                         f'{share.mean() / chance.mean():.2f}'))
    frame = pd.DataFrame(rows, columns=['reducer', 'merge', 'kept %', '95 % interval', 'chance %',
                                        'kept / chance'])
    print_table(frame, f'Tokens of the moving region that are kept, {len(labels)} clips', console)
    out = Path(args.out)
    write_csv(frame, out.with_suffix('.csv'))
    draw(results, labels, list(dataset.metainfo['classes']), out)
    console.print(f'Written: {out} and {out.with_suffix(".csv")}', highlight=False, soft_wrap=True)


if __name__ == '__main__':
    main()
