"""Training and testing of an entry's networks; what is done is not done again."""
import errno
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ..apis.training import test, train
from ..evaluation.score_dump import read_dump
from ..utils.files import locked_folder, remove_partial_files, write_text
from .network import Cost, Network, read_labels

WAIT = 10**9  # seconds: until a training that outlived its killed entry is over
CHECKPOINT_BYTES = 16  # per parameter: weights, two moments, and one file more while writing
console = Console()


def is_trained(network: Network) -> bool:
    return network.stream.checkpoint is not None or (network.folder / 'trained.json').exists()


def run_network(network: Network, cost: Cost, device: str, gpus: int) -> None:
    """Train a network where it is missing, and dump its scores where these are."""
    network.folder.mkdir(parents=True, exist_ok=True)
    config = network.folder / 'config.py'
    if not network.dump.exists():
        remove_partial_files(network.folder)
        # not by pretty_text, whose formatter takes seconds
        write_text(config, ''.join(f'{key} = {value!r}\n'
                                   for key, value in network.cfg.to_dict().items()))
    if not is_trained(network):
        _train(network, config, cost, device, gpus)
    if not network.dump.exists():
        _test(network, config, device)
    found, expected = set(read_dump(str(network.dump)).ids), set(read_labels(network.cfg, 'test'))
    if found != expected:
        raise ValueError(f'{network.dump} has the scores of {len(found)} clips, but the part has '
                         f'{len(expected)}: delete it and run again')


def _train(network: Network, config: Path, cost: Cost, device: str, gpus: int) -> None:
    need, work_dir = CHECKPOINT_BYTES * (cost.parameters or 0), network.folder / 'training'
    free = shutil.disk_usage(network.folder).free
    if free < need:
        raise OSError(errno.ENOSPC, f'no space left for the checkpoints of stream '
                      f'{network.stream.name}: they need about {need / 1e6:.0f} MB, and '
                      f'{free / 1e6:.0f} MB are free. Make room and run again', str(work_dir))
    console.rule(f'Training: {network.stream.name}')
    work_dir.mkdir(exist_ok=True)
    with locked_folder(work_dir, WAIT):
        pass
    start = time.monotonic()
    checkpoint = train(config, work_dir, device=device, gpus=gpus, resume=True)
    write_text(network.folder / 'trained.json', json.dumps(dict(
        checkpoint=os.path.relpath(checkpoint, network.folder),
        seconds=time.monotonic() - start)), durable=True)


def _test(network: Network, config: Path, device: str) -> None:
    console.rule(f'Scores of {network.part}: {network.stream.name}')
    start, dump = time.monotonic(), network.dump.with_suffix('.partial.pkl')
    checkpoint = network.stream.checkpoint or network.folder / json.loads(
        (network.folder / 'trained.json').read_text(encoding='utf-8'))['checkpoint']
    test(config, checkpoint, network.folder / 'testing', device=device, dump=dump)
    write_text(network.dump.with_suffix('.json'),
               json.dumps(dict(seconds=time.monotonic() - start)), durable=True)
    os.replace(dump, network.dump)  # last: it stands for both files


def seconds_of(networks: Sequence[Network], name: str) -> tuple[float, float]:
    """Seconds of training, since its last interruption, and of testing, of a stream's networks."""
    own = [network for network in networks if network.stream.name == name]
    trained = {network.folder / 'trained.json' for network in own}
    tested = [network.dump.with_suffix('.json') for network in own]
    training, testing = (
        sum(json.loads(path.read_text(encoding='utf-8'))['seconds'] for path in paths
            if path.exists()) for paths in (trained, tested))
    return training, testing
