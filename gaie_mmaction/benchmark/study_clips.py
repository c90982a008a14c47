"""The clips of a study: decoded once into an array, which all runs map into memory."""
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from rich.progress import track
from torch.utils.data import Dataset

from ..datasets import IMiGUEDataset
from ..release.flow import make_flow
from ..release.report import ReleaseError
from ..utils.files import atomic_file, write_text
from .tables import write_csv

NEVER_TESTED = -1  # fold of such clips

__all__ = ['DecodedClips', 'lay_out_flow', 'read_clips', 'NEVER_TESTED']


@DATASETS.register_module()
class DecodedClips(Dataset):
    """The clips of one part of a fold, through the rest of a pipeline.

    Args:
        frames (str): Path of an array ``(clips, T, H, W, 3)`` uint8.
        clips (str): Path of a csv: place in the array, label, fold and id of each clip. All clips
            of other folds are training clips.
        fold (int): Which fold.
        part (str): ``'train'`` or ``'test'``.
        pipeline (list[dict]): Transforms of decoded frames.
        share (float): Share of the clips of each class, in (0, 1], at least one of each. Defaults
            to 1.
        seed (int): Which of them. Defaults to 0.
    """

    metainfo: dict = {}

    def __init__(self, frames: str, clips: str, fold: int, part: str, pipeline: list[dict],
                 share: float = 1., seed: int = 0) -> None:
        rows = pd.read_csv(clips)
        rows = rows[(rows.fold == fold) == (part == 'test')].sample(frac=1, random_state=seed)
        order = rows.groupby('label').cumcount() / rows.groupby('label').label.transform('size')
        self.rows = rows[order < share].sort_values('place')
        self.frames = np.load(frames, mmap_mode='r')
        self.pipeline = Compose(pipeline)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        row = self.rows.iloc[index]
        frames = np.array(self.frames[row.place])  # a copy, as Flip writes into the frames
        # all frames as they are, or for a transform that samples among them
        return self.pipeline(dict(
            imgs=list(frames), img_shape=frames.shape[1:3], clip_len=len(frames), num_clips=1,
            array=frames, total_frames=len(frames), start_index=0, modality='RGB',
            label=int(row.label)))


def read_clips(cfg: Config, data: Path, work_dir: Path) -> Path:
    """Decode all clips by ``stored_pipeline``, unless an earlier run has decoded the same files.

    ``data`` is a prepared dataset or a folder with ``labels.csv``. Returns the csv for
    :class:`DecodedClips`, with the frames beside it as ``.npy``.
    """
    init_default_scope('mmaction')
    if (data / 'labels.csv').exists():
        datasets, folds = _read_footage(cfg, data, work_dir)
    else:
        # one fold, whose subjects are unseen
        train, test = datasets = [
            IMiGUEDataset(ann_file=part, data_root=str(data), data_prefix=dict(video='videos'),
                          pipeline=cfg.stored_pipeline) for part in ('trainval.csv', 'test.csv')]
        folds = [NEVER_TESTED] * len(train) + [0] * len(test)
    infos = [dataset.get_data_info(k) for dataset in datasets for k in range(len(dataset))]
    rows = pd.DataFrame(dict(place=range(len(infos)), label=[info['label'] for info in infos],
                             fold=folds, clip_id=[info['clip_id'] for info in infos]))
    files = {info['filename']: os.stat(info['filename']) for info in infos}
    key = json.dumps([str(cfg.stored_pipeline), rows.to_csv(),
                      [info['start_frame'] for info in infos],
                      [(name, stat.st_size, stat.st_mtime_ns) for name, stat in files.items()]])
    path = work_dir / f'clips-{hashlib.sha256(key.encode()).hexdigest()[:12]}.csv'
    if not path.exists():
        samples = (dataset[k]['imgs'] for dataset in datasets for k in range(len(dataset)))
        frames = np.stack([np.stack(clip) for clip in track(samples, 'decoding', len(infos))])
        with atomic_file(path.with_suffix('.npy')) as partial, open(partial, 'wb') as file:
            np.save(file, frames)
        write_csv(rows, path)
    return path


def lay_out_flow(footage: Path, folder: Path, workers: int) -> Path:
    """Write the flow of footage with ``labels.csv`` into a folder of the same form."""
    rows = pd.read_csv(footage / 'labels.csv')
    write_text(folder / 'clips.txt', ''.join(f'{path}\n' for path in rows.path))
    *_, failures = make_flow([str(folder / 'clips.txt')], footage, folder, workers)
    if failures:
        raise ReleaseError('\n'.join(['clips without flow:', *failures]))
    write_csv(rows.assign(path=[f'{Path(path).stem}.mp4' for path in rows.path]),
              folder / 'labels.csv')
    return folder


def _read_footage(cfg: Config, data: Path, work_dir: Path) -> tuple[list[IMiGUEDataset], list[int]]:
    """Real footage: ``labels.csv`` has the path, label, label_id and fold of each clip."""
    rows = pd.read_csv(data / 'labels.csv')
    rows = rows[rows.label != 'unclassified']
    ann_file = work_dir / 'clips.txt'
    with atomic_file(ann_file) as partial:
        rows[['path', 'label_id']].to_csv(partial, sep=' ', header=False, index=False)
    classes = rows.sort_values('label_id').label.unique().tolist()
    dataset = IMiGUEDataset(ann_file=str(ann_file), data_prefix=dict(video=str(data)),
                            metainfo=dict(classes=classes), pipeline=cfg.stored_pipeline)
    return [dataset], rows.fold.tolist()
