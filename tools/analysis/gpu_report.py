"""Run the GPU's tests and measure plain ViT, GAIE and the free reducer on this machine's GPU.

Inference and training steps by batch size, precision and mode, kernels, and the importance beside
PyTorch's fused attention and the package flash-colreduce, if it is installed. Writes tables,
report.md and a picture into docs/performance/<card>.
"""
import re
import subprocess
import sys
import time
from pathlib import Path

import torch
from rich.console import Console

from gaie_mmaction.benchmark import Conditions, Point, build_model
from gaie_mmaction.benchmark.gpu_report import list_cases, measure, write_report
from gaie_mmaction.utils.command_line import Namespace, tool_parser

ROOT = Path(__file__).resolve().parents[2]
MODELS = {'plain ViT': 'vivit_vitb_imigue.py', 'GAIE': 'gaie_vitb_imigue.py',
          'free reducer': 'reducers/keep_first_vitb_imigue.py'}
TESTS = ('tests/test_ops/test_triton_attention.py', 'tests/test_ops/test_fused_attention.py',
         'tests/test_models/test_gaie_vit.py')


def run_tests(seconds: float) -> str:
    """Last line of pytest, or that it did not end in time."""
    command = [sys.executable, '-m', 'pytest', '-q', '-n', '4', *TESTS]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f'not finished within {seconds:.0f} s'
    return (done.stdout.strip().splitlines() or [done.stderr.strip()])[-1]


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('--device', type=torch.device, default='cuda',
                        help='cuda or cuda:N; cpu to try the tool (default: %(default)s)')
    parser.add_argument('--minutes', type=float, default=8.,
                        help='time for all of it; what does not fit is left out and listed '
                        '(default: %(default)g)')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'performance',
                        help='a folder by the name of the card is made in it (default: '
                        'docs/performance)')
    return parser.parse_args()


def main() -> None:
    args, start = parse_args(), time.monotonic()
    if args.device.type == 'cuda' and not torch.cuda.is_available():
        built = 'was built without CUDA' if torch.version.cuda is None else 'sees no GPU'
        sys.exit(f'gpu_report.py needs an NVIDIA GPU, but PyTorch {torch.__version__} {built}: '
                 'run it where nvidia-smi shows one, with a CUDA build of PyTorch')
    say = Console(stderr=True, highlight=False).print
    say('tests')
    tests = run_tests(20 * args.minutes)
    conditions = Conditions(args.device, rounds=5)
    models = {name: build_model((str(ROOT / 'configs' / path), None), Point())
              for name, path in MODELS.items()}
    for _, model, _ in models.values():
        model.to(conditions.device)
    report = measure(models, conditions.device, say, cases=list_cases(), rounds=conditions.rounds,
                     seconds=60 * args.minutes - (time.monotonic() - start))
    card = conditions.names()['device'].removeprefix('NVIDIA ').lower()
    folder = args.out / re.sub(r'[^a-z0-9.]+', '_', card)
    write_report(report, conditions, folder, [
        f'tests: {tests}', 'random weights; in each round every model runs up to 20 times, in '
        'random order; ms: median over the rounds; speed: over the plain ViT',
        f'command: python tools/analysis/gpu_report.py --minutes {args.minutes:g}'])
    print(f'written: {folder}; tests: {tests}')


if __name__ == '__main__':
    main()
