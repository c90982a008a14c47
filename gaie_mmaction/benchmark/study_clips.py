"""The clips of a study: decoded once, then read from memory-mapped files."""
import csv
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from rich.progress import track
from torch.utils.data import Dataset

from ..datasets import IMiGUEDataset
from ..utils.files import atomic_file

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
PARTS = ('train', 'test')
Folds = dict[int, tuple[list[int], list[int]]]


@dataclass(frozen=True)
class Clips:
    """Decoded clips.

    Attributes:
        frames (str): Path of an array ``(clips, T, H, W, 3)`` uint8.
        labels (list[int]): One per clip.
        folds (dict): Fold -> indices of its training and of its test clips.
    """
    frames: str
    labels: list[int]
    folds: Folds

    def save(self, path: Path) -> None:
        """Write all but the frames as json."""
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(asdict(self)), encoding='utf-8')

    @classmethod
    def load(cls, path: str | Path) -> 'Clips':
        """Read what :meth:`save` wrote."""
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        content['folds'] = {int(fold): parts for fold, parts in content['folds'].items()}
        return cls(**content)


@DATASETS.register_module()
class DecodedClips(Dataset):
    """The clips of one part of a fold, through the rest of a pipeline.

    Args:
        clips (str): Path that :meth:`Clips.save` wrote to.
        fold (int): Which fold.
        part (str): ``'train'`` or ``'test'``.
        pipeline (list[dict]): Transforms of decoded frames.
    """

    metainfo: dict = {}

    def __init__(self, clips: str, fold: int, part: str, pipeline: list[dict]) -> None:
        content = Clips.load(clips)
        self.frames = np.load(content.frames, mmap_mode='r')
        self.labels = content.labels
        self.indices = content.folds[fold][PARTS.index(part)]
        self.pipeline = Compose(pipeline)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> dict:
        clip = self.indices[index]
        frames = np.array(self.frames[clip])  # a copy, as Flip writes into the frames
        # all frames as they are, or for a transform that samples among them
        return self.pipeline(dict(
            imgs=list(frames), img_shape=frames.shape[1:3], clip_len=len(frames), num_clips=1,
            array=frames, total_frames=len(frames), start_index=0, modality='RGB',
            label=self.labels[clip]))


def read_clips(cfg: Config, data: Path, work_dir: Path) -> Path:
    """Decode all clips of a study, unless an earlier run has decoded the same ones.

    Args:
        cfg (Config): With ``stored_pipeline``.
        data (Path): A prepared dataset, or a folder with ``labels.csv``.
        work_dir (Path): Folder of the decoded clips.

    Returns:
        Path: The file for :meth:`Clips.load`.
    """
    init_default_scope('mmaction')
    read = _footage if (data / 'labels.csv').exists() else _prepared
    datasets, folds = read(cfg, data, work_dir)
    infos = [dataset.get_data_info(k) for dataset in datasets for k in range(len(dataset))]
    files = {info['filename']: os.stat(info['filename']) for info in infos}
    labels = [info['label'] for info in infos]
    key = json.dumps([str(cfg.stored_pipeline), labels, folds,
                      [(i['clip_id'], i['start_frame']) for i in infos],
                      [(name, stat.st_size, stat.st_mtime_ns) for name, stat in files.items()]])
    path = work_dir / f'clips-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json'
    if path.exists():
        return path
    samples = (dataset[k]['imgs'] for dataset in datasets for k in range(len(dataset)))
    frames = np.stack([np.stack(clip) for clip in track(samples, 'decoding', len(infos))])
    with atomic_file(path.with_suffix('.npy')) as partial, open(partial, 'wb') as file:
        np.save(file, frames)
    Clips(str(path.with_suffix('.npy')), labels, folds).save(path)
    return path


def _prepared(cfg: Config, data: Path, work_dir: Path) -> tuple[list[IMiGUEDataset], Folds]:
    """A prepared dataset: one fold, the subjects of the test part are unseen."""
    train, test = (
        IMiGUEDataset(ann_file=part, data_root=str(data), data_prefix=dict(video='videos'),
                      pipeline=cfg.stored_pipeline) for part in ('trainval.csv', 'test.csv'))
    border, total = len(train), len(train) + len(test)
    return [train, test], {0: (list(range(border)), list(range(border, total)))}


def _footage(cfg: Config, data: Path, work_dir: Path) -> tuple[list[IMiGUEDataset], Folds]:
    """Clips of real footage: ``labels.csv`` has the path, label, label_id and fold of each."""
    with open(data / 'labels.csv', encoding='utf-8', newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['label'] != 'unclassified']
    ann_file = work_dir / 'clips.txt'
    with atomic_file(ann_file) as partial:
        partial.write_text(''.join(f'{row["path"]} {row["label_id"]}\n' for row in rows),
                           encoding='utf-8')
    classes = sorted({(int(row['label_id']), row['label']) for row in rows})
    dataset = IMiGUEDataset(
        ann_file=str(ann_file), data_prefix=dict(video=str(data)),
        metainfo=dict(classes=[label for _, label in classes]), pipeline=cfg.stored_pipeline)
    fold_of = np.array([int(row['fold']) for row in rows])
    return [dataset], {int(fold): (np.flatnonzero(fold_of != fold).tolist(),
                                   np.flatnonzero(fold_of == fold).tolist())
                       for fold in np.unique(fold_of)}


def draw_dataset(data: Path, *options: str) -> None:
    """Draw and prepare the synthetic dataset, unless ``data`` already holds it.

    Args:
        data (Path): Folder of the prepared dataset; the release goes to ``<data>_release``.
        *options (str): Of ``make_demo_release.py``.
    """
    if (data / 'test.csv').exists():
        return
    release = data.with_name(f'{data.name}_release')
    for tool, *arguments in (
            ('make_demo_release.py', str(release), '--overwrite', *options),
            ('prepare_imigue.py', str(release), '--out', str(data), '--test-labels',
             str(release / 'test_answers.csv'))):
        subprocess.run([sys.executable, TOOLS / 'data' / tool, *arguments], check=True)
