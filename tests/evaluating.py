"""Results of a model, evaluated without one."""
import resource
from contextlib import contextmanager

import torch
from mmaction.registry import METRICS
from mmaction.structures import ActionDataSample

from gaie_mmaction.datasets import IMiGUEDataset


def make_samples(ids, scores, labels):
    samples = []
    for clip_id, score, label in zip(ids, scores, labels):
        sample = ActionDataSample(metainfo=dict(clip_id=clip_id))
        sample.set_gt_label(int(label)).set_pred_score(torch.from_numpy(score))
        samples.append(sample.to_dict())
    return samples


def evaluate(ids, scores, labels, size=None, meta=None, **arguments):
    metric = METRICS.build(dict(type='MiGASubmission', **arguments))
    metric.dataset_meta = meta
    metric.process(None, make_samples(ids, scores, labels))
    return metric.evaluate(len(ids) if size is None else size)


def write_segments(path, *rows):
    """A segment csv; returns its path."""
    path.write_text('\n'.join(['clip_id,video,start_frame,end_frame,label', *rows, '']))
    return str(path)


def write_annotations(path, ids, labels=None, step=1):
    """A segment csv of clips of one video, ``step`` frames apart."""
    labels = [-1] * len(ids) if labels is None else labels
    return write_segments(path, *(f'{clip_id},0054.mp4,{step * k},{step * k + 30},{label}'
                                  for k, (clip_id, label) in enumerate(zip(ids, labels))))


def make_dataset(folder, num_clips, **arguments):
    """Clips 0054_0 to 0054_<num_clips - 1>; no video is opened."""
    write_annotations(folder / 'test.csv', [f'0054_{k}' for k in range(num_clips)])
    return IMiGUEDataset(ann_file='test.csv', data_root=str(folder), pipeline=[],
                         **dict(dict(test_mode=True), **arguments))


@contextmanager
def full_disk(room):
    """Files cannot grow beyond ``room`` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
