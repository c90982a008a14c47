"""Loss of classes and groups, against plain loops."""
import math

import pytest
import torch
from mmaction.models.losses import CrossEntropyLoss
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample

from gaie_mmaction.datasets import register_dataset_info
from gaie_mmaction.models.losses import GroupedCrossEntropyLoss

GROUPS = dict(hand=(0, 3), head=(2, ), leg=(1, 4, 5))
register_dataset_info('grouped', classes=list('abcdef'), groups=GROUPS)
register_dataset_info('ungrouped', classes=list('ab'))


def by_loops(scores, labels):
    """Mean of -log of the probability of the label's group; of soft labels, weighted."""
    losses = []
    for row, label in zip(scores.tolist(), labels.tolist()):
        shares = label if isinstance(label, list) else [float(k == label) for k in range(6)]
        total = sum(map(math.exp, row))
        losses.append(-sum(
            sum(shares[k] for k in members)
            * math.log(sum(math.exp(row[k]) for k in members) / total)
            for members in GROUPS.values()))
    return sum(losses) / len(losses)


@pytest.mark.parametrize('soft', [False, True])
def test_losses_against_loops(soft):
    scores = 3 * torch.randn(7, 6, dtype=torch.float64)
    labels = torch.rand(7, 6).double().softmax(1) if soft else torch.randint(6, (7, ))
    loss = MODELS.build(dict(type='GroupedCrossEntropyLoss', dataset='grouped', group_weight=.5,
                             loss_weight=2.))
    found = loss(scores, labels)
    assert found.keys() == {'loss_cls', 'loss_group'}
    assert found['loss_cls'].item() == pytest.approx(2 * CrossEntropyLoss()(scores, labels).item())
    assert found['loss_group'].item() == pytest.approx(2 * .5 * by_loops(scores, labels), rel=1e-9)


def test_gradient():
    scores = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    loss = GroupedCrossEntropyLoss(dataset='grouped')
    assert torch.autograd.gradcheck(
        lambda x: sum(loss(x, torch.tensor([0, 2, 5])).values()), scores)


def test_a_head_logs_both():
    """With the labels that label smoothing makes soft."""
    head = MODELS.build(dict(
        type='TimeSformerHead', num_classes=52, in_channels=8, label_smooth_eps=.1,
        loss_cls=dict(type='GroupedCrossEntropyLoss', dataset='ma52')))
    head.init_weights()
    samples = [ActionDataSample().set_gt_label(label) for label in (3, 51)]
    losses = head.loss(torch.randn(2, 8), samples)
    assert losses['loss_cls'] > losses['loss_group'] > 0


@pytest.mark.parametrize('dataset, classes, said', [
    ('ungrouped', 2, 'registered without groups'),
    ('grouped', 7, '6 classes, but the head gives 7 scores')])
def test_wrong_use(dataset, classes, said):
    with pytest.raises(ValueError, match=said):
        GroupedCrossEntropyLoss(dataset=dataset)(torch.randn(2, classes), torch.tensor([0, 1]))
