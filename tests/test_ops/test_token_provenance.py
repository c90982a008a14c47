"""Following original tokens through reductions that drop some."""
import torch

from gaie_mmaction.ops import follow_source, place_of_kept, spread_tokens


def test_by_hand():
    source = torch.tensor([[0, 1, -1, 2, 3, 1]])
    keep_idx = torch.tensor([[3, 1]])
    place = place_of_kept(keep_idx, 4)
    assert place.tolist() == [[-1, 1, -1, 0]]
    followed = follow_source(source, place)
    assert followed.tolist() == [[-1, 1, -1, -1, 0, 1]]
    x = torch.tensor([[[1., 2.], [3., 4.]]])
    assert spread_tokens(x, followed).tolist() == [
        [[0, 0], [3, 4], [0, 0], [0, 0], [1, 2], [3, 4]]]


def test_two_drops_are_one():
    batch, num_tokens = 4, 30
    first = torch.rand(batch, num_tokens).argsort(1)[:, :20]
    second = torch.rand(batch, 20).argsort(1)[:, :9]
    start = torch.arange(num_tokens).expand(batch, -1)
    one_by_one = follow_source(follow_source(start, place_of_kept(first, num_tokens)),
                               place_of_kept(second, 20))
    assert torch.equal(one_by_one, place_of_kept(first.gather(1, second), num_tokens))
