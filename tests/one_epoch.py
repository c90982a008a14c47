"""A config trained: two clips forward and backward, and an epoch through mim on drawn clips."""
import csv

import pytest
import torch
from launching import ROOT, launch, test_command, train_command
from mmaction.structures import ActionDataSample

from gaie_mmaction.release import prepare
from gaie_mmaction.synthetic import make_release


def prepare_release(folder, train=1, test_labels=False):
    """The release, drawn and prepared into ``folder``."""
    release = folder / 'release'
    make_release(release, 0, dict(train=train, validate=1, test=1), 1, 1)
    prepare(release, folder, workers=1,
            test_labels=release / 'test_answers.csv' if test_labels else None)


def random_batch(*shape, labels=(3, 31)):
    """Clips of random pixels."""
    samples = [ActionDataSample(metainfo=dict(clip_id=f'0001_{k}')).set_gt_label(label)
               for k, label in enumerate(labels)]
    inputs = [torch.randint(256, shape, dtype=torch.uint8) for _ in samples]
    return dict(inputs=inputs, data_samples=samples)


def forward_and_backward(model, train_batch, test_batch, amp=False):
    """A finite loss, a gradient for every parameter, and a score per class of each test clip."""
    with torch.autocast('cpu', torch.bfloat16, enabled=amp):
        losses = model(**model.data_preprocessor(train_batch, training=True), mode='loss')
    total = sum(value for name, value in losses.items() if 'loss' in name)
    total.backward()
    assert torch.isfinite(total) and total.dtype == torch.float32
    assert [name for name, p in model.named_parameters()
            if p.requires_grad and p.grad is None] == []
    model.eval()
    clip_ids = [sample.clip_id for sample in test_batch['data_samples']]
    with torch.no_grad():
        results = model(**model.data_preprocessor(test_batch), mode='predict')
    assert [result.clip_id for result in results] == clip_ids
    for result in results:
        assert result.pred_score.shape == (model.cls_head.num_classes, )
        assert result.pred_score.sum().item() == pytest.approx(1, abs=1e-5)


def train_and_test(path, data, work, batch_size, *options):
    """Trains for an epoch, validates and tests; checks that every test clip has its answer.

    Returns what the test printed.
    """
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', *options]
    for part in ('train', 'val', 'test'):
        loader = f'{part}_dataloader'
        options += [f'{loader}.dataset.data_root={data}', f'{loader}.batch_size={batch_size}',
                    f'{loader}.num_workers=0']
    output = launch(train_command(ROOT / path, '--work-dir', work, '--cfg-options', *options), ROOT)
    assert 'Epoch(val) [1]' in output
    out = work / 'prediction.csv'
    output = launch(test_command(ROOT / path, work / 'epoch_1.pth', '--work-dir', work,
                                 '--cfg-options', *options, f'test_evaluator.out_file={out}'), ROOT)
    rows = list(csv.DictReader(open(out)))
    expected = [line.split(',')[0] for line in (data / 'test.csv').read_text().splitlines()[1:]]
    assert expected and [row['Id'] for row in rows] == expected
    return output
