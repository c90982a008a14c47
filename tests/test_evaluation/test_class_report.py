"""Confusion matrix and recall of a labelled part."""
import csv

import cv2
import numpy as np
import pytest
from evaluating import evaluate

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.evaluation import draw_confusion_matrix, write_class_report
from gaie_mmaction.evaluation.class_report import draw_recall

FILES = ['confusion_matrix.csv', 'confusion_matrix.png', 'recall.csv', 'recall.png']


def read(path):
    with open(path, newline='') as file:
        return list(csv.reader(file))


def random_labels(clips=400, classes=32):
    """Class 9 has no clip, and is predicted."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, clips)
    labels[labels == 9] = 10
    predicted = np.where(rng.random(clips) < .6, labels, rng.integers(0, classes, clips))
    predicted[0] = 9
    return predicted, labels


def test_against_plain_loops(tmp_path):
    predicted, labels = random_labels()
    values = evaluate([f'{k:04d}_0' for k in range(len(labels))], np.eye(32)[predicted], labels,
                      out_dir=str(tmp_path / 'new'), meta=dict(classes=IMIGUE_CLASSES))
    assert sorted(path.name for path in (tmp_path / 'new').iterdir()) == FILES
    matrix = [[0] * 32 for _ in range(32)]
    for true, guess in zip(labels, predicted):
        matrix[true][guess] += 1
    rows = read(tmp_path / 'new' / 'confusion_matrix.csv')
    assert rows[0][1:] == [row[0] for row in rows[1:]] == list(IMIGUE_CLASSES)
    assert [[int(cell) for cell in row[1:]] for row in rows[1:]] == matrix
    assert values['acc/top1'] == pytest.approx(np.trace(matrix) / len(labels))
    rows = read(tmp_path / 'new' / 'recall.csv')
    assert rows[0] == ['class', 'clips', 'recall']
    recalls = [float(row[2]) for row in rows[1:] if row[2]]
    assert len(recalls) == 31 and values['acc/mean1'] == pytest.approx(np.mean(recalls), abs=1e-6)
    for label, (name, clips, recall) in enumerate(rows[1:]):
        assert (name, int(clips)) == (IMIGUE_CLASSES[label], sum(matrix[label]))
        if label == 9:
            assert recall == ''
        else:
            assert float(recall) == pytest.approx(matrix[label][label] / int(clips), abs=1e-6)


def test_classes_without_names_are_numbered(tmp_path):
    evaluate(['a', 'b'], np.eye(3)[:2], [0, 2], out_dir=str(tmp_path))
    assert read(tmp_path / 'confusion_matrix.csv') == [
        ['true \\ predicted', '0', '1', '2'], ['0', '1', '0', '0'], ['1', '0', '0', '0'],
        ['2', '0', '1', '0']]


def test_nothing_of_an_unlabelled_part(tmp_path):
    assert evaluate(['a', 'b'], np.eye(3)[:2], [-1, -1], out_dir=str(tmp_path / 'new')) == {}
    assert list(tmp_path.iterdir()) == []


def test_picture(tmp_path):
    matrix = 3 * np.eye(32, dtype=int)
    matrix[9] = 0
    matrix[4, 7] = 1
    figure = draw_confusion_matrix(matrix, IMIGUE_CLASSES)
    axes = figure.axes[0]
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        ((k, k), '100') for k in range(32) if k not in (4, 9)} | {((4, 4), '75'), ((7, 4), '25')}
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[4] == f'{IMIGUE_CLASSES[4]}  (4 clips)  4' and len(names) == 32
    # nothing is cut off and no name lies on another
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(above.y0 > below.y1 for above, below in zip(boxes, boxes[1:]))
    assert min(box.x0 for box in boxes) > figure.bbox.x0
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:]))
    write_class_report(str(tmp_path), np.arange(32), np.arange(32), IMIGUE_CLASSES)
    assert cv2.imread(str(tmp_path / 'confusion_matrix.png')).std() > 20


def test_picture_of_recall():
    matrix = np.array([[3, 1, 0], [0, 0, 0], [2, 0, 18]])
    left, right = draw_recall(matrix, ['a', 'b', 'c']).axes
    assert [bar.get_width() for bar in left.patches] == [75, 0, 90]
    assert [bar.get_width() for bar in right.patches] == [4, 0, 20]
    assert [text.get_text() for text in left.texts] == ['75 %', '', '90 %']
    labels = [text.get_text() for text in left.get_legend().get_texts()]
    assert labels == ['mean of the classes: 82.5 %', 'all clips: 87.5 %']
