"""Statistics of the report against scikit-learn, SciPy and plain counting."""
import math

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from gaie_mmaction.report import numbers

CLASSES = 8


@pytest.fixture
def results():
    """Probabilities ``(N, C)`` and labels; class 5 has no clip."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 600)
    labels[labels == 5] = 6
    logits = rng.normal(size=(600, CLASSES)) + 1.5 * np.eye(CLASSES)[labels]
    scores = np.exp(2 * logits)
    return scores / scores.sum(axis=1, keepdims=True), labels


@pytest.mark.filterwarnings('ignore:y_pred contains classes not in y_true')
def test_accuracies(results):
    scores, labels = results
    found, classes = numbers.accuracies(scores, labels), np.arange(CLASSES)
    for key, k in (('top1', 1), ('top5', 5)):
        assert found[key].value == pytest.approx(
            top_k_accuracy_score(labels, scores, k=k, labels=classes))
    # Wilson's interval holds the shares p with |p - found| = z sqrt(p (1 - p) / N) at its ends
    share = found['top1']
    for end in (share.low, share.high):
        assert abs(share.value - end) == pytest.approx(
            1.959964 * math.sqrt(end * (1 - end) / len(labels)), rel=1e-5)
    assert found['mean1'].value == pytest.approx(
        balanced_accuracy_score(labels, scores.argmax(axis=1)))


def test_interval_of_the_mean_class_accuracy():
    """With one class it is SciPy's bootstrap over the clips."""
    right = np.random.default_rng(0).random(200) < .7
    scores, labels = np.eye(2)[(~right).astype(int)], np.zeros(200, int)
    found = numbers.accuracies(scores, labels)['mean1']
    reference = bootstrap((right, ), np.mean, method='percentile',
                          random_state=0).confidence_interval
    assert found.low == pytest.approx(reference.low, abs=.01)
    assert found.high == pytest.approx(reference.high, abs=.01)


def test_recalls(results):
    scores, labels = results
    predicted = scores.argmax(axis=1)
    for label, share in enumerate(numbers.class_recalls(predicted, labels, CLASSES)):
        hits = [guess == label for guess, true in zip(predicted, labels) if true == label]
        assert (share is None) == (label == 5)
        assert share is None or (share.clips, share.value) == (len(hits), np.mean(hits))


def test_reliability(results):
    scores, labels = results
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == labels
    bins, error = numbers.reliability(confidence, right)
    accuracy, mean = calibration_curve(right, confidence, n_bins=numbers.CALIBRATION_BINS)
    np.testing.assert_allclose(bins.accuracy, accuracy)
    np.testing.assert_allclose(bins.confidence, mean)
    expected = 0
    for k in range(15):
        inside = [j for j, value in enumerate(confidence) if k / 15 < value <= (k + 1) / 15]
        expected += abs(sum(right[inside]) - sum(confidence[inside])) / len(labels)
    assert error == pytest.approx(expected)
    assert numbers.reliability(np.ones(4), np.ones(4, bool))[1] == 0


def test_groups():
    lengths = np.array([3] * 50 + list(range(10, 60)))
    right = np.arange(100) % 3 == 0
    rows = numbers.accuracy_by_length(lengths, right)
    assert sum(share.clips for _, share in rows) == 100 and rows[0][0].split(' to ')[0] == '3'
    assert sum(share.clips * share.value for _, share in rows) == pytest.approx(right.sum())
    assert [name for name, _ in numbers.accuracy_by_length(np.full(9, 4), right[:9])] == ['4']
    videos = numbers.accuracy_by_video(['b', 'a', 'b', 'c'], np.array([True, False, False, True]))
    assert [(name, share.value) for name, share in videos] == [('a', 0), ('b', .5), ('c', 1)]


def test_comparison():
    labels = np.zeros(20, int)
    first = np.array([0] * 12 + [1] * 8)
    second = np.array([0] * 10 + [1] * 2 + [0] * 7 + [2])
    found = numbers.compare(first, second, labels)
    assert (found.only_first, found.only_second, found.agreement) == (2, 7, .5)
    # as often as 9 fair coins show at most 2 heads, or at least 7
    assert found.p_value == pytest.approx(2 * sum(math.comb(9, k) for k in range(3)) / 2**9)
    assert numbers.compare(first, first, labels).p_value == 1
