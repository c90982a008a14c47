"""The page of trainings: values, resumed runs, what is incomplete or hostile, and the hook."""
import json
import math
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from report_data import HOSTILE
from running import run_tool
from tiny_training import make_runner, write_config

from gaie_mmaction.hooks import TrainingPageHook, training_page
from gaie_mmaction.report import read_runs, write_training_page


def train_line(step, loss=1., **more):
    return dict(lr=1e-4, loss=loss, time=.5, iter=step, step=step, **more)


def write_log(folder, *lines, start='20260101_000000', end='\n'):
    path = folder / start / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, lines)) + end)
    return path


def read_page(path):
    """The page, and its curves by section and title."""
    html = path.read_text(encoding='utf-8')
    data = json.loads(re.search('<script type="application/json" id="data">(.*?)</script>', html,
                                re.S)[1], parse_constant=lambda name: pytest.fail(name))
    titles = re.findall('<h3>(.*?)</h3>', html)
    return html, data['names'], {(chart['section'], title): chart['curves']
                                 for chart, title in zip(data['charts'], titles, strict=True)}


def make_page(tmp_path, *folders):
    write_training_page(read_runs(folders), tmp_path / 'page.html')
    return read_page(tmp_path / 'page.html')


def test_values_are_the_logs_own(tmp_path):
    """Of two runs by epochs and one by iterations, whose validations are apart."""
    logs = {'a': [train_line(k, math.exp(-k), epoch=1 + k // 10) for k in range(10, 40, 10)],
            'b': [train_line(5, memory=12345), train_line(15, top1_acc=.25)]}
    logs['a'].insert(2, {'acc/top1': 1 / 3, 'step': 2})
    logs['b'].append({'f1': .7, 'threshold': .2, 'step': 15})
    for name, lines in logs.items():
        write_log(tmp_path / name, *lines)
    html, names, curves = make_page(tmp_path, tmp_path / 'a', tmp_path / 'b')
    assert names == ['a', 'b'] and list(curves) == [
        ('Training by iteration', name) for name in ('loss', 'top1_acc', 'lr', 'memory, MiB',
                                                     'time, s')] + [
        ('Validation by epoch', 'acc/top1'), ('Validation by iteration', 'f1'),
        ('Validation by iteration', 'threshold')]
    assert curves['Training by iteration', 'loss'] == [
        [[10, 20, 30], [math.exp(-10), math.exp(-20), math.exp(-30)]], [[5, 15], [1, 1]]]
    assert curves['Training by iteration', 'memory, MiB'] == [[[], []], [[5], [12345]]]
    assert curves['Validation by epoch', 'acc/top1'] == [[[2], [1 / 3]], [[], []]]
    assert curves['Validation by iteration', 'f1'] == [[[], []], [[15], [.7]]]
    # the smallest loss, the highest F1; a threshold has no best
    best = re.findall(r'>([\d.e-]+) <small>at (\d+)</small>', html)
    assert best == [('9.3576e-14', '30'), ('1', '5'), ('0.25', '15'), ('0.33333', '2'),
                    ('0.7', '15')]


@pytest.mark.parametrize('by_epoch', [True, False])
def test_resumed_run(tmp_path, by_epoch):
    """The later start replaces what was logged beyond its checkpoint, validations included."""
    def line(step, loss):
        return train_line(step, loss, **(dict(epoch=(step + 9) // 10) if by_epoch else {}))

    def val(epoch, acc):
        return {'acc/top1': acc, 'step': epoch if by_epoch else 10 * epoch}

    write_log(tmp_path, line(10, 1.), val(1, .1), line(20, 2.), val(2, .2), line(30, 3.))
    write_log(tmp_path, val(2, .25), start='20260102_000000')  # repeated, then killed
    write_log(tmp_path, val(0, .9), start='20260103_000000')  # `mim test` on that part
    write_log(tmp_path, line(15, 4.), line(25, 5.), start='20260104_000000')
    run, = read_runs([tmp_path])
    assert [(line['step'], line['loss']) for line in run.train] == [(10, 1), (15, 4), (25, 5)]
    assert [line['acc/top1'] for line in run.val] == [.1] and run.num_starts == 2


def test_not_finite_values_are_shown(tmp_path):
    write_log(tmp_path, train_line(1, .5), train_line(2, math.nan), train_line(3, -math.inf))
    html, _, curves = make_page(tmp_path, tmp_path)
    assert curves['Training by iteration', 'loss'] == [[[1, 2, 3], [.5, 'NaN', '-Infinity']]]
    assert '2 values are not finite, the first (NaN) at iteration 2.' in html
    assert '0.5 <small>at 1</small>' in html and '>-inf<' in html


def test_incomplete_lines(tmp_path):
    """The last one is being written; any other is an error with its place."""
    path = write_log(tmp_path, train_line(1), train_line(2), end='\n{"lr": 0.1, "lo')
    run, = read_runs([tmp_path])
    assert len(run.train) == 2 and f'{path}: the last line is incomplete' in run.notes[0]
    for text in ('{"lr": 0.1, "lo\n', '[1]\n', '{"loss": 1}\n', '{"step": NaN}\n'):
        path.write_text(json.dumps(train_line(1)) + '\n' + text)
        with pytest.raises(ValueError, match='scalars.json, line 2: '):
            read_runs([tmp_path])


def test_tool(tmp_path):
    """Equal names are told apart by their paths; a run without a step is an error."""
    for name in ('a/work', 'b/work'):
        write_log(tmp_path / name, train_line(1), end='\n{')
    folders = [tmp_path / 'a/work', tmp_path / 'b/work']
    code, output = run_tool('visualize/training.py', *folders, '--out', tmp_path / 'page.html')
    assert code is None and output.count('is incomplete') == 2
    assert read_page(tmp_path / 'page.html')[1] == [str(folder) for folder in folders]
    write_log(tmp_path / 'c', {'acc/top1': .5, 'step': 0})
    for folder in (tmp_path / 'c', tmp_path / 'missing'):
        code, _ = run_tool('visualize/training.py', tmp_path / 'a/work', folder)
        assert str(folder) in code and 'no training iteration' in code


def test_hostile_names_stay_text(tmp_path):
    name = HOSTILE.replace('/', '')
    write_log(tmp_path / name, train_line(1) | {f'{HOSTILE}_loss': 2})
    html, names, _ = make_page(tmp_path, tmp_path / name)
    assert names == [name] and '<img' not in html and len(re.findall('<script', html)) == 2


def test_hook(tmp_path, monkeypatch):
    """After each validation the page has all that is logged, also in a resumed training."""
    config = write_config(tmp_path, "custom_hooks = [dict(type='TrainingPageHook')]")
    page, seen = tmp_path / 'work/training.html', []
    after_val_epoch = TrainingPageHook.after_val_epoch

    def look(hook, runner, metrics=None):
        after_val_epoch(hook, runner, metrics)
        seen.append(read_page(page)[2] if page.exists() else None)

    monkeypatch.setattr(TrainingPageHook, 'after_val_epoch', look)
    for epochs in (2, 3):
        make_runner(config, resume=epochs > 2, train_cfg__max_epochs=epochs,
                    train_cfg__val_interval=1).train()
    lines = [json.loads(line) for path in sorted((tmp_path / 'work').glob('*/*/scalars.json'))
             for line in path.read_text().splitlines()]
    expected = {part: [[line['step'], line[key]] for line in lines if key in line]
                for part, key in (('Training by iteration', 'loss'),
                                  ('Validation by epoch', 'acc/top1'))}
    assert len(expected['Training by iteration']) == 12 and len(seen) == 3
    for epoch, curves in enumerate(seen, 1):
        for part, key, number in (('Training by iteration', 'loss', 4 * epoch),
                                  ('Validation by epoch', 'acc/top1', epoch)):
            assert [*map(list, zip(*curves[part, key][0]))] == expected[part][:number]
    assert read_page(page)[2] == seen[-1]


def test_hook_alone(tmp_path, monkeypatch):
    """Validations without a training and other processes write none; a failure is a warning."""
    write_log(tmp_path, train_line(1))
    page, warnings = tmp_path / 'training.html', []
    runner = SimpleNamespace(work_dir=str(tmp_path), logger=SimpleNamespace(
        warning=warnings.append))
    hook = TrainingPageHook()
    hook.after_val_epoch(runner)
    with monkeypatch.context() as patch:
        patch.setattr(training_page, 'is_main_process', lambda: False)
        hook.before_train(runner)
        hook.after_val_epoch(runner)
        hook.after_train(runner)
    assert not page.exists()
    page.mkdir()
    hook.after_train(runner)
    write_log(tmp_path, 'no object', start='20260102_000000')
    hook.after_train(runner)
    assert len(warnings) == 2 and f'{page} was not written: ' in warnings[0]
    assert 'scalars.json, line 1' in warnings[1]


@pytest.mark.slow
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_in_a_browser(open_page, tmp_path, scheme):
    """Charts are drawn; mouse and keyboard show the log's values; hostile names stay text."""
    first = tmp_path / HOSTILE.replace('/', '')
    write_log(first, *(train_line(k, 1 / k, epoch=1) for k in range(1, 41)),
              {'acc/top1': .5, 'step': 1})
    write_log(tmp_path / 'b', *(train_line(k, math.nan if k == 30 else 2 / k)
                                for k in range(5, 35, 5)))
    make_page(tmp_path, first, tmp_path / 'b')
    page = open_page(tmp_path / 'page.html', color_scheme=scheme,
                     viewport=dict(width=360, height=740))
    assert page.evaluate('document.documentElement.scrollWidth') <= 360
    assert page.locator('canvas').count() == page.locator('.charts figure').count() == 4
    assert page.locator('img').count() == 0 and page.title() != 'run'
    loss = page.locator('figure').first
    plot, head, values = loss.get_by_role('slider'), loss.locator('output'), loss.locator('.value')
    assert [head.inner_text(), *values.all_inner_texts()] == ['–', '–', '–']
    plot.focus()
    first_step = ['1', '1', '0.4 at 5']
    for key, expected in (('ArrowLeft', ['40', '0.025', 'NaN at 30']), ('Home', first_step),
                          ('ArrowLeft', first_step), ('ArrowRight', ['2', '0.5', '0.4 at 5']),
                          ('End', ['40', '0.025', 'NaN at 30'])):
        page.keyboard.press(key)
        assert [head.inner_text(), *values.all_inner_texts()] == expected
    assert plot.get_attribute('aria-valuetext') == f'iteration 40: {first.name} 0.025, b NaN at 30'
    area = loss.locator('.u-over')
    area.hover(position=dict(x=area.bounding_box()['width'] * 9 / 39, y=20))
    assert [head.inner_text(), *values.all_inner_texts()] == ['10', '0.1', '0.2']
    # charts of a section share the cursor
    assert page.locator('figure').nth(1).locator('output').inner_text() == '10'

    def count_pixels(name, rows=slice(None)):
        """Of about a run's colour in the chart of losses."""
        css = page.locator(f'.swatch.{name}').first.evaluate('mark => getComputedStyle(mark).color')
        image = cv2.imdecode(np.frombuffer(loss.locator('canvas').screenshot(), np.uint8), 1)
        distance = np.abs(image[rows, :, ::-1] - np.array(re.findall(r'\d+', css), float))
        return (distance.sum(axis=2) < 30).sum()

    linear = count_pixels('c0')
    assert linear > 50 and count_pixels('c1') > 20
    assert count_pixels('c1', slice(30)) > 3  # the cross; the finite losses are far below
    page.get_by_label('Logarithmic losses').check()
    assert count_pixels('c0') not in (0, linear)
    page.get_by_label('b 30 iterations').uncheck()
    assert count_pixels('c1') == 0 and count_pixels('c0') > 50
