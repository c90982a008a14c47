"""What the three RGB + skeleton networks promise: gradients everywhere, one score per class."""
import copy

import pytest
import torch
from mmaction.registry import MODELS
from small_model import (
    make_multimodal_batch,
    narrow_multimodal,
    without_gradient,
    write_random_text,
)

LOSSES = dict(
    m2hen={'rgb_loss_cls', 'pose_loss_cls'},
    protogesture={f'{branch}_loss_{kind}' for branch in ('rgb', 'pose')
                  for kind in ('cls', 'prototype')},
    vclip={'loss_cls', 'loss_video', 'loss_pose', 'loss_pose_distill', 'loss_text_distill'})
# biases in front of a softmax over the other's channels, and gates of AAGCN that start at zero
CAN_BE_ZERO = ('key', 'graph_backbone')
every_network = pytest.mark.parametrize('name', LOSSES)


@pytest.fixture
def model(root, name, tmp_path):
    return MODELS.build(narrow_multimodal(root, name, write_random_text(tmp_path)))


@every_network
def test_losses_and_gradients(model, name):
    if name == 'protogesture':  # past the start, where nothing flows through the attention
        for attention in model.backbone.attention:
            for layer in attention.back.values():
                torch.nn.init.normal_(layer.weight, std=.1)
    losses = model(**make_multimodal_batch(model, name, [3, 31, 3]), mode='loss')
    assert {key for key in losses if 'loss' in key} == LOSSES[name]
    sum(losses[key] for key in LOSSES[name]).backward()
    assert [key for key in without_gradient(model) if not any(w in key for w in CAN_BE_ZERO)] == []
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    for network in getattr(model, 'graph_backbone', ()):
        assert any(p.grad.any() for p in network.parameters())


@every_network
def test_prediction_is_the_mean_of_classifiers_and_views(model, name):
    model.eval()
    batch = make_multimodal_batch(model, name, [3, 31], views=2, training=False)
    with torch.no_grad():
        logits = model(copy.deepcopy(batch['inputs']), mode='tensor', stage='head')
        results = model(**batch, mode='predict')
    each = logits.values() if isinstance(logits, dict) else [logits]
    expected = sum(scores.softmax(dim=1).unflatten(0, (2, 2)).mean(dim=1) for scores in each)
    for result, row in zip(results, expected / len(each)):
        torch.testing.assert_close(result.pred_score, row)
        assert result.pred_label.item() == row.argmax().item()
