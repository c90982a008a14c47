"""The file that describes an entry: its streams and how they are fused."""
import difflib
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from ..datasets.views import parse_views
from ..evaluation.fusion import RULES
from ..evaluation.submission_file import require_format
from ..utils.files import read_text


@dataclass(frozen=True)
class Stream:
    """One network of an entry.

    Attributes:
        name (str): Name in the report, and of its folder.
        config (str): Path of the config.
        weight (float, optional): Fusion weight, at least 0. Defaults to None, ``fit`` in the file:
            found on the hold-out.
        checkpoint (str, optional): Path of a trained network, which is tested as it is. Defaults
            to None, the network is trained.
        tta (str, optional): Test-time views, such as ``5x3``. Defaults to None, the config's.
        options (dict): Changes of the config, as of ``--cfg-options``. Defaults to none.
    """
    name: str
    config: str
    weight: float | None = None
    checkpoint: str | None = None
    tta: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PseudoLabels:
    """Which clips of the test enter a second round of training, with their predicted classes.

    Attributes:
        min_confidence (float): Lowest fused score of the predicted class, in [0, 1].
        max_per_class (int): Most clips of a class, the surest ones; at least 1.
    """
    min_confidence: float
    max_per_class: int


@dataclass(frozen=True)
class Entry:
    """An entry to the leaderboard, as its file describes it.

    Attributes:
        path (str): The file.
        streams (tuple[Stream, ...]): The networks.
        work_dir (Path): Folder of everything that is made.
        out (str): Leaderboard file. Defaults to ``prediction.csv`` in ``work_dir``.
        format (str): See :class:`MiGASubmission`. Defaults to ``'2025'``.
        data_root (str, optional): Folder of the data. Defaults to None, the configs'.
        parts (dict[str, str]): Names of the annotation files without their ending: ``train``,
            ``holdout``, on which weights and temperatures are fitted, and ``test``. With ``final``,
            a second network per stream is trained on that part, and gives the scores of ``test``.
        sum (str): What is summed, ``'probabilities'`` or ``'logits'``. Defaults to
            ``'probabilities'``.
        calibrate (bool): Fit a temperature per stream. Defaults to True.
        subjects (str, optional): ``labels_20200831.csv`` of the licensed release, for intervals
            over subjects. Defaults to None, over videos.
        pseudo_labels (PseudoLabels, optional): Train the networks of the test a second time, with
            clips of the test. Defaults to None, no second round.
    """
    path: str
    streams: tuple[Stream, ...]
    work_dir: Path
    out: str
    format: str = '2025'
    data_root: str | None = None
    parts: dict[str, str] = field(default_factory=dict)
    sum: str = 'probabilities'
    calibrate: bool = True
    subjects: str | None = None
    pseudo_labels: PseudoLabels | None = None

    @property
    def fitted(self) -> bool:
        """Whether the weights are found on the hold-out."""
        return self.streams[0].weight is None

    @property
    def trained_on(self) -> dict[str, str]:
        """Which part trains the network that is tested on the key, ``holdout`` or ``test``."""
        train = self.parts['train']
        return dict(holdout=train, test=self.parts.get('final', train))


ENTRY_KEYS = {one.name for one in fields(Entry)} - {'path'}
STREAM_KEYS = {one.name for one in fields(Stream)}
PSEUDO_KEYS = [one.name for one in fields(PseudoLabels)]
TYPES = dict(work_dir=str, out=str, data_root=str, subjects=str, calibrate=bool)
PARTS = dict(train='holdout_train', holdout='holdout_val', test='test')


class _Loader(yaml.SafeLoader):
    """1e-5 and None are a number and null, as in ``--cfg-options``, and not text."""


_Loader.add_implicit_resolver(
    'tag:yaml.org,2002:float', re.compile(r'[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$'),
    [*'-+.0123456789'])
_Loader.add_implicit_resolver('tag:yaml.org,2002:null', re.compile('None$'), ['N'])


def load_entry(path: str) -> Entry:
    """Read and check the file of an entry; what is wrong with it is a ``ValueError``."""
    text = read_text(path)
    try:
        content = _Loader(text).get_single_data()  # as yaml.safe_load does
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is not YAML: {error}') from error
    _check_keys(path, content, ENTRY_KEYS, ('streams', 'work_dir'))
    if not (isinstance(content['streams'], list) and content['streams']):
        raise ValueError(f'{path}: streams must be a list of at least one stream')
    streams = tuple(_read_stream(f'{path}: stream {number}', stream)
                    for number, stream in enumerate(content['streams'], 1))
    parts = content.get('parts') or {}
    _check_keys(f'{path}: parts', parts, {*PARTS, 'final'})
    for where, value, kind in (*((key, content.get(key), kind) for key, kind in TYPES.items()),
                               *((f'parts: {key}', part, str) for key, part in parts.items())):
        if value is not None and not isinstance(value, kind):
            raise ValueError(f'{path}: {where} must be '
                             f'{"text" if kind is str else "true or false"}, but is {value!r}')
    work_dir = Path(content['work_dir'])
    out = content.get('out') or os.path.join(work_dir, 'prediction.csv')
    entry = Entry(**{**content, 'path': path, 'streams': streams, 'work_dir': work_dir,
                     'parts': {**PARTS, **parts}, 'out': out,
                     'format': str(content.get('format', '2025')),
                     'pseudo_labels': _read_pseudo_labels(path, content.get('pseudo_labels'))})
    _check(entry)
    return entry


def _check_keys(where: str, content: object, known: Iterable[str],
                needed: Iterable[str] = ()) -> None:
    if not isinstance(content, dict):
        raise ValueError(f'{where} must be a mapping of keys to values, but is {content!r:.80}')
    for key in content:
        if key not in known:
            nearest, = difflib.get_close_matches(str(key), known, 1, cutoff=0)
            raise ValueError(f'{where}: unknown key {key!r}: did you mean {nearest!r}? The keys '
                             f'are {", ".join(sorted(known))}')
    for key in needed:
        if key not in content:
            raise ValueError(f'{where} lacks the key {key!r}')


def _read_stream(where: str, content: dict[str, Any]) -> Stream:
    _check_keys(where, content, STREAM_KEYS, ('name', 'config'))
    # folders and columns are named after it
    if not re.fullmatch(r'\w[\w+-]*', str(content['name'])):
        raise ValueError(f'{where}: name must be of letters, digits, _, + and -, but got '
                         f'{content["name"]!r}')
    where, weight = f'{where} ({content["name"]})', content.get('weight', 'fit')
    if weight == 'fit':
        weight = None
    elif type(weight) not in (int, float) or not 0 <= weight < math.inf:
        raise ValueError(f"{where}: weight must be 'fit' or a number of at least 0, but got "
                         f'{weight!r}')
    options = content.get('options') or {}
    if not isinstance(options, dict):
        raise ValueError(f'{where}: options must be a mapping such as {{train_cfg.max_epochs: 20}}')
    if content.get('tta') is not None:
        try:
            parse_views(content['tta'])
        except ValueError as error:
            raise ValueError(f'{where}: {error}') from None
    for key in ('config', 'checkpoint'):
        if content.get(key) is not None and not os.path.isfile(content[key]):
            raise FileNotFoundError(f'{where}: {key} {content[key]} does not exist')
    return Stream(**{**content, 'name': str(content['name']), 'weight': weight, 'options': options})


def _read_pseudo_labels(path: str, content: dict[str, Any] | None) -> PseudoLabels | None:
    if content is None:
        return None
    _check_keys(f'{path}: pseudo_labels', content, PSEUDO_KEYS, PSEUDO_KEYS)
    rule = PseudoLabels(**content)
    if type(rule.min_confidence) not in (int, float) or not 0 <= rule.min_confidence <= 1:
        raise ValueError(f'{path}: pseudo_labels: min_confidence must be from 0 to 1, but got '
                         f'{rule.min_confidence!r}')
    if type(rule.max_per_class) is not int or rule.max_per_class < 1:
        raise ValueError(f'{path}: pseudo_labels: max_per_class must be an integer of at least 1, '
                         f'but got {rule.max_per_class!r}')
    return rule


def _check(entry: Entry) -> None:
    names = [stream.name for stream in entry.streams]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f'{entry.path}: several streams are named {", ".join(repeated)}')
    fitted = [stream.name for stream in entry.streams if stream.weight is None]
    if 0 < len(fitted) < len(names):
        raise ValueError(f'{entry.path}: {", ".join(fitted)} have no weight, and the others have: '
                         "give every stream a number, or each 'fit'")
    if not fitted and sum(stream.weight or 0 for stream in entry.streams) == 0:
        raise ValueError(f'{entry.path}: the weights sum to zero: at least one stream must count')
    if entry.pseudo_labels and all(stream.checkpoint for stream in entry.streams):
        raise ValueError(f'{entry.path}: pseudo_labels need a stream to train, but each has a '
                         'checkpoint')
    if entry.sum not in RULES:
        raise ValueError(f'{entry.path}: sum must be one of {RULES}, but got {entry.sum!r}')
    try:
        require_format(entry.out, entry.format)
    except ValueError as error:
        raise ValueError(f'{entry.path}: {error}') from None
    if len(set(entry.parts.values())) < len(entry.parts):
        raise ValueError(f'{entry.path}: the parts must differ, but are {entry.parts}: nothing may '
                         'be fitted on clips of the training or of the test')
