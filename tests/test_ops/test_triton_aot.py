"""Every kernel compiled ahead of time for real GPUs; none is needed."""
import re
import subprocess
from itertools import product
from pathlib import Path

import pytest
import torch

triton = pytest.importorskip('triton', reason='Triton is optional: make test-triton')

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from gaie_mmaction.ops import triton_attention, triton_merging  # noqa: E402

pytestmark = pytest.mark.skipif(triton_attention.INTERPRETED, reason='compiles: make test-triton')
SHARED_KIB = {80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}  # most of a block, by sm_
MAX_SPILLED = 16  # bytes of stack per thread
CUOBJDUMP = Path(triton.__file__).parent / 'backends/nvidia/bin/cuobjdump'
TYPES = {torch.float16: 'fp16', torch.bfloat16: 'bf16', torch.float32: 'fp32'}
# the others compile in `make test-triton` alone: they take minutes of a processor
ARCHITECTURES = [arch if arch == 90 else pytest.param(arch, marks=pytest.mark.slow)
                 for arch in SHARED_KIB]
TENSOR_CORES = re.compile(r'\b(mma\.sync|wgmma\.mma_async|tcgen05\.mma)\b')


def compile_kernel(kernel, pointers, constants, arch):
    """Compile as a launch would, with pointers and strides that 16 divides."""
    signature, attributes = {}, {}
    options = {name: constants.pop(name) for name in ('num_warps', 'num_stages')
               if name in constants}
    for index, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name] = 'constexpr'
            continue
        signature[name] = f'*{pointers[name]}' if name in pointers else (
            'fp32' if name == 'scale' else 'i32')
        if name in pointers or name.endswith(('_batch', '_head', '_token')):
            attributes[(index, )] = [['tt.divisibility', 16]]
    source = ASTSource(kernel, signature, {(kernel.arg_names.index(name), ): value
                                           for name, value in constants.items()}, attributes)
    return triton.compile(source, target=GPUTarget('cuda', arch, 32), options=options)


def stack_of(cubin, folder):
    """Bytes of local memory per thread, in which registers are spilled."""
    path = Path(folder) / 'kernel.cubin'
    path.write_bytes(cubin)
    usage = subprocess.run([CUOBJDUMP, '-res-usage', path], capture_output=True, text=True,
                           check=True).stdout
    return int(re.search(r'STACK:(\d+)', usage)[1])


@pytest.fixture
def compiled_well(tmp_path, monkeypatch):
    """Whether a kernel compiles within a GPU's limits; else what is wrong."""
    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path / 'cache'))

    def check(kernel, pointers, constants, arch, needs_tensor_cores=True):
        compiled = compile_kernel(kernel, pointers, dict(constants), arch)
        shared, stack = compiled.metadata.shared, stack_of(compiled.asm['cubin'], tmp_path)
        multiplies = bool(TENSOR_CORES.search(compiled.asm['ptx']))
        assert shared <= SHARED_KIB[arch] * 1024 and stack <= MAX_SPILLED, (
            f'{kernel.fn.__name__}: {shared} B of shared memory, {stack} B of stack')
        assert multiplies or not needs_tensor_cores, f'{kernel.fn.__name__}: no tensor cores'

    return check


@pytest.mark.parametrize('dims', [
    dims if dims == 64 else pytest.param(dims, marks=pytest.mark.slow)
    for dims in (32, 64, 80, 128)])
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('arch', ARCHITECTURES)
def test_attention(arch, dtype, dims, compiled_well):
    sums, means = triton_attention.launch_options(dtype, dims)
    for with_bias in (False, True):
        pointers = dict(q=TYPES[dtype], k=TYPES[dtype], log_sum='fp32', column_mean='fp32',
                        bias='fp32' if with_bias else TYPES[dtype])
        compiled_well(triton_attention._sum_rows, pointers, dict(sums, with_bias=with_bias), arch)
        compiled_well(triton_attention._average_columns, pointers,
                      dict(means, with_bias=with_bias), arch)


@pytest.mark.parametrize('arch', ARCHITECTURES)
def test_merge(arch, compiled_well):
    for dtype, with_weight in product(TYPES, (False, True)):
        pointers = dict(x=TYPES[dtype], out=TYPES[dtype], keep_idx='i64', merge_idx='i64',
                        dst='i64', weight='fp32', total='fp32')
        compiled_well(triton_merging._merge, pointers,
                      dict(triton_merging.BLOCKS, with_weight=with_weight), arch, False)
