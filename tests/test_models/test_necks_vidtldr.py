"""vid-TLDR's saliency, and what happens to the background."""
from dataclasses import replace

import numpy as np
import torch
from mmaction.models.backbones.vit_mae import VisionTransformer
from reference import reducer_loops
from reference.neck_checks import assert_equals_loops
from small_model import make_vit, queries_and_keys, randomize

from gaie_mmaction.models import TokenState, VidTLDRNeck
from gaie_mmaction.models.necks.vidtldr_neck import saliency_score

SIZE = dict(img_size=16, patch_size=8, embed_dims=12, depth=3, num_heads=2, num_frames=8)


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
    """The first reduction of the whole network, from upstream's modules and loops."""
    upstream = randomize(VisionTransformer(**SIZE), .5).double().eval()
    model = make_vit(dict(type='VidTLDRNeck', r=[5, 3]), (0, 1), **SIZE).double().eval()
    model.load_state_dict(upstream.state_dict())
    clips, history = torch.randn(2, 3, 8, 16, 16, dtype=torch.float64), []
    with torch.no_grad():
        model.forward_tokens(clips, history)
        x = upstream.patch_embed(clips)[0] + upstream.pos_embed
        block, normed = upstream.blocks[0], upstream.blocks[0].norm1(x)
        q, k = queries_and_keys(block.attn, normed)
        sharp = reducer_loops.sharpness(q.numpy(), k.numpy(), 6**-.5)
        np.testing.assert_allclose(history[0].importance, sharp, rtol=1e-5)
        x = x + block.attn(normed)
        assert_equals_loops(history[0], history[1], [
            reducer_loops.vidtldr(x[b].numpy(), np.ones(16), sharp[b], 5) for b in range(2)
        ], rtol=1e-4)
