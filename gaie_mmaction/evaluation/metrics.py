"""Accuracy of scores."""
import numpy as np


def accuracy(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Top-1, Top-5 and mean class accuracy.

    Args:
        scores (np.ndarray): ``(clips, classes)``, higher = more likely.
        labels (np.ndarray): ``(clips,)``, in [0, classes).

    Returns:
        dict[str, float]: ``top1``, ``top5`` and ``mean1`` (mean over the classes that occur in
        ``labels``), each in [0, 1]. Ties go to the lower class.
    """
    from sklearn.metrics import recall_score  # slow to import
    # scikit-learn's own Top-k gives ties to the higher class, unlike argmax
    ranked = np.argsort(-scores, axis=1, kind='stable')
    hits = ranked == labels[:, None]
    # unlike balanced_accuracy_score, no warning about predicted classes without clips
    mean1 = recall_score(labels, ranked[:, 0], labels=np.unique(labels), average='macro')
    return dict(top1=float(hits[:, 0].mean()), top5=float(hits[:, :5].any(axis=1).mean()),
                mean1=float(mean1))
