"""The GPU's kernels against float64: on a GPU, or in Triton's interpreter."""
from contextlib import contextmanager

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

pytest.importorskip('triton', reason='Triton is optional: make test-triton')

from gaie_mmaction.ops import (  # noqa: E402
    attention_with_importance,
    token_merging,
    triton_attention,
    triton_merging,
)

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
pytestmark = pytest.mark.skipif(DEVICE == 'cpu' and not triton_attention.INTERPRETED,
                                reason='needs a GPU or TRITON_INTERPRET=1: make test-triton')
TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 2e-2}


def make_inputs(batch, heads, num_tokens, dims, dtype, with_bias):
    generator = torch.Generator().manual_seed(num_tokens + dims)
    qkv = torch.randn(batch, num_tokens, 3, heads, dims, generator=generator)
    q, k, v = qkv.to(DEVICE, dtype).permute(2, 0, 3, 1, 4)  # strided, as a ViT has them
    bias = None
    if with_bias:
        bias = torch.randint(1, 6, (batch, num_tokens), generator=generator).to(DEVICE).log()
    return q, k, v, bias


def check(values, expected, dtype):
    error = (values[0].double() - expected[0]).abs().max() / expected[0].abs().max()
    assert values[0].dtype == dtype and error <= TOLERANCE[dtype]
    assert values[1].dtype == torch.float32
    assert ((values[1] - expected[1]).abs() / expected[1]).max() <= 1e-5


@pytest.mark.parametrize('with_bias', [False, True])
@pytest.mark.parametrize('dims', [32, 64, 80, 128])
@pytest.mark.parametrize('dtype', TOLERANCE)
def test_equals_eager_in_float64(dtype, dims, with_bias):
    for num_tokens in (1, 150):
        q, k, v, bias = make_inputs(2, 2, num_tokens, dims, dtype, with_bias)
        expected = attention_with_importance(q.double(), k.double(), v.double(), bias=bias,
                                             backend='eager')
        own = attention_with_importance(q, k, v, bias=bias, backend='triton')
        check(own, expected, dtype)
        assert own[0].transpose(1, 2).is_contiguous()
        again = attention_with_importance(q, k, v, bias=bias, backend='triton')
        assert torch.equal(own[0], again[0]) and torch.equal(own[1], again[1])
        unaided = triton_attention.triton_column_mean(q, k, None, bias, dims**-.5)
        check((own[0], unaided), expected, dtype)


def test_many_tokens():
    q, k, v, _ = make_inputs(1, 1, 539, 64, torch.float32, False)
    expected = attention_with_importance(q.double(), k.double(), v.double(), backend='eager')
    check(attention_with_importance(q, k, v, backend='triton'), expected, torch.float32)


def test_large_logits_do_not_overflow():
    q, k, v, _ = make_inputs(1, 2, 130, 32, torch.float32, False)
    expected = attention_with_importance(300 * q.double(), k.double(), v.double(), backend='eager')
    own = attention_with_importance(300 * q, k, v, backend='triton')
    torch.testing.assert_close(own[1].double(), expected[1].double(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize('with_bias', [False, True])
def test_gradient(with_bias):
    inputs = make_inputs(2, 2, 40, 32, torch.float32, with_bias)
    results = []
    for backend in ('eager', 'triton'):
        leaves = [t.detach().clone().requires_grad_() for t in inputs[:3]]
        out, importance = attention_with_importance(*leaves, bias=inputs[3], backend=backend)
        assert not importance.requires_grad
        weights = torch.linspace(-1, 1, out.numel(), device=DEVICE).view_as(out)
        results.append((importance, *torch.autograd.grad((out * weights).sum(), leaves)))
    for own, expected in zip(*results):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('dtype', TOLERANCE)
def test_first_keys_hidden_by_the_bias(dtype):
    """-inf on more keys than the first block has."""
    q, k, v, _ = make_inputs(1, 2, 150, 32, dtype, False)
    bias = torch.zeros(1, 150, device=DEVICE)
    bias[:, :70] = float('-inf')
    out, importance = attention_with_importance(q, k, v, bias=bias, backend='triton')
    expected = attention_with_importance(q.double(), k.double(), v.double(), bias=bias.double(),
                                         backend='eager')
    check((out, importance[:, 70:]), (expected[0], expected[1][:, 70:]), dtype)
    assert not importance[:, :70].any()


@pytest.mark.parametrize('change, message', [
    (dict(dtype=torch.float64), 'float64'),
    (dict(dims=8), '16 to 128 channels, but got 8'),
    (dict(dims=144), '16 to 128 channels, but got 144'),
])
def test_what_does_not_fit(change, message):
    q, k, v, _ = make_inputs(**{**dict(batch=1, heads=1, num_tokens=5, dims=32,
                                       dtype=torch.float32, with_bias=False), **change})
    with pytest.raises(ValueError, match=message):
        attention_with_importance(q, k, v, backend='triton')
    attention_with_importance(q, k, v)  # 'auto' finds another way


def test_old_gpus_are_left_to_others(monkeypatch):
    """Below compute capability 8.0 there are no tensor-core instructions for the kernels."""
    with FakeTensorMode():
        q = torch.empty(1, 2, 5, 64, device='cuda')
    for capability, supported in (((7, 5), False), ((8, 0), True), ((12, 0), True)):
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda _, value=capability: value)
        assert triton_attention.is_supported(q) == supported
        assert ('(7, 5)' in triton_attention.unsupported_reason(q)) != supported


def test_launches_on_the_tensors_gpu(monkeypatch):
    """Both kernels, wherever the current device is."""
    current, launched = [], []

    @contextmanager
    def device(index):
        current.append(index)
        yield
        current.pop()

    class Kernel:

        def __getitem__(self, grid):
            return lambda *args, **options: launched.append(*current)

    monkeypatch.setattr(torch.cuda, 'device', device)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda _: (9, 0))
    for name in ('_sum_rows', '_average_columns'):
        monkeypatch.setattr(triton_attention, name, Kernel())
    with FakeTensorMode():
        q = torch.empty(1, 2, 5, 64, device='cuda:1')
        triton_attention.triton_column_mean(q, q, None, None, 1.)
    assert launched == [torch.device('cuda:1')] * 2


def test_three_tf32_products_are_as_accurate_as_float32():
    """The interpreter multiplies in float32; a GPU as here, by 'tf32x3'."""
    def split(t):
        large = (t.view(torch.int32) & ~0x1fff).view(torch.float32)  # 10 bits of the mantissa
        small = ((t - large).view(torch.int32) & ~0x1fff).view(torch.float32)
        return large.double(), small.double()

    q, k, v, _ = make_inputs(1, 2, 539, 64, torch.float32, False)
    (q_large, q_small), (k_large, k_small) = split(3 * q.contiguous()), split(k.contiguous())
    logits = (q_large @ k_large.mT + q_large @ k_small.mT + q_small @ k_large.mT).float() / 8
    expected = attention_with_importance(3 * q.double(), k.double(), v.double(), backend='eager')
    importance = logits.double().softmax(-1).mean((1, 2))
    assert ((importance - expected[1]).abs() / expected[1]).max() <= 1e-5


@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('with_weight', [False, True])
def test_merge_equals_the_cpus(dtype, with_weight):
    """Many tokens join one, most join others, some are in no group."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 90, 150, generator=generator).to(dtype)
    order = torch.rand(2, 90, generator=generator).argsort(1)
    keep_idx, merge_idx = order[:, :40], order[:, 40:85]
    dst = torch.randint(0, 40, (2, 45), generator=generator)
    dst[0, ::2] = 7
    weight = torch.rand(2, 90, generator=generator) + .1 if with_weight else None
    inputs = [None if t is None else t.to(DEVICE) for t in (x, keep_idx, merge_idx, dst, weight)]
    assert triton_merging.is_supported(inputs[0])
    merged, total = triton_merging.triton_merge(*inputs)
    expected = token_merging._merge(x.float(), keep_idx, merge_idx, dst, weight)
    torch.testing.assert_close(merged.cpu(), expected[0].to(dtype))
    torch.testing.assert_close(total.cpu(), expected[1])
