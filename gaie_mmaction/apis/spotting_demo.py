"""Both detectors on a synthetic release with gaps between the gestures."""
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ..datasets import IMIGUE_CLASSES
from ..datasets.segment_file import read_segments
from ..datasets.spotting_windows import WindowRule
from ..evaluation.spotting import best_threshold
from ..evaluation.window_spotting import describe
from ..synthetic.dataset import draw_dataset
from ..visualization.timeline import draw_timeline
from .spotting_data import write_spotting_data
from .training import run_tool, test, train

SUBJECTS, GAPS = dict(train=12, validate=3, test=5), (12, 40)
RULE = WindowRule(length=24, stride=6, min_overlap=.6, background_share=.25, hardness=.5)
WINDOWS, DETECTOR = 'configs/spotting/gaie_windows_demo.py', 'configs/spotting/detector_demo.py'
console = Console()


def run_spotting_demo(data: Path, work: Path, options: Sequence[str] = ()) -> dict[str, str]:
    """Draw, train and test; returns a line of figures for each detector.

    ``options`` are ``KEY=VALUE`` changes of the window classifier's config. A stopped demo is
    continued at the last finished step.
    """
    folder = data / 'spotting'
    draw_dataset(data, subjects=SUBJECTS, gap_frames=GAPS)
    console.rule('Windows of whole videos')
    print('\n'.join(write_spotting_data(data, ('train', 'val', 'test'), IMIGUE_CLASSES, RULE)))
    console.rule('Training: window classifier')
    windows = train(WINDOWS, work / 'windows', resume=True, options=options)
    changes = ['--cfg-options', *options] if options else []
    features = {part: (work / f'{part}.npz').resolve() for part in ('train', 'val', 'test')}
    for part, out in features.items():
        console.rule(f'Features and scores: {part}')
        ann_file = f'spotting/{part}_dense.csv'
        if not out.exists():
            run_tool('tools/extract_features.py', WINDOWS, str(windows), '--out', str(out),
                     '--ann-file', ann_file, '--device', 'cpu', *changes)
        if part != 'train' and not (work / f'{part}.pkl').exists():
            test(WINDOWS, windows, work / 'windows/test', dump=work / f'{part}.pkl',
                 options=[f'test_dataloader.dataset.ann_file={ann_file}', *options])
    found = {}
    console.rule('Window classifier: thresholds from the validation part')
    out = work / 'windows_segments.csv'
    run_tool('tools/spot_windows.py', f'{folder}/test_dense.csv', f'{work}/test.pkl', '--fit',
             f'{folder}/val_dense.csv', f'{work}/val.pkl', f'{folder}/val_segments.csv',
             '--true', f'{folder}/test_segments.csv', '--out', str(out))
    found['window classifier'] = read_segments(out)
    console.rule('Training: temporal detector on the features')
    found['temporal detector'] = _detect(folder, features, work)
    true = read_segments(folder / 'test_segments.csv')
    _draw(work / 'timeline.png', dict(true=true, **found))
    return {name: describe(name, segments, true) for name, segments in found.items()}


def _detect(folder: Path, features: dict[str, Path], work: Path) -> list[tuple]:
    """Segments of the test part above the threshold that is best on the validation part."""
    checkpoint = train(DETECTOR, work / 'detector', resume=True, options=[
        f'train_dataloader.dataset.dataset.features={features["train"]}',
        f'val_dataloader.dataset.features={features["val"]}'])
    found = {}
    for part in ('val', 'test'):
        out = work / f'detector_{part}.csv'
        test(DETECTOR, checkpoint, work / f'detector/{part}', options=[
            f'test_evaluator.out_file={out}',
            f'test_dataloader.dataset.features={features[part]}',
            f'test_dataloader.dataset.ann_file={part}_segments.csv'])
        found[part] = read_segments(out)
    threshold, _ = best_threshold(found['val'], read_segments(folder / 'val_segments.csv'))
    return [segment for segment in found['test'] if segment[4] >= threshold]


def _draw(path: Path, rows: dict[str, list[tuple]]) -> None:
    video_id = rows['true'][0][0]
    own = {name: [segment for segment in segments if segment[0] == video_id]
           for name, segments in rows.items()}
    last = max(segment[2] for segments in own.values() for segment in segments)
    draw_timeline(path, own, last + 1, IMIGUE_CLASSES, f'video {video_id}')
