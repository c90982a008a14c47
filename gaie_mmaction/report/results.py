"""Everything that the page of one or several score dumps shows."""
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import combinations

import numpy as np
import pandas as pd
from mmengine.config import Config

from ..apis.model import build_recognizer, find_class_names, require_test_part, view_shape
from ..benchmark.complexity import measure_complexity
from ..evaluation.fusion import TINY, get_kind, to_probabilities
from ..evaluation.score_dump import Scores, match, read_dump
from . import numbers
from .clips import ClipInfo, read_clip_infos
from .numbers import Comparison, Share

NUM_BEST = 5
VERSIONS = ('gaie_mmaction', 'mmaction2', 'mmengine', 'torch', 'numpy')


@dataclass
class Network:
    """Results of one dump; statistics are of the labelled clips, and None without any."""
    name: str
    ranked: np.ndarray  # (N, C) classes, from the highest score down
    scores: np.ndarray  # (N, C) probabilities of ``ranked``
    losses: np.ndarray  # (N,) -log p of the label, NaN without a label
    accuracies: dict[str, Share] | None = None
    recalls: list[Share | None] | None = None
    reliability: pd.DataFrame | None = None
    calibration_error: float | None = None
    by_length: list[tuple[str, Share]] | None = None
    by_video: list[tuple[str, Share]] | None = None

    @property
    def mean_confidence(self) -> float:
        """Mean score of the predicted class, of all clips."""
        return float(self.scores[:, 0].mean())


@dataclass
class Results:
    """Of S networks on the same N clips of C classes."""
    config: str
    config_text: str
    classes: tuple[str, ...]
    ids: list[str]
    labels: np.ndarray  # (N,), -1 where there is none
    clips: list[ClipInfo]
    networks: list[Network]
    comparisons: list[tuple[int, int, Comparison]]  # numbers of two networks
    cost: list[tuple[str, str]]
    versions: list[tuple[str, str]]
    notes: list[str]


def read_results(cfg: Config, dumps: Sequence[str]) -> Results:
    """Read dumps (``mim test --dump``) of the same clips, one per network; all statistics.

    The test annotations of ``cfg`` give lengths and videos, its model the cost. A ``ValueError`` if
    one is not a dump, or if their clips, labels or classes differ.
    """
    require_test_part(cfg)
    streams = match([read_dump(path) for path in dumps])
    ids, labels = streams[0].ids, streams[0].labels
    names = find_class_names({}, cfg, streams[0].scores.shape[1])
    clips, notes = read_clip_infos(cfg, ids)
    if names.origin == 'nobody':
        notes.append('The config names no classes, or another number of them: they are numbered')
    if unlabelled := int((labels < 0).sum()):
        notes.append(f'{unlabelled} of {len(ids)} clips have no label, and do not enter accuracies')
    networks = [_evaluate(stream, clips) for stream in streams]
    labelled = labels >= 0
    predicted = [network.ranked[labelled, 0] for network in networks]
    comparisons = [(i, j, numbers.compare(predicted[i], predicted[j], labels[labelled]))
                   for i, j in combinations(range(len(networks)), 2) if labelled.any()]
    cost = _measure_cost(cfg, notes)
    versions = [('Python', platform.python_version()), *((name, version(name))
                                                         for name in VERSIONS)]
    return Results(str(cfg.filename), cfg.pretty_text, names.names, ids, labels, clips, networks,
                   comparisons, cost, versions, notes)


def _evaluate(stream: Scores, clips: Sequence[ClipInfo]) -> Network:
    probabilities = to_probabilities(stream.scores, get_kind(stream.scores))
    ranked, labelled = numbers.rank_classes(probabilities), stream.labels >= 0
    scores = np.take_along_axis(probabilities, ranked, axis=1)
    network = Network(stream.path, ranked, scores, np.full(len(labelled), np.nan))
    if not labelled.any():
        return network
    labels, predicted = stream.labels[labelled], ranked[labelled, 0]
    right = predicted == labels
    network.losses[labelled] = -np.log(np.maximum(probabilities[labelled, labels], TINY))
    network.accuracies = numbers.accuracies(probabilities[labelled], labels)
    network.recalls = numbers.class_recalls(predicted, labels, probabilities.shape[1])
    network.reliability, network.calibration_error = numbers.reliability(scores[labelled, 0], right)
    infos = [info for info, has_label in zip(clips, labelled) if has_label]
    if all(info.length is not None for info in infos):
        lengths = np.array([info.length for info in infos])
        network.by_length = numbers.accuracy_by_length(lengths, right)
    videos = [info.filename for info in infos]
    # of cut clips each is a video of its own
    if None not in videos and len(set(videos)) < len(videos):
        network.by_video = numbers.accuracy_by_video([str(video) for video in videos], right)
    return network


def _measure_cost(cfg: Config, notes: list[str]) -> list[tuple[str, str]]:
    packed = cfg.test_dataloader.dataset.pipeline[-1].get('collect_keys', ())
    try:
        if len(packed) > 1:
            raise ValueError(f'it takes {", ".join(packed)} together, only one input is counted')
        cost = measure_complexity(build_recognizer(cfg, 'meta'), view_shape(cfg))
    except (OSError, ValueError) as error:  # OSError: a file that the model needs
        notes.append(f'The cost of the model is unknown: {error}')
        return []
    return [('Parameters', f'{cost.parameters / 1e6:.2f} M'),
            ('GMACs per view', f'{cost.true_macs / 1e9:.2f}'),
            ("GMACs per view, paper's convention", f'{cost.paper_macs / 1e9:.2f}')]
