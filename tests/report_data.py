"""Score dumps and a config for pages of results."""
import mmengine
import numpy as np
import torch
from evaluating import make_samples
from launching import ROOT

from gaie_mmaction.apis import build_recognizer, load_config

HOSTILE = '<img src=x onerror="document.title=\'run\'">'
HOSTILE_CLASS = '</script><script>document.title="run"</script>'
CLASSES = 6


def write_report_dump(path, clips=60, classes=CLASSES, seed=0, labelled=True):
    """A dump whose first clip has a hostile id; returns ids, scores and labels."""
    labels = np.random.default_rng(0).integers(0, classes, clips)
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(clips, classes)) + 2 * np.eye(classes)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    ids = [HOSTILE] + [f'{k // 8:04d}_{k % 8}' for k in range(1, clips)]
    mmengine.dump(make_samples(ids, scores.astype(np.float32), labels if labelled else -labels**0),
                  str(path))
    return ids, scores, labels


def write_report_config(folder, names=(HOSTILE_CLASS, 'one', 'two', 'three', 'four', 'five')):
    """A small model, its test part in ``folder/test.csv``, which may be missing."""
    path = folder / 'config.py'
    path.write_text(f"""
_base_ = '{ROOT}/configs/demo/gaie_demo.py'
model = dict(cls_head=dict(num_classes={len(names)}))
test_dataloader = dict(dataset=dict(data_root={str(folder)!r}, ann_file='test.csv',
                                    data_prefix=dict(video=''),
                                    metainfo=dict(classes={list(names)!r})))
""")
    return path


def write_report_checkpoint(config):
    """Random weights for :func:`write_report_config`'s model; returns their path."""
    path = config.with_suffix('.pth')
    torch.save(dict(state_dict=build_recognizer(load_config(config)).state_dict()), path)
    return path
