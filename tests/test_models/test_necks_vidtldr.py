"""vid-TLDR against plain loops, and what happens to the background."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmaction.models.backbones.vit_mae import VisionTransformer
from reference import reducer_loops
from reference.neck_checks import assert_equals_loops, clips_of

from gaie_mmaction.models import GAIEVisionTransformer, TokenState, VidTLDRNeck
from gaie_mmaction.models.necks.vidtldr_neck import saliency_score

SIZE = dict(img_size=16, patch_size=8, embed_dims=12, depth=3, num_heads=2, num_frames=8)


@pytest.mark.parametrize('ratio', [.5, .7, .9, 1.])
def test_equals_plain_loops(ratio):
    """Three steps, with tokens of unequal mass and some already dropped."""
    neck = VidTLDRNeck(ratio)
    for num_tokens in (3, 16, 37):
        state = TokenState.start(torch.randn(3, num_tokens, 5, dtype=torch.float64))
        for step in range(3):
            sharpness = torch.rand(state.x.shape[:2], dtype=torch.float64)
            before = replace(state, importance=sharpness, step=step, size=state.size.double())
            state = neck(before)
            number = before.x.shape[1] - neck.num_left(before.x.shape[1], step)
            assert_equals_loops(before, state, [
                reducer_loops.vidtldr(*clip, number) for clip in clips_of(before, 'importance')])
        assert (state.size.sum(1) < num_tokens).all() or ratio == 1 or num_tokens == 3


def test_score_is_the_papers_two_scalings():
    sharpness = torch.rand(4, 50, dtype=torch.float64) * 3 + 1
    expected = [reducer_loops.saliency(clip) for clip in sharpness.tolist()]
    np.testing.assert_allclose(saliency_score(sharpness), expected, rtol=1e-12, atol=1e-14)
    score = saliency_score(sharpness)
    assert torch.equal(score == 0, sharpness < sharpness.mean(1, keepdim=True))
    assert torch.equal(score.amax(1), torch.ones(4, dtype=torch.float64))
    assert not saliency_score(torch.ones(2, 7)).any()


def test_background_leaves_no_trace():
    """Two equal pairs: the sharp token is averaged in, the blunt one is gone."""
    x = torch.tensor([[[1., 0.], [3., 0.], [0., 1.], [0., 5.]]])
    state = VidTLDRNeck(.5)(replace(
        TokenState.start(x), importance=torch.tensor([[4., 1., 0., 1.]])))
    assert state.x.tolist() == [[[2, 0], [0, 5]]]
    assert state.size.tolist() == [[2, 1]] and state.source.tolist() == [[0, 0, -1, 1]]


def test_sharpness_is_of_the_blocks_own_attention():
    """The first reduction of the whole network, from the host's modules and loops."""
    host = VisionTransformer(**SIZE).double().eval()
    with torch.no_grad():
        for parameter in host.parameters():
            parameter.normal_(std=.5)
    model = GAIEVisionTransformer(neck=dict(type='VidTLDRNeck', r=[5, 3]), merge_layers=(0, 1),
                                  **SIZE).double().eval()
    model.load_state_dict(host.state_dict())
    clips, history = torch.randn(2, 3, 8, 16, 16, dtype=torch.float64), []
    with torch.no_grad():
        model.forward_tokens(clips, history)
        x = host.patch_embed(clips)[0] + host.pos_embed
        block, normed = host.blocks[0], host.blocks[0].norm1(x)
        bias = torch.cat([block.attn.q_bias, torch.zeros(12), block.attn.v_bias])
        qkv = torch.nn.functional.linear(normed, block.attn.qkv.weight, bias)
        q, k, _ = qkv.view(2, 16, 3, 2, 6).permute(2, 0, 3, 1, 4)
        sharp = reducer_loops.sharpness(q.numpy(), k.numpy(), 6**-.5)
        np.testing.assert_allclose(history[0].importance, sharp, rtol=1e-5)
        x = x + block.attn(normed)
        assert_equals_loops(history[0], history[1], [
            reducer_loops.vidtldr(x[b].numpy(), np.ones(16), sharp[b], 5) for b in range(2)
        ], rtol=1e-4)
