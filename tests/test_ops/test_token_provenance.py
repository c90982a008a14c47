"""Following original tokens through reductions that drop some."""
import torch

from gaie_mmaction.ops import new_index, unmerge_tokens, update_source


def test_by_hand():
    source = torch.tensor([[0, 1, -1, 2, 3, 1]])
    keep_idx = torch.tensor([[3, 1]])
    place = new_index(keep_idx, 4)
    assert place.tolist() == [[-1, 1, -1, 0]]
    followed = update_source(source, place)
    assert followed.tolist() == [[-1, 1, -1, -1, 0, 1]]
    x = torch.tensor([[[1., 2.], [3., 4.]]])
    assert unmerge_tokens(x, followed).tolist() == [
        [[0, 0], [3, 4], [0, 0], [0, 0], [1, 2], [3, 4]]]


def test_two_drops_are_one():
    batch, num_tokens = 4, 30
    first = torch.rand(batch, num_tokens).argsort(1)[:, :20]
    second = torch.rand(batch, 20).argsort(1)[:, :9]
    start = torch.arange(num_tokens).expand(batch, -1)
    one_by_one = update_source(update_source(start, new_index(first, num_tokens)),
                               new_index(second, 20))
    assert torch.equal(one_by_one, new_index(first.gather(1, second), num_tokens))
