"""Masked pretraining on a synthetic dataset: unlabelled clips, pretraining, finetuning, test.

GAIE is finetuned on the labels of 2 of 24 people, from the pretrained weights and from scratch.
"""
import os
from pathlib import Path

from mmengine.config import Config
from rich.console import Console

from gaie_mmaction.apis.training import run_demo, train
from gaie_mmaction.apis.unlabelled import write_windows
from gaie_mmaction.benchmark.accuracy import measure_accuracy
from gaie_mmaction.synthetic.dataset import draw_dataset
from gaie_mmaction.utils.command_line import tool_parser

DATA, WORK = Path('data/demo'), Path('work_dirs/demo_pretraining')
PRETRAINING, FINETUNING = 'configs/pretraining/videomae_demo.py', 'configs/demo/gaie_few_demo.py'
console = Console()


def finetune(weights: Path | None, name: str) -> float:
    """Train on the labels and test on unseen people; returns Top-1 in [0, 1]."""
    console.rule(f'Finetuning {name}')
    checkpoint = train(FINETUNING, WORK / name,
                       options=[f'model.backbone.pretrained={weights}'])
    metrics = measure_accuracy(Config.fromfile(FINETUNING), str(checkpoint),
                               str(WORK / name / 'test'))
    assert metrics is not None  # the synthetic test part is labelled
    return metrics['acc/top1']


def main() -> None:
    tool_parser(__doc__).parse_args()
    console.rule('Drawing a synthetic dataset')
    draw_dataset(DATA)
    number, _ = write_windows(DATA / 'videos', DATA / 'windows.csv', per_video=30, window=32,
                              ann_files=[DATA / 'trainval.csv'], workers=os.cpu_count() or 1)
    console.rule(f'Pretraining on {number} unlabelled windows')
    weights = train(PRETRAINING, WORK / 'pretraining')
    pretrained, scratch = finetune(weights, 'pretrained'), finetune(None, 'from_scratch')
    console.rule('Top-1 on unseen people')
    console.print(f'from scratch {scratch:.1%}, pretrained {pretrained:.1%}: '
                  f'{100 * (pretrained - scratch):+.1f} points, one seed', highlight=False)


if __name__ == '__main__':
    run_demo(main, __file__)
