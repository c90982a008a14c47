"""The door to PyTorch's fused operators: values on the CPU, shapes and arguments of the GPU's."""
import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from gaie_mmaction.ops import attention_with_importance, fused_attention
from gaie_mmaction.ops.fused_attention import CUDNN, EFFICIENT, FLASH, OPERATORS

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 2e-2}
BIASES = {'none': None, 'same': lambda dtype: dtype, 'float32': lambda dtype: torch.float32}


def make_inputs(device, dtype, bias, dims=16, num_tokens=70):
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(2, num_tokens, 3, 4, dims, generator=generator).to(device, dtype)
    if BIASES[bias]:
        bias = torch.randn(2, num_tokens, generator=generator).to(device, BIASES[bias](dtype))
    return *qkv.permute(2, 0, 3, 1, 4), None if bias == 'none' else bias


def check(own, inputs, dtype):
    """Output and log-sum-exp against float64; the latter of the bias as it was given."""
    q, k, v, bias = (None if t is None else t.double() for t in inputs)
    logits = q @ k.mT * .3 + (0 if bias is None else bias[:, None, None])
    error = (own[0].double() - logits.softmax(-1) @ v).abs().max()
    assert own[0].dtype == dtype and error <= TOLERANCE[dtype] * v.abs().max()
    if own[1] is not None:
        assert not own[1].requires_grad and own[1].dtype in (torch.float32, torch.float64)
        torch.testing.assert_close(own[1].double(), logits.logsumexp(-1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('compiled', [False, True])
@pytest.mark.parametrize('bias', BIASES)
@pytest.mark.parametrize('dtype', TOLERANCE)
def test_cpu(dtype, bias, compiled):
    if dtype == torch.float64 and bias == 'float32':
        bias = 'same'
    inputs = make_inputs('cpu', dtype, bias)
    torch._dynamo.reset()
    run = fused_attention.fused_attention
    run = torch.compile(run, fullgraph=True, backend='aot_eager') if compiled else run
    own = run(*inputs, .3)
    assert own[1].shape == (2, 4, 70)
    check(own, inputs, dtype)


def test_bias_that_needs_a_gradient():
    """The CPU's operator gives it none: another way, without the sum."""
    q, k, v, bias = make_inputs('cpu', torch.bfloat16, 'float32')
    own = fused_attention.fused_attention(q, k, v, bias.requires_grad_(), .3)
    check((own[0].detach(), own[1]), (q, k, v, bias.detach()), torch.bfloat16)
    assert own[1] is None and torch.autograd.grad(own[0].sum(), bias)[0].any()
    with pytest.raises(ValueError, match="take backend='auto'"):
        attention_with_importance(q, k, v, bias=bias, backend='flash')


@pytest.mark.parametrize('num_tokens', [5, 70])
@pytest.mark.parametrize('choice, dtype, bias', [
    (FLASH, torch.bfloat16, 'none'),
    (EFFICIENT, torch.float32, 'none'), (EFFICIENT, torch.float32, 'same'),
    (EFFICIENT, torch.float16, 'same'), (CUDNN, torch.float16, 'none'),
    (CUDNN, torch.bfloat16, 'same')])
def test_operators_of_a_gpu(choice, dtype, bias, num_tokens, monkeypatch):
    """Shapes, arguments and gradient on 'meta', where PyTorch's own shape functions answer."""
    taken = []

    def operator(*args, **options):
        taken.append(options.get('attn_bias'))
        return OPERATORS['cuda', choice](*args, **options)

    monkeypatch.setattr(fused_attention, '_choose', lambda *_: choice)
    monkeypatch.setattr(fused_attention, 'OPERATORS', {('meta', choice): operator})
    q, k, v, bias = make_inputs('meta', dtype, bias, 64, num_tokens)
    q = q.detach().requires_grad_()
    out, log_sum = fused_attention.fused_attention(q, k, v, bias, .3)
    assert out.shape == q.shape and out.dtype == dtype
    assert log_sum.shape == q.shape[:3] and log_sum.dtype == torch.float32
    assert not log_sum.requires_grad and torch.autograd.grad(out.sum(), q)[0].shape == q.shape
    assert (taken[0] is None) == (bias is None)
    if choice == EFFICIENT and bias is not None:
        assert taken[0].shape == (2, 4, num_tokens, num_tokens) and taken[0].stride(0) % 8 == 0


@pytest.mark.parametrize('choice, dims, bias', [
    (SDPBackend.MATH.value, 64, 'none'), (SDPBackend.ERROR.value, 64, 'none'),
    (FLASH, 36, 'none'), (EFFICIENT, 64, 'float32'), (CUDNN, 64, 'float32')])
def test_what_falls_back(choice, dims, bias, monkeypatch):
    """To PyTorch's function, with the bias in the dtype of the queries, and without a sum."""
    masks = []
    monkeypatch.setattr(fused_attention, '_choose', lambda *_: choice)
    monkeypatch.setattr(fused_attention, 'OPERATORS', {
        ('meta', other): operator for (device, other), operator in OPERATORS.items()
        if device == 'cuda'})
    monkeypatch.setattr(F, 'scaled_dot_product_attention',
                        lambda q, k, v, attn_mask, scale: masks.append(attn_mask) or q)
    q, k, v, bias = make_inputs('meta', torch.bfloat16, bias, dims)
    assert fused_attention.fused_attention(q, k, v, bias, .3)[1] is None
    assert masks[0] is bias is None or masks[0].dtype == q.dtype


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('bias', BIASES)
@pytest.mark.parametrize('dims', [36, 64])
@pytest.mark.parametrize('dtype', list(TOLERANCE)[1:])
@pytest.mark.parametrize('backend', [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION,
                                     SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION])
def test_gpu(backend, dtype, dims, bias):
    inputs = make_inputs('cuda', dtype, bias, dims)
    leaves = [t.detach().clone().requires_grad_() for t in inputs[:3]]
    with sdpa_kernel([backend, SDPBackend.MATH]):  # the latter where the former cannot
        out, log_sum = fused_attention.fused_attention(*leaves, inputs[3], .3)
        check((out.detach(), log_sum), inputs, dtype)
        grads = torch.autograd.grad(out.square().sum(), leaves)
        mask = None if inputs[3] is None else inputs[3][:, None, None].to(dtype)
        other = F.scaled_dot_product_attention(*leaves, attn_mask=mask, scale=.3)
        for own, expected in zip(grads, torch.autograd.grad(other.square().sum(), leaves)):
            torch.testing.assert_close(own, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
