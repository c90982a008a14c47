"""Fuse the scores of several networks: dumps of `mim test --dump`, matched by clip id.

Weights are given, or searched on the validation part alone, whose dumps come in the same
order: --val-preds. Labelled parts get figures; of an unlabelled part only the
leaderboard file can be written. The figures are those of MMAction2's report_accuracy
(with --apply-softmax if the dumps hold logits), but for one: it counts a class that is
predicted and has no clip as an accuracy of 0 in the mean of the classes, and this leaves it out,
as the test itself does.
"""
import argparse
import sys
from collections.abc import Sequence

import numpy as np

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.datasets.annotations import read_annotations
from gaie_mmaction.evaluation.fusion import (
    KINDS,
    METHODS,
    Scores,
    check_weights,
    fit_temperature,
    fuse,
    kind_of,
    match,
    read_dump,
    search_weights,
    standard_error,
    to_probabilities,
)
from gaie_mmaction.evaluation.miga_submission import accuracy
from gaie_mmaction.evaluation.submission_file import (
    FORMATS,
    examples,
    require_format,
    submission_order,
    write_submission,
)
from gaie_mmaction.utils.files import require_writable

HEADER = ('part', 'clips', 'network', 'weight', 'temperature', 'Top-1 %', 'Top-5 %',
          'mean class %')
TEXTS = (0, 2)  # columns that are no numbers


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('preds', nargs='+', help='dumps, one a network')
    parser.add_argument('--weights', nargs='+', type=float,
                        help='one a network (default: equal weights)')
    parser.add_argument('--val-preds', nargs='+', default=[],
                        help='dumps of the same networks on the validation part')
    parser.add_argument('--search', choices=METHODS, help='search the weights on --val-preds')
    parser.add_argument('--calibrate', action='store_true',
                        help='give each network a temperature, fitted on --val-preds')
    parser.add_argument('--scores', choices=KINDS,
                        help='what the dumps hold (default: probabilities where all rows of a '
                        'dump sum to 1, else logits)')
    parser.add_argument('--out', help='leaderboard file, .csv or .zip')
    parser.add_argument('--format', choices=FORMATS, default='2025',
                        help='year of the challenge (default: %(default)s)')
    parser.add_argument('--ann-file', default='data/imigue/test.csv',
                        help='annotation file of the part that --out is of (default: %(default)s)')
    parser.add_argument('--num-classes', type=int, default=len(IMIGUE_CLASSES),
                        help='of the data set that --out is of (default: %(default)s)')
    args = parser.parse_args(argv)
    if (args.search or args.calibrate) and not args.val_preds:
        parser.error('--search and --calibrate need --val-preds: nothing is fitted on the clips '
                     'that are fused')
    if args.val_preds and len(args.val_preds) != len(args.preds):
        parser.error(f'--val-preds needs a dump of each of the {len(args.preds)} networks, but got '
                     f'{len(args.val_preds)}')
    if args.search and args.weights:
        parser.error('give either --weights or --search')
    return args


def require_other_labelled_clips(val: Scores, test: Scores) -> None:
    """Weights and temperatures must not come from the clips that they are used on."""
    both = sorted(set(val.ids) & set(test.ids), key=submission_order)
    if both:
        raise ValueError(f'{len(both)} clips are in --val-preds and in the fused part too, e.g. '
                         f'{examples(both)}: their figures would be of fitted clips')
    if (val.labels < 0).any():
        raise ValueError(f'{int((val.labels < 0).sum())} clips of --val-preds have no label')


def size_warning(clips: int, top1: float, streams: int, searched: bool) -> str:
    """How far figures on so few clips can be trusted."""
    fitted = f'the weights of {streams} networks' if searched else 'the temperatures'
    return (f'warning: {fitted} were fitted on {clips} clips. The standard error of their Top-1 is '
            f'{100 * standard_error(top1, clips):.1f} points: smaller differences mean nothing, '
            'and the fused figures of the validation part are too good')


def rows_of(part: str, streams: Sequence[Scores], probabilities: list[np.ndarray],
            fused: np.ndarray, weights: np.ndarray,
            temperatures: Sequence[float]) -> list[tuple[str, ...]]:
    """A row a network and one for their sum; none if the part has no labels."""
    labels = streams[0].labels
    if (labels < 0).any():
        return []
    fitted = [(stream.path, f'{weight:.3f}', f'{temperature:.2f}')
              for stream, weight, temperature in zip(streams, weights, temperatures)]
    rows = []
    for scores, names in zip((*probabilities, fused), (*fitted, ('fused', '', ''))):
        figures = accuracy(scores, labels)
        rows.append((part, str(len(labels)), *names,
                     *(f'{100 * figures[key]:.2f}' for key in ('top1', 'top5', 'mean1'))))
    return rows


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as they need to be, also where the output is no screen."""
    rows = [HEADER, *rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print('  '.join(cell.ljust(width) if k in TEXTS else cell.rjust(width)
                        for k, (cell, width) in enumerate(zip(row, widths))))


def submit(args: argparse.Namespace, test: Scores, fused: np.ndarray) -> None:
    """Write the leaderboard file of a whole part."""
    if fused.shape[1] != args.num_classes:
        raise ValueError(f'the dumps have scores of {fused.shape[1]} classes, but the leaderboard '
                         f'has {args.num_classes} (--num-classes); {args.out} was not written')
    expected = {clip['clip_id'] for clip in read_annotations(args.ann_file, args.num_classes)}
    for what, clips in ((f'are not in {args.ann_file}', set(test.ids) - expected),
                        (f'of {args.ann_file} are not in the dumps', expected - set(test.ids))):
        if clips:
            raise ValueError(f'{len(clips)} clips {what}, e.g. '
                             f'{examples(sorted(clips, key=submission_order))}; {args.out} was not '
                             'written')
    write_submission(args.out, test.ids, fused.argmax(axis=1), args.format)
    print(f'{len(test.ids)} predictions are written to {args.out}')


def run(args: argparse.Namespace) -> None:
    """Read, fit, fuse, print, write."""
    require_format(args.out, args.format)
    if args.out:
        require_writable(args.out)
    num_streams = len(args.preds)
    weights = check_weights(args.weights or [1] * num_streams, num_streams)
    tests = match([read_dump(path) for path in args.preds])
    vals = match([read_dump(path) for path in args.val_preds]) if args.val_preds else []
    temperatures = [1.] * num_streams
    if vals:
        require_other_labelled_clips(vals[0], tests[0])
    # what a network gives does not depend on the part, so both are read in the same way
    kinds = [args.scores or kind_of(test.scores) for test in tests]
    print(f'the dumps hold {", ".join(kinds)}')
    if args.calibrate:
        temperatures = [fit_temperature(val.scores, val.labels, kind)
                        for val, kind in zip(vals, kinds)]

    def probabilities_of(streams: Sequence[Scores]) -> list[np.ndarray]:
        return [to_probabilities(stream.scores, kind, temperature)
                for stream, kind, temperature in zip(streams, kinds, temperatures)]

    rows: list[tuple[str, ...]] = []
    if vals:
        probabilities = probabilities_of(vals)
        if args.search:
            weights = search_weights(probabilities, vals[0].labels, args.search)
        fused = fuse(probabilities, weights)
        rows += rows_of('validation', vals, probabilities, fused, weights, temperatures)
        if args.search or args.calibrate:
            top1 = accuracy(fused, vals[0].labels)['top1']
            print(size_warning(len(vals[0].ids), top1, num_streams, bool(args.search)))
    probabilities = probabilities_of(tests)
    fused = fuse(probabilities, weights)
    rows += rows_of('test', tests, probabilities, fused, weights, temperatures)
    if rows:
        print_table(rows)
    if unlabelled := int((tests[0].labels < 0).sum()):
        print(f'{unlabelled} of {len(tests[0].ids)} clips have no label: no figures of the test '
              f'part; weights {" ".join(f"{weight:.3f}" for weight in weights)}')
    if args.out:
        submit(args, tests[0], fused)


def main(argv: Sequence[str] | None = None) -> None:
    try:
        run(parse(argv))
    except (OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
