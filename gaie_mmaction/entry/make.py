"""Make an entry: all its networks, the leaderboard file and the report."""
import copy
from pathlib import Path

import numpy as np
import pandas as pd
from mmengine.config import Config

from ..apis import find_class_names
from ..datasets.annotations import examples
from ..evaluation.fusion import fuse
from ..evaluation.submission_check import check_submission
from ..evaluation.submission_file import write_submission
from ..release.labels import read_licensed_csv
from ..release.report import Report
from ..utils.files import atomic_file, locked_folder, require_writable
from .fit import NUM_SAMPLES, Confidence, Streams, bootstrap, fit_weights, read_streams, top1
from .network import (
    Cost,
    Network,
    count_clips,
    find_problems,
    make_network,
    measure_cost,
    read_videos,
)
from .pseudo import choose_pseudo_labels
from .report import make_tables, write_report
from .run import is_trained, run_network, seconds_of
from .spec import Entry, PseudoLabels

PARTS = ('holdout', 'test')
FEW = 10  # subjects or videos of a hold-out


def make_networks(entry: Entry) -> list[Network]:
    """Networks of an entry, stream by stream; one trained on the same clips occurs twice."""
    networks = []
    for stream in entry.streams:
        cfg = Config.fromfile(stream.config)
        networks += [make_network(entry, stream, part, copy.deepcopy(cfg)) for part in PARTS]
    return networks


def describe_entry(entry: Entry) -> tuple[pd.DataFrame, list[str]]:
    """What :func:`run_entry` would do and what it costs, and what keeps it from running."""
    networks, rows, seen = make_networks(entry), [], set()
    costs = {network.stream.name: measure_cost(network) for network in networks[::2]}
    for network in networks:
        cost, clips, training = costs[network.stream.name], count_clips(network), '-'
        if not is_trained(network) and network.folder not in seen:
            training = f'{cost.epochs} epochs x {"?" if clips is None else clips} clips'
        elif network.stream.checkpoint is None:
            training = 'trained' if is_trained(network) else 'as above'
        seen.add(network.folder)
        rows.append({
            'stream': network.stream.name,
            'trained on': '-' if network.stream.checkpoint else entry.trained_on[network.part],
            'training': training, 'scores of': entry.parts[network.part],
            'scores': 'there' if network.dump.exists() else 'missing',
            'GMACs per view': '-' if cost.macs is None else f'{cost.macs / 1e9:.3f}',
            'views': str(cost.views),
            # a backward pass costs about two forward passes
            'training PMACs': '-' if None in (cost.macs, clips) or training in (
                '-', 'trained', 'as above') else
            f'{3e-15 * cost.macs * clips * cost.epochs:.3f}',  # type: ignore[operator]
            'folder': str(network.folder)})
    if entry.pseudo_labels:
        rows += [{'stream': stream.name,
                  'trained on': f'{entry.trained_on["test"]}, {entry.parts["test"]}',
                  'training': f'{costs[stream.name].epochs} epochs',
                  'scores of': entry.parts['test'], 'scores': 'second round'}
                 for stream in entry.streams if stream.checkpoint is None]
    return pd.DataFrame(rows).fillna('-'), find_problems(networks)


def run_entry(entry: Entry, device: str = 'cpu', gpus: int = 1) -> Path:
    """Do what is missing, write the leaderboard file and the report; returns the report.

    ``device`` and ``gpus`` are those of :func:`gaie_mmaction.apis.training.train`.

    Raises:
        ValueError: If the streams do not match; before anything is run where that can be known.
        ReleaseError: If ``subjects`` is not the licensed release's table.
        ChildProcessError: If a training or a test fails. What was done before is kept.
        FolderInUseError: If another process makes this entry.
        OSError: If no space is left, or a file cannot be read or written.
    """
    networks = make_networks(entry)
    if problems := find_problems(networks):
        raise ValueError('nothing was run:\n  ' + '\n  '.join(problems))
    require_writable(entry.out)
    unit_of, unit_name = _units(entry, networks[0].cfg, 'test', 'hold-out')
    # what a given checkpoint was trained on is not known
    trained = next((one for one in networks if one.stream.checkpoint is None), None)
    shared = None if trained is None else len({*unit_of.values()} & {
        *_units(entry, trained.cfg, 'train', 'training part')[0].values()})
    entry.work_dir.mkdir(parents=True, exist_ok=True)
    with locked_folder(entry.work_dir):
        costs = {network.stream.name: measure_cost(network) for network in networks[::2]}
        streams, weights = _run(entry, networks, costs, device, gpus)
        more_notes = []
        if entry.pseudo_labels:
            chosen = choose_pseudo_labels(fuse(streams.scores['test'], weights, entry.sum),
                                          streams.ids['test'], entry.pseudo_labels)
            more_notes = _pseudo_notes(entry, entry.pseudo_labels, streams, weights, chosen)
            # in place of the first round's: the later network of a stream and a part counts
            networks += [make_network(entry, stream, 'test', Config.fromfile(stream.config), chosen)
                         for stream in entry.streams if stream.checkpoint is None]
            streams, weights = _run(entry, networks, costs, device, gpus)
        confidence = bootstrap(streams, [unit_of[clip_id] for clip_id in streams.ids['holdout']],
                               weights, entry.fitted, entry.sum)
        num_classes = streams.scores['test'].shape[2]
        _write_submission(entry, streams, weights, num_classes)
        classes = find_class_names({}, networks[0].cfg, num_classes).names
        seconds = {name: seconds_of(networks, name) for name in streams.names}
        tables = make_tables(entry, streams, weights, confidence, costs, seconds, classes)
        notes = _notes(entry, streams, confidence, unit_name, shared) + more_notes
        return write_report(entry, tables, notes)


def _run(entry: Entry, networks: list[Network], costs: dict[str, Cost], device: str, gpus: int
         ) -> tuple[Streams, np.ndarray]:
    """Run what is missing; the calibrated scores of all streams, and their weights."""
    for network in networks:
        run_network(network, costs[network.stream.name], device, gpus)
    streams = read_streams({part: {network.stream.name: network.dump for network in networks
                                   if network.part == part} for part in PARTS}, entry.calibrate)
    given = None if entry.fitted else [stream.weight or 0. for stream in entry.streams]
    return streams, fit_weights(streams, range(len(streams.names)), given, entry.sum)


def _units(entry: Entry, cfg: Config, key: str, part: str) -> tuple[dict[str, str], str]:
    """What a bootstrap draws: of each clip id its subject or video, and what these are called."""
    videos = read_videos(cfg, key)
    if entry.subjects is None:
        return videos, 'videos' if len({*videos.values()}) < len(videos) else 'clips'
    subjects = read_licensed_csv(Path(entry.subjects), entry.subjects, Report()).subjects
    if missing := sorted({*videos.values()} - set(subjects)):
        raise ValueError(f'{entry.subjects} has no subject of {len(missing)} videos of the '
                         f'{part}, e.g. {examples(missing)}')
    return {clip_id: str(subjects[video]) for clip_id, video in videos.items()}, 'subjects'


def _write_submission(entry: Entry, streams: Streams, weights: np.ndarray,
                      num_classes: int) -> None:
    ids = streams.ids['test']
    with atomic_file(entry.work_dir / 'fused.csv') as partial:
        fused = fuse(streams.scores['test'], weights, entry.sum)
        pd.DataFrame(fused, pd.Index(ids, name='clip_id')).to_csv(
            partial, float_format='%.6g', lineterminator='\n')
    write_submission(entry.out, ids, fused.argmax(axis=1).tolist(), entry.format)
    report = check_submission(entry.out, ids, num_classes)
    if report.faults:
        raise ValueError('\n'.join([f'{entry.out} is not valid:', *report.fault_lines()]))


def _pseudo_notes(entry: Entry, rule: PseudoLabels, streams: Streams, weights: np.ndarray,
                  chosen: dict[str, int]) -> list[str]:
    ids, labels = streams.ids['test'], streams.labels['test']
    counts = np.bincount(list(chosen.values()), minlength=streams.scores['test'].shape[2])
    notes = [f'transductive: the networks of the test were trained anew with {len(chosen)} of its '
             f'{len(ids)} clips, {counts.min()} to {counts.max()} a class, labelled by the fused '
             f'scores of a first round (at least {rule.min_confidence}, at most '
             f'{rule.max_per_class} a class)']
    if chosen and (labels >= 0).all():
        true = dict(zip(ids, labels))
        right = np.mean([true[clip_id] == label for clip_id, label in chosen.items()])
        first = top1(fuse(streams.scores['test'], weights, entry.sum), labels)
        notes.append(f'{100 * right:.2f} % of these labels are right; Top-1 of the first round on '
                     f'the test: {100 * first:.2f} %')
    return notes


def _notes(entry: Entry, streams: Streams, confidence: Confidence, unit_name: str,
           shared: int | None) -> list[str]:
    train, final = entry.parts['train'], entry.parts.get('final')
    fitted = ' and '.join(what for what, done in (
        ('weights', entry.fitted), ('temperatures', entry.calibrate)) if done)
    labels = streams.labels['test']
    given = ', '.join(stream.name for stream in entry.streams if stream.checkpoint)
    return [
        'all checkpoints were given' if shared is None else f'trained on {train}' + (
            f'; for the test anew on {final}' if final else '') + (
            f'; checkpoints were given of {given}' if given else ''),
        f'{entry.sum} are summed; {fitted or "nothing"} fitted on the {len(streams.ids["holdout"])}'
        f' clips of {entry.parts["holdout"]}, so that its fused accuracy is optimistic',
        f'test: {len(labels)} clips of {entry.parts["test"]}' + (
            ', without labels: no accuracy' if (labels < 0).any() else ''),
        f'intervals: 95 %, {NUM_SAMPLES} bootstrap samples of the hold-out\'s {confidence.units} '
        f'{unit_name}' + ('' if shared is None else
                          f', of which {shared or "none"} occur in the training part') + (
            '; so few that the intervals say little' if confidence.units < FEW else ''),
        f'leaderboard file: {entry.out}, format {entry.format}, checked',
        'Top-1 and mean class accuracy in %; classes won: highest recall on the hold-out, no tie; '
        'training s: since the last interruption']
