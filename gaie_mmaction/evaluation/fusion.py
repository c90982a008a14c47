"""Late fusion: one weighted sum of the scores of several networks.

Letters: S streams (networks), N clips, C classes.
"""
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from ..utils.safe_pickle import load_pickle_safely
from .miga_submission import accuracy
from .submission_file import examples, submission_order

KINDS = ('probabilities', 'logits')
METHODS = ('grid', 'nelder-mead')
SUM_TOLERANCE = 1e-3  # of probabilities that went through half precision
GRID_LIMIT = 20000
TINY = 1e-12


@dataclass
class Scores:
    """What one network says of some clips.

    Attributes:
        path (str): Where it comes from.
        ids (list[str]): Of the N clips.
        scores (np.ndarray): ``(N, C)`` float64.
        labels (np.ndarray): ``(N,)``, -1 where there is none.
    """
    path: str
    ids: list[str]
    scores: np.ndarray
    labels: np.ndarray


def read_dump(path: str) -> Scores:
    """Read what ``mim test --dump`` wrote, without running anything that it may hold.

    Args:
        path (str): The pickle: a list, for each clip a dict with ``clip_id``,
            ``pred_score`` ``(C,)`` and ``gt_label`` ``(1,)``.

    Returns:
        Scores: Of its clips.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else, a clip twice, scores that are not finite,
            or different numbers of classes.
    """
    samples = load_pickle_safely(path)
    if not (isinstance(samples, list) and samples
            and all(isinstance(sample, dict) for sample in samples)):
        raise ValueError(f'{path} is no list of clips: make it by `mim test mmaction CONFIG '
                         f'--checkpoint FILE --dump {path}`')
    for key in ('clip_id', 'pred_score', 'gt_label'):
        if lacking := sum(key not in sample for sample in samples):
            way = ": add 'clip_id' to meta_keys of PackActionInputs" if key == 'clip_id' else ''
            raise ValueError(f'{path}: {lacking} of {len(samples)} clips have no {key}{way}')
    ids = [sample['clip_id'] for sample in samples]
    if unnamed := [clip_id for clip_id in ids if not isinstance(clip_id, str)]:
        raise ValueError(f'{path}: {len(unnamed)} clips have an id that is not a text, e.g. '
                         f'{examples(unnamed)}')
    repeated = sorted(clip_id for clip_id, times in Counter(ids).items() if times > 1)
    if repeated:
        raise ValueError(f'{path}: {len(repeated)} clips occur more than once, e.g. '
                         f'{examples(repeated)}')
    rows = [_vector(path, sample) for sample in samples]
    shapes = {row.shape for row in rows}
    if len(shapes) > 1 or rows[0].ndim != 1:
        raise ValueError(f'{path}: each clip needs one score a class, but there are the shapes '
                         f"{sorted(shapes)}: set average_clips='prob' of the head")
    scores = np.stack(rows)
    broken = [clip_id for clip_id, row in zip(ids, scores) if not np.isfinite(row).all()]
    if broken:
        raise ValueError(f'{path}: the scores of {len(broken)} clips are not finite, e.g. '
                         f'{examples(broken)}')
    labels = np.array([_label(path, sample) for sample in samples])
    if labels.max() >= scores.shape[1]:
        raise ValueError(f'{path}: there are labels up to {labels.max()}, but scores of only '
                         f'{scores.shape[1]} classes')
    return Scores(path, ids, scores, labels)


def _vector(path: str, sample: dict) -> np.ndarray:
    scores = sample['pred_score']
    if not isinstance(scores, (torch.Tensor, np.ndarray)):
        raise ValueError(f'{path}: pred_score of clip {sample["clip_id"]} must be a tensor, but is '
                         f'a {type(scores).__name__}')
    scores = torch.as_tensor(scores)
    # bfloat16 is too coarse to tell probabilities from logits by their sum
    if scores.dtype not in (torch.float16, torch.float32, torch.float64):
        raise ValueError(f'{path}: pred_score of clip {sample["clip_id"]} is {scores.dtype}, but '
                         'must be float32 (or float16, float64): cast it before it is dumped')
    return scores.detach().double().cpu().numpy()


def _label(path: str, sample: dict) -> int:
    label = sample['gt_label']
    if not isinstance(label, (torch.Tensor, np.ndarray, np.integer, int)):
        raise ValueError(f'{path}: gt_label of clip {sample["clip_id"]} must be a tensor, but is a '
                         f'{type(label).__name__}')
    label = torch.as_tensor(label)
    if label.is_floating_point() or label.is_complex():
        raise ValueError(f'{path}: gt_label of clip {sample["clip_id"]} is {label.dtype}, but must '
                         'be an integer')
    if label.numel() != 1:
        raise ValueError(f'{path}: clip {sample["clip_id"]} has {label.numel()} labels instead of '
                         'one')
    return int(label)


def match(streams: Sequence[Scores]) -> list[Scores]:
    """Bring the clips of all streams into the order of the first, by their ids.

    Args:
        streams (Sequence[Scores]): At least one.

    Returns:
        list[Scores]: With the same ids each.

    Raises:
        ValueError: If a clip is missing in one, or if their labels or numbers of
            classes differ.
    """
    first, matched = streams[0], []
    for stream in streams:
        places = {clip_id: k for k, clip_id in enumerate(stream.ids)}
        missing = sorted(set(first.ids) - set(places), key=submission_order)
        extra = sorted(set(places) - set(first.ids), key=submission_order)
        if missing or extra:
            parts = [f'{len(clips)} clips are only in {path}, e.g. {examples(clips)}'
                     for clips, path in ((missing, first.path), (extra, stream.path)) if clips]
            raise ValueError(f'{"; ".join(parts)}: test all networks on the same part')
        if stream.scores.shape[1] != first.scores.shape[1]:
            raise ValueError(f'{first.path} has {first.scores.shape[1]} classes, but {stream.path} '
                             f'has {stream.scores.shape[1]}')
        order = [places[clip_id] for clip_id in first.ids]
        labels = stream.labels[order]
        if (labels != first.labels).any():
            clips = [clip_id for clip_id, differs in zip(first.ids, labels != first.labels)
                     if differs]
            raise ValueError(f'{first.path} and {stream.path} have different labels of '
                             f'{len(clips)} clips, e.g. {examples(clips)}')
        matched.append(Scores(stream.path, list(first.ids), stream.scores[order], labels))
    return matched


def kind_of(scores: np.ndarray) -> str:
    """``'probabilities'`` if all rows of ``(N, C)`` are >= 0 and sum to 1, else ``'logits'``."""
    sums = np.abs(scores.sum(axis=1) - 1)
    return 'probabilities' if (scores >= 0).all() and (sums < SUM_TOLERANCE).all() else 'logits'


def _to_logits(scores: np.ndarray, kind: str) -> np.ndarray:
    if kind not in KINDS:
        raise ValueError(f'kind must be one of {KINDS}, but got {kind!r}')
    if kind == 'logits':
        return scores
    if kind_of(scores) != kind:
        raise ValueError('the scores are no probabilities: rows are not in [0, 1] or do not sum '
                         'to 1; take them for logits')
    return np.log(np.maximum(scores, TINY))


def to_probabilities(scores: np.ndarray, kind: str, temperature: float = 1.) -> np.ndarray:
    """Probabilities of scores.

    Args:
        scores (np.ndarray): ``(N, C)``.
        kind (str): ``'logits'`` or ``'probabilities'``.
        temperature (float): Divides logits, or the logarithms of probabilities, before
            the softmax. Above 1 it makes them flatter. Defaults to 1.

    Returns:
        np.ndarray: ``(N, C)``; probabilities with temperature 1 as they are.

    Raises:
        ValueError: If ``kind`` is neither, or says that scores are probabilities,
            which they are not.
    """
    logits = _to_logits(scores, kind)
    if kind == 'probabilities' and temperature == 1:
        return scores
    return softmax(logits / temperature, axis=1)


def negative_log_likelihood(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of ``-log p`` of the true class; ``(N, C)`` and ``(N,)``."""
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(true, TINY)).mean())


def fit_temperature(scores: np.ndarray, labels: np.ndarray, kind: str) -> float:
    """Temperature of the lowest negative log likelihood, between 0.05 and 20.

    "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.

    Args:
        scores (np.ndarray): ``(N, C)`` of the validation part.
        labels (np.ndarray): ``(N,)``.
        kind (str): As of :func:`to_probabilities`.

    Returns:
        float: The temperature.
    """
    logits = _to_logits(scores, kind)

    def loss(log_temperature: float) -> float:
        log_p = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -log_p[np.arange(len(labels)), labels].mean()

    return float(np.exp(minimize_scalar(loss, bounds=np.log((.05, 20)), method='bounded').x))


def check_weights(weights: Sequence[float] | np.ndarray, streams: int) -> np.ndarray:
    """Weights as an array.

    Args:
        weights (Sequence[float]): One a stream.
        streams (int): S.

    Returns:
        np.ndarray: ``(S,)``, as given.

    Raises:
        ValueError: If there are not S, one is negative or not finite, or all are 0.
    """
    values = np.array(weights, np.float64)
    if len(values) != streams:
        raise ValueError(f'there are {streams} streams, but {len(values)} weights')
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(f'weights must be finite and not negative, but got {list(weights)}')
    if values.sum() == 0:
        raise ValueError(f'the weights {list(weights)} sum to zero: at least one stream must count')
    return values


def fuse(probabilities: Sequence[np.ndarray],
         weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Weighted sum of the streams, as MMAction2's ``get_weighted_score``.

    Args:
        probabilities (Sequence[np.ndarray]): S of ``(N, C)``.
        weights (Sequence[float]): One a stream; their sum need not be 1.

    Returns:
        np.ndarray: ``(N, C)``.

    Raises:
        ValueError: As of :func:`check_weights`.
    """
    return np.tensordot(check_weights(weights, len(probabilities)), np.stack(probabilities), 1)


def search_weights(probabilities: Sequence[np.ndarray], labels: np.ndarray, method: str = 'grid',
                   steps: int = 20) -> np.ndarray:
    """Weights that are best on the given clips, which must be no test clips.

    Args:
        probabilities (Sequence[np.ndarray]): S of ``(N, C)``.
        labels (np.ndarray): ``(N,)``.
        method (str): ``'grid'`` tries all weights that are multiples of ``1 / steps`` and takes
            the best Top-1, of equal ones that of the lowest negative log likelihood of the fused
            scores; with more than 20,000 of them the steps get coarser. ``'nelder-mead'``
            minimises that likelihood from equal weights on, as Top-1 has no slope.
            Defaults to ``'grid'``.
        steps (int): Of the grid. Defaults to 20.

    Returns:
        np.ndarray: ``(S,)``, their sum is 1.

    Raises:
        ValueError: If there is no such method.
    """
    if method not in METHODS:
        raise ValueError(f'method must be one of {METHODS}, but got {method!r}')
    streams = len(probabilities)

    def loss(weights: np.ndarray) -> float:
        return negative_log_likelihood(fuse(probabilities, weights), labels)

    if method == 'nelder-mead':
        result = minimize(lambda logits: loss(softmax(logits)), np.zeros(streams),
                          method='Nelder-Mead', options=dict(maxiter=400 * streams))
        return softmax(result.x)

    def rank(weights: np.ndarray) -> tuple[float, float]:
        return accuracy(fuse(probabilities, weights), labels)['top1'], -loss(weights)

    return max(_grid(streams, steps), key=rank)


def _grid(streams: int, steps: int) -> list[np.ndarray]:
    """All weights of multiples of 1 / steps whose sum is 1."""
    while comb(steps + streams - 1, streams - 1) > GRID_LIMIT and steps > 1:
        steps -= 1
    points = []
    for bars in itertools.combinations(range(steps + streams - 1), streams - 1):
        edges = np.array((-1, *bars, steps + streams - 1))
        points.append((np.diff(edges) - 1) / steps)
    return points


def standard_error(share: float, clips: int) -> float:
    """Standard error of a share of hits among some clips.

    After Agresti and Coull ("Approximate is better than exact", The American Statistician
    52, 1998): two hits and two misses are added, so that it is not 0 where all are hits.
    """
    share = (share * clips + 2) / (clips + 4)
    return float(np.sqrt(share * (1 - share) / (clips + 4)))
