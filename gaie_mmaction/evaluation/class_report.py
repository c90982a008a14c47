"""What the classes of a labelled part came to: confusion matrix and recall."""
import csv
import os
from typing import Iterable, Sequence

import numpy as np
from mmaction.evaluation import ConfusionMatrix

from ..files import atomic_file

CELL = .3  # inches
DPI = 120


def write_class_report(out_dir: str, predicted: np.ndarray, labels: np.ndarray,
                       classes: Sequence[str]) -> None:
    """Write ``confusion_matrix.csv``, ``confusion_matrix.png`` and ``recall.csv``.

    The matrix in the csv holds numbers of clips, a row a true class. In the
    picture each row is divided by its sum. Recall is empty for a class without clips.

    Args:
        out_dir (str): Folder, made if missing.
        predicted (np.ndarray): ``(clips,)``, in [0, classes).
        labels (np.ndarray): ``(clips,)``, in [0, classes).
        classes (Sequence[str]): Their names.

    Raises:
        OSError: If a file cannot be written.
    """
    matrix = ConfusionMatrix.calculate(predicted, labels, num_classes=len(classes)).numpy()
    clips = matrix.sum(axis=1)
    recalls = [f'{hits / number:.6f}' if number else ''
               for hits, number in zip(matrix.diagonal(), clips)]
    _write_csv(
        os.path.join(out_dir, 'confusion_matrix.csv'), ('true \\ predicted', *classes),
        [(name, *row) for name, row in zip(classes, matrix.tolist())])
    _write_csv(
        os.path.join(out_dir, 'recall.csv'), ('class', 'clips', 'recall'),
        zip(classes, clips.tolist(), recalls))
    with atomic_file(os.path.join(out_dir, 'confusion_matrix.png')) as partial:
        draw_confusion_matrix(matrix, classes).savefig(partial, format='png', dpi=DPI,
                                                      bbox_inches='tight')


def _write_csv(path: str, header: tuple, rows: Iterable[tuple]) -> None:
    with atomic_file(path) as partial, open(partial, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(header)
        writer.writerows(rows)


def draw_confusion_matrix(matrix: np.ndarray, classes: Sequence[str]):
    """Draw a confusion matrix in percent of each row.

    Names stand at the rows alone; the columns have the numbers that the rows
    end with. MMAction2's own ``ConfusionMatrix.plot`` puts the names at both, and
    32 of them overlap.

    Args:
        matrix (np.ndarray): ``(classes, classes)`` numbers of clips, a row a true class.
        classes (Sequence[str]): Names.

    Returns:
        matplotlib.figure.Figure: The picture. Rows without clips are grey.
    """
    from matplotlib.figure import Figure  # not pyplot: no screen, no state
    clips = matrix.sum(axis=1, keepdims=True)
    percent = np.ma.masked_invalid(np.where(clips, 100 * matrix / np.maximum(clips, 1), np.nan))
    side = CELL * len(classes)
    figure = Figure(figsize=(side + 6.5, side + 1.5), layout='constrained')
    axes = figure.add_subplot()
    image = axes.imshow(percent, cmap='Blues', vmin=0, vmax=100)
    for row, column in zip(*np.nonzero(percent.filled(0) >= .5)):
        value = percent[row, column]
        axes.text(column, row, f'{value:.0f}', ha='center', va='center', fontsize=7,
                  color='white' if value > 55 else 'black')
    axes.set_facecolor('0.85')
    ids = np.arange(len(classes))
    axes.set_xticks(ids, ids, fontsize=8)
    axes.set_yticks(ids, [f'{name}  ({number} clips)  {label}' for label, (name, number) in
                          enumerate(zip(classes, clips[:, 0]))], fontsize=8)
    axes.tick_params(length=0)
    axes.set(xlabel='predicted class', ylabel='true class',
             title='Share of the clips of each class, %')
    figure.colorbar(image, ax=axes, label='%', shrink=.6)
    return figure
