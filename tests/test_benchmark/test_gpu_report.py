"""The GPU report on the CPU: tiny models, a clock of its own."""
import itertools
import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from matplotlib.image import imread
from small_model import CONFIG
from torch import nn

from gaie_mmaction.benchmark import Conditions, Point, Timing, build_model, gpu_report

ROOT = Path(__file__).parents[2]
CPU = torch.device('cpu')
CASES = [gpu_report.Case('inference', 'eager', 'bfloat16', 1),
         gpu_report.Case('inference', 'CUDA graphs', 'float32', 2),
         gpu_report.Case('training', 'eager', 'tf32', 1)]


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp('config') / 'gaie.py'
    path.write_text(CONFIG.format(root=ROOT))
    options = {'plain ViT': {'model.backbone.neck': None, 'model.backbone.merge_layers': ()},
               'GAIE': {}}
    return {name: build_model((str(path), None), Point(), change)
            for name, change in options.items()}


def test_every_case_is_measured_and_written(built, tmp_path, monkeypatch):
    compiled, precisions = [], []

    def compile_module(self, mode):
        compiled.append(mode)
        self._compiled_call_impl = self._call_impl

    monkeypatch.setattr(nn.Module, 'compile', compile_module)

    def spy(make):
        return lambda *args: precisions.append(
            (torch.get_float32_matmul_precision(), args[-1])) or make(*args)

    for name in ('inference_step', 'training_step'):
        monkeypatch.setattr(gpu_report, name, spy(getattr(gpu_report, name)))
    monkeypatch.setattr(gpu_report, 'time_attention', lambda *_: [
        {'batch': '1', 'what': 'fused attention', 'ms': '1.0'}])
    said = []
    report = gpu_report.measure(built, CPU, said.append, cases=CASES, seconds=1e9, rounds=3)
    assert not report.left_out and len(said) == 2 + len(CASES)
    assert compiled == ['reduce-overhead'] * 2 and precisions[2:] == [
        *[('highest', torch.bfloat16)] * 2, *[('highest', torch.float32)] * 2,
        *[('high', torch.float32)] * 2]
    assert torch.get_float32_matmul_precision() == 'highest'
    assert all(model.backbone._compiled_call_impl is None for _, model, _ in built.values())
    assert [row['model'] for row in report.kernels] == list(built)
    assert {row['kernels'] for row in report.kernels} == {'0'}  # what runs on the CPU is none
    for row in report.speeds:
        assert float(row['speed']) > 0 and (row['model'] != 'plain ViT' or row['speed'] == '1.000')
        assert float(row['clips/s']) == pytest.approx(
            1e3 * int(row['batch']) / float(row['ms']), rel=.01)
    gpu_report.write_report(report, Conditions(CPU), tmp_path / 'card', ['tests: 3 passed'])
    frame = pd.read_csv(tmp_path / 'card' / 'speeds.csv')
    assert len(frame) == 6 and set(frame['mode']) == {'eager', 'CUDA graphs'}
    text = (tmp_path / 'card' / 'report.md').read_text()
    assert '- tests: 3 passed\n' in text and '## Attention' in text and 'Not measured' not in text
    assert imread(tmp_path / 'card' / 'speed.png').any()


def test_what_the_time_does_not_allow_is_named(built, monkeypatch):
    """A job takes 5 s of this clock and is expected to take 10, or 60 where it compiles."""
    clock = itertools.count(0, 5).__next__

    def fail(*_):
        raise torch.OutOfMemoryError('too large\nfor the card')

    monkeypatch.setattr(gpu_report, 'count_kernels', lambda _: [])
    monkeypatch.setattr(gpu_report, 'time_attention', fail)
    report = gpu_report.measure(built, CPU, print, cases=CASES, seconds=30, clock=clock)
    assert report.left_out == ['attention: OutOfMemoryError: too large',
                               *(f'{name}: no time left' for name in (
                                   'inference eager bfloat16 1', 'inference CUDA graphs float32 2',
                                   'training eager tf32 1'))]


def test_attention_on_any_device(monkeypatch):
    """Twenty calls take 20 ms, with importance 40 ms."""
    monkeypatch.setattr(gpu_report, 'time_interleaved', lambda calls, *_: {
        name: Timing((.02 * (1 + k), )) for k, name in enumerate(calls)})
    rows = gpu_report.time_attention((1, ), CPU, 3, shape=(2, 20, 8))
    assert [row['what'] for row in rows[:2]] == ['fused attention', 'with importance']
    assert [row['dtype'] for row in rows] == ['bfloat16'] * 2 + ['float32'] * 2
    assert [row['ms'] for row in rows] == ['1.0000', '2.0000'] * 2
    assert [row['of fused'] for row in rows] == ['1.000', '2.000'] * 2


def test_cases():
    cases = gpu_report.list_cases()
    assert len(cases) == len(set(cases)) == 3 * 4 * 3 + 4
    modes = [case.mode for case in cases]
    assert modes.index('CUDA graphs') > max(k for k, mode in enumerate(modes) if mode == 'eager')


@pytest.mark.parametrize('device', ['cuda', 'cpu'])
def test_tool(device, tmp_path, monkeypatch, capsys):
    if device == 'cuda' and torch.cuda.is_available():
        pytest.skip('is refused without a GPU')
    monkeypatch.setattr(sys, 'argv', ['gpu_report.py', '--device', device, '--minutes', '0',
                                      '--out', str(tmp_path)])
    run = ROOT / 'tools/analysis/gpu_report.py'
    if device == 'cuda':
        with pytest.raises(SystemExit, match='needs an NVIDIA GPU, but PyTorch'):
            runpy.run_path(str(run), run_name='__main__')
        return
    runpy.run_path(str(run), run_name='__main__')
    text, = (path.read_text() for path in tmp_path.glob('cpu_*/report.md'))
    assert 'tests: not finished within 0 s' in text
    assert text.count(': no time left') == 2 + len(gpu_report.list_cases())
    assert 'written: ' in capsys.readouterr().out
