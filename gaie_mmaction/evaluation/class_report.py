"""Results of a labelled part: accuracy, confusion matrix, recall of each class."""
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..utils.files import atomic_file

if TYPE_CHECKING:  # slow to import
    from matplotlib.figure import Figure

CELL = .3  # inches
DPI = 120


def accuracy(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Top-1, Top-5 and mean class accuracy, in [0, 1]; ties go to the lower class.

    Args:
        scores (np.ndarray): ``(clips, classes)``, higher = more likely.
        labels (np.ndarray): ``(clips,)``, in [0, classes).

    Returns:
        dict[str, float]: ``top1``, ``top5``, and ``mean1`` over the classes that occur in
        ``labels``.
    """
    from sklearn.metrics import recall_score  # slow to import
    # scikit-learn's own Top-k gives ties to the higher class, unlike argmax
    ranked = np.argsort(-scores, axis=1, kind='stable')
    hits = ranked == labels[:, None]
    # unlike balanced_accuracy_score, no warning about predicted classes without clips
    mean1 = recall_score(labels, ranked[:, 0], labels=np.unique(labels), average='macro')
    return dict(top1=float(hits[:, 0].mean()), top5=float(hits[:, :5].any(axis=1).mean()),
                mean1=float(mean1))


def write_class_report(out_dir: str, predicted: np.ndarray, labels: np.ndarray,
                       classes: Sequence[str]) -> None:
    """Write ``confusion_matrix.csv``, ``recall.csv`` and a picture of each (``.png``).

    The csv of the matrix holds numbers of clips, one row per true class; in the picture each row
    is divided by its sum. Recall, the accuracy of a class, is empty for a class without clips; its
    picture also shows how many clips each class has. ``predicted`` and ``labels`` are
    ``(clips,)``, in [0, classes).
    """
    import pandas as pd  # both slow to import
    from sklearn.metrics import confusion_matrix, recall_score
    ids = np.arange(len(classes))
    matrix = confusion_matrix(labels, predicted, labels=ids)
    recall = recall_score(labels, predicted, labels=ids, average=None, zero_division=np.nan)
    tables = dict(
        confusion_matrix=pd.DataFrame(matrix, pd.Index(classes, name='true \\ predicted'), classes),
        recall=pd.DataFrame(dict(clips=matrix.sum(axis=1), recall=recall),
                            pd.Index(classes, name='class')))
    for name, table in tables.items():
        with atomic_file(os.path.join(out_dir, f'{name}.csv')) as partial:
            table.to_csv(partial, float_format='%.6f', lineterminator='\n')
    for name, draw in (('confusion_matrix', draw_confusion_matrix), ('recall', draw_recall)):
        with atomic_file(os.path.join(out_dir, f'{name}.png')) as partial:
            draw(matrix, classes).savefig(partial, format='png', dpi=DPI, bbox_inches='tight')


def draw_confusion_matrix(matrix: np.ndarray, classes: Sequence[str]) -> 'Figure':
    """Draw a confusion matrix in percent of each row; rows without clips are grey.

    ``matrix`` holds numbers of clips, one row per true class. The columns carry class ids only:
    MMAction2's ``ConfusionMatrix.plot`` writes names there too, and 32 of them overlap.
    """
    from matplotlib.figure import Figure  # not pyplot: no screen, no state
    clips = matrix.sum(axis=1, keepdims=True)
    percent = np.ma.masked_invalid(np.where(clips, 100 * matrix / np.maximum(clips, 1), np.nan))
    side = CELL * len(classes)
    figure = Figure(figsize=(side + 6.5, side + 1.5), layout='constrained')
    axes = figure.add_subplot(facecolor='0.85')
    image = axes.imshow(percent, cmap='Blues', vmin=0, vmax=100)
    for row, column in zip(*np.nonzero(percent.filled(0) >= .5)):
        value = percent[row, column]
        axes.text(column, row, f'{value:.0f}', ha='center', va='center', fontsize=7,
                  color='white' if value > 55 else 'black')
    ids = np.arange(len(classes))
    axes.set_xticks(ids, ids, fontsize=8)
    axes.set_yticks(ids, [f'{name}  ({number} clips)  {label}' for label, (name, number) in
                          enumerate(zip(classes, clips[:, 0]))], fontsize=8)
    axes.tick_params(length=0)
    axes.set(xlabel='predicted class', ylabel='true class',
             title='Share of the clips of each class, %')
    figure.colorbar(image, ax=axes, label='%', shrink=.6)
    return figure


def draw_recall(matrix: np.ndarray, classes: Sequence[str]) -> 'Figure':
    """Draw the accuracy and the number of clips of each class; arguments as above."""
    from matplotlib.figure import Figure  # not pyplot: no screen, no state
    clips, hits, ids = matrix.sum(axis=1), matrix.diagonal(), np.arange(len(classes))
    figure = Figure(figsize=(12, CELL * len(classes) + 1.5), layout='constrained')
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    recall = 100 * hits / np.maximum(clips, 1)
    left.bar_label(left.barh(ids, recall), fontsize=7, padding=3, labels=[
        f'{share:.0f} %' if number else '' for share, number in zip(recall, clips)])
    mean = recall[clips > 0].mean() if clips.any() else 0
    left.axvline(mean, color='C1', label=f'mean of the classes: {mean:.1f} %')
    top1 = 100 * hits.sum() / max(clips.sum(), 1)
    left.axvline(top1, color='C2', linestyle='--', label=f'all clips: {top1:.1f} %')
    left.legend(fontsize=8, loc='lower right')
    left.set(xlim=(0, 108), xlabel='accuracy, %', title='Accuracy of each class')
    left.set_yticks(ids, [f'{name}  {label}' for label, name in enumerate(classes)], fontsize=8)
    left.invert_yaxis()
    left.margins(y=.01)
    right.bar_label(right.barh(ids, clips, color='0.6'), fontsize=7, padding=3)
    right.margins(y=.01)
    right.set(xlabel='clips', title='Clips of each class', xlim=(0, 1.2 * max(clips.max(), 1)))
    return figure
