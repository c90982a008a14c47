"""Late fusion: matching, calibration, weights, and the tool."""
import itertools
import os
import pickle
import runpy
import sys
from pathlib import Path

import fuse_scores
import mmaction
import mmengine
import numpy as np
import pytest
import torch
from mmaction.evaluation import get_weighted_score, mean_class_accuracy
from scipy.special import softmax

from gaie_mmaction.evaluation import fusion

CLASSES = 32


def make_scores(clips=160, seed=0, strength=2., part='0054'):
    """Ids, logits and labels of a network that is right more often than not."""
    random = np.random.default_rng(seed)
    labels = np.arange(clips) % CLASSES
    logits = random.normal(size=(clips, CLASSES)) + strength * np.eye(CLASSES)[labels]
    return [f'{part}_{k}' for k in range(clips)], logits.astype(np.float32), labels


def write_dump(path, ids, scores, labels):
    """As `mim test --dump` does it."""
    mmengine.dump([dict(clip_id=clip_id, pred_score=torch.from_numpy(score),
                        gt_label=torch.tensor([int(label)]), img_shape=(168, 224))
                   for clip_id, score, label in zip(ids, scores, labels)], str(path))
    return str(path)


@pytest.fixture
def dumps(tmp_path):
    """Two networks, the second one in another order."""
    paths = []
    for seed in (0, 1):
        ids, logits, labels = make_scores(seed=seed)
        order = np.random.default_rng(seed).permutation(len(ids)) if seed else range(len(ids))
        paths.append(write_dump(tmp_path / f'{seed}.pkl', [ids[k] for k in order],
                                softmax(logits, axis=1)[order], labels[order]))
    return paths


def fail(*arguments):
    with pytest.raises(SystemExit) as end:
        fuse_scores.main([str(argument) for argument in arguments])
    assert isinstance(end.value.code, str)  # printed to stderr; the exit status is 1
    return end.value.code


def table_rows(text):
    """The table's numbers by part and network."""
    lines = text.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith('part '))
    rows = [line.split() for line in lines[start + 1:]
            if line.startswith(('validation ', 'test '))]
    return {(row[0], os.path.basename(row[2])): [float(cell) for cell in row[3:]] for row in rows}


def test_dump_is_read(dumps):
    ids, logits, labels = make_scores()
    found = fusion.read_dump(dumps[0])
    assert found.ids == ids and found.scores.dtype == np.float64
    np.testing.assert_allclose(found.scores, softmax(logits, axis=1), rtol=1e-6)
    np.testing.assert_array_equal(found.labels, labels)


def test_clips_are_matched_by_id(dumps):
    first, second = fusion.match([fusion.read_dump(path) for path in dumps])
    assert first.ids == second.ids and fusion.read_dump(dumps[1]).ids != first.ids
    _, logits, labels = make_scores(seed=1)
    np.testing.assert_allclose(second.scores, softmax(logits, axis=1), rtol=1e-6)
    np.testing.assert_array_equal(second.labels, labels)


@pytest.mark.parametrize('kind, weights', [
    ('probabilities', (1, 1)), ('probabilities', (2, .5)), ('probabilities', (0, 3)),
    ('logits', (1, 1)), ('logits', (.3, .7))])
def test_report_accuracy_says_the_same(tmp_path, monkeypatch, capsys, kind, weights):
    """MMAction2's tool matches by order, so here the order is the same."""
    paths = []
    for seed in (0, 1):
        ids, logits, labels = make_scores(seed=seed, strength=3.)
        scores = softmax(logits, axis=1) if kind == 'probabilities' else logits
        paths.append(write_dump(tmp_path / f'{seed}.pkl', ids, scores, labels))
    script = Path(mmaction.__file__).parent / '.mim/tools/analysis_tools/report_accuracy.py'
    options = ['--apply-softmax'] if kind == 'logits' else []
    monkeypatch.setattr(sys, 'argv', [str(script), '--preds', *paths, '--coefficients',
                                      *map(str, weights), *options])
    runpy.run_path(str(script), run_name='__main__')
    mean1, top1, top5 = [float(line.split(': ')[1])
                         for line in capsys.readouterr().out.splitlines()[-3:]]
    fuse_scores.main([*paths, '--weights', *map(str, weights)])
    text = capsys.readouterr().out
    assert f'the dumps hold {kind}, {kind}' in text
    found = table_rows(text)['test', 'fused']
    assert found == pytest.approx([100 * top1, 100 * top5, 100 * mean1], abs=.0101)
    assert 20 < found[0] < 99


def test_classes_without_clips(tmp_path, capsys):
    """Where MMAction2's mean class accuracy is another one: 31 is predicted, but nobody did it."""
    labels = np.array([0, 0, 1, 1])
    scores = np.eye(32)[[0, 31, 1, 1]]
    path = write_dump(tmp_path / 'a.pkl', ['a', 'b', 'c', 'd'], scores, labels)
    fuse_scores.main([path])
    assert table_rows(capsys.readouterr().out)['test', 'fused'][2] == 75
    assert mean_class_accuracy(list(scores), labels.tolist()) == .5


def test_sum_is_the_hosts():
    streams = [softmax(make_scores(seed=seed)[1], axis=1) for seed in range(3)]
    expected = get_weighted_score(streams, (1, .2, .5))
    np.testing.assert_allclose(fusion.fuse(streams, (1, .2, .5)), expected, rtol=1e-6)


def test_kinds():
    logits = make_scores()[1].astype(np.float64)
    probabilities = softmax(logits, axis=1)
    assert fusion.kind_of(probabilities) == 'probabilities' and fusion.kind_of(logits) == 'logits'
    half = probabilities.astype(np.float16).astype(np.float64)
    assert fusion.kind_of(half) == 'probabilities'
    assert fusion.to_probabilities(probabilities, 'probabilities') is probabilities
    np.testing.assert_allclose(fusion.to_probabilities(logits, 'logits'), probabilities)
    for temperature in (.5, 3.):  # of logits and of their probabilities it is the same
        np.testing.assert_allclose(
            fusion.to_probabilities(probabilities, 'probabilities', temperature),
            fusion.to_probabilities(logits, 'logits', temperature), rtol=1e-6)
    with pytest.raises(ValueError, match='are no probabilities'):
        fusion.to_probabilities(logits, 'probabilities')
    with pytest.raises(ValueError, match="kind must be one of"):
        fusion.to_probabilities(logits, 'both')


def test_temperature_is_found():
    """Labels drawn from softmax(logits): scaled logits need that scale as temperature."""
    random = np.random.default_rng(0)
    logits = 2 * random.normal(size=(4000, 8))
    p = softmax(logits, axis=1)
    labels = (p.cumsum(axis=1) < random.random((4000, 1))).sum(axis=1)
    for scale in (.5, 1., 4.):
        found = fusion.fit_temperature(scale * logits, labels, 'logits')
        assert found == pytest.approx(scale, rel=.1)
        assert fusion.fit_temperature(softmax(scale * logits, axis=1), labels,
                                      'probabilities') == pytest.approx(found, rel=1e-3)
        losses = [fusion.negative_log_likelihood(
            fusion.to_probabilities(scale * logits, 'logits', found * factor), labels)
            for factor in (.8, 1., 1.25)]
        assert losses[1] == min(losses)


def test_grid_finds_the_best():
    streams = [softmax(make_scores(seed=seed, strength=strength)[1], axis=1)
               for seed, strength in ((0, 2.), (1, 1.5), (2, 0.))]
    labels = make_scores()[2]
    found = fusion.search_weights(streams, labels, steps=5)

    def top1(weights):
        return (fusion.fuse(streams, weights).argmax(axis=1) == labels).mean()

    every = [np.array(weights) / 5 for weights in itertools.product(range(6), repeat=3)
             if sum(weights) == 5]
    assert len(every) == 21 and top1(found) == max(map(top1, every)) > top1((1, 0, 0))
    assert found.sum() == pytest.approx(1) and any((found == weights).all() for weights in every)
    best = [weights for weights in every if top1(weights) == top1(found)]
    losses = [fusion.negative_log_likelihood(fusion.fuse(streams, weights), labels)
              for weights in best]
    assert (best[int(np.argmin(losses))] == found).all()


def test_nelder_mead_finds_the_best():
    streams = [softmax(make_scores(seed=seed, strength=strength)[1], axis=1)
               for seed, strength in ((0, 2.), (1, 1.))]
    labels = make_scores()[2]

    def loss(weight):
        return fusion.negative_log_likelihood(fusion.fuse(streams, (weight, 1 - weight)), labels)

    found = fusion.search_weights(streams, labels, 'nelder-mead')
    fine = np.linspace(0, 1, 1001)
    assert found.sum() == pytest.approx(1)
    assert found[0] == pytest.approx(fine[np.argmin([loss(weight) for weight in fine])], abs=3e-3)


def test_standard_error():
    random = np.random.default_rng(0)
    drawn = (random.random((4000, 200)) < .7).mean(axis=1)  # 4000 experiments of 200 clips
    assert fusion.standard_error(.7, 200) == pytest.approx(drawn.std(), rel=.05)
    assert .01 < fusion.standard_error(1., 48) < .05  # 48 hits of 48 are no proof


def test_grid_has_a_limit():
    assert len(fusion._grid(2, 20)) == 21 and len(fusion._grid(1, 20)) == 1
    assert len(fusion._grid(6, 20)) <= 20000
    for weights in fusion._grid(4, 6):
        assert weights.sum() == pytest.approx(1) and weights.min() >= 0


def test_search_on_the_validation_part(tmp_path, capsys):
    """There the second network is the better one; on the fused part it would be the first."""
    paths, probabilities = {}, {}
    for part, strengths in (('0001', (.5, 3.)), ('0054', (3., .5))):
        for network, strength in enumerate(strengths):
            ids, logits, labels = make_scores(96, network, strength, part)
            paths[part, network] = write_dump(tmp_path / f'{part}_{network}.pkl', ids, logits,
                                              labels)
            probabilities[part, network] = softmax(logits.astype(np.float64), axis=1)
    arguments = [paths['0054', 0], paths['0054', 1], '--val-preds', paths['0001', 0],
                 paths['0001', 1]]
    for method in fusion.METHODS:
        fuse_scores.main([*arguments, '--search', method])
        text = capsys.readouterr().out
        rows = table_rows(text)
        for part in ('validation', 'test'):
            name = '0001' if part == 'validation' else '0054'
            weights = [rows[part, f'{name}_{network}.pkl'][0] for network in (0, 1)]
            expected = fusion.search_weights(
                [probabilities['0001', network] for network in (0, 1)], labels, method)
            assert weights == pytest.approx(list(expected), abs=6e-4) and weights[1] > .5
        assert rows['validation', 'fused'][0] >= rows['validation', '0001_1.pkl'][2]
        assert 'warning: the weights of 2 networks were fitted on 96 clips. The st' in text
    fuse_scores.main([*arguments, '--calibrate'])
    text = capsys.readouterr().out
    rows = table_rows(text)
    for network in (0, 1):
        expected = fusion.fit_temperature(
            np.log(probabilities['0001', network]), labels, 'logits')
        assert [rows[part, f'{name}_{network}.pkl'][:2]
                for part, name in (('validation', '0001'), ('test', '0054'))] == [
                    [1, pytest.approx(expected, abs=6e-3)]] * 2
    assert 'warning: the temperatures were fitted on 96 clips' in text


def test_leaderboard_file(tmp_path, dumps, capsys):
    ids, first, _ = make_scores()
    for path, seed in zip(dumps, (0, 1)):
        ids, logits, _ = make_scores(seed=seed)
        write_dump(path, ids[::-1], logits[::-1].copy(), [-1] * len(ids))
    rows = ''.join(f'{clip_id},0054.mp4,0,9,-1\n' for clip_id in ids)
    ann_file, out = tmp_path / 'test.csv', tmp_path / 'prediction.csv'
    ann_file.write_text(f'clip_id,video,start_frame,end_frame,label\n{rows}')
    fuse_scores.main([*dumps, '--ann-file', str(ann_file), '--out', str(out)])
    assert '160 of 160 clips have no label: no figures' in capsys.readouterr().out
    fused = softmax(first, axis=1) + softmax(make_scores(seed=1)[1], axis=1)
    assert out.read_text().split() == ['Id,Target', *(
        f'{clip_id},{target}' for clip_id, target in zip(ids, fused.argmax(axis=1)))]
    out.unlink()
    ann_file.write_text(ann_file.read_text() + '0055_0,0055.mp4,0,9,-1\n')
    assert '1 clips of' in fail(*dumps, '--ann-file', ann_file, '--out', out)
    assert not out.exists()
    assert 'must end in .csv or .zip' in fail(*dumps, '--out', 'a.txt')


@pytest.mark.parametrize('classes', [31, 33, 40])
def test_leaderboard_file_of_other_classes(tmp_path, classes):
    """Its targets would be none of the leaderboard's; own data says how many classes it has."""
    ids = [f'0054_{k}' for k in range(2 * classes)]
    labels = np.arange(2 * classes) % classes
    scores = np.eye(classes, dtype=np.float32)[labels]
    dump = write_dump(tmp_path / 'a.pkl', ids, scores, labels)
    rows = ''.join(f'{clip_id},0054.mp4,0,9,{label}\n' for clip_id, label in zip(ids, labels))
    ann_file, out = tmp_path / 'test.csv', tmp_path / 'prediction.csv'
    ann_file.write_text(f'clip_id,video,start_frame,end_frame,label\n{rows}')
    assert f'scores of {classes} classes, but the leaderboard has 32 (--num-classes)' in fail(
        dump, '--ann-file', ann_file, '--out', out)
    assert not out.exists()
    fuse_scores.main([dump, '--ann-file', str(ann_file), '--out', str(out), '--num-classes',
                      str(classes)])
    assert out.read_text().split()[1:] == [f'{one},{two}' for one, two in zip(ids, labels)]


def test_scores_with_a_gradient(tmp_path):
    samples = broken(lambda samples: samples[3]['pred_score'].requires_grad_())
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(samples))
    found = fusion.read_dump(str(tmp_path / 'a.pkl'))
    np.testing.assert_array_equal(found.scores[3], samples[3]['pred_score'].detach().double())


def test_other_clips_are_an_error(tmp_path, dumps):
    ids, logits, labels = make_scores()
    short = write_dump(tmp_path / 'short.pkl', ids[1:], logits[1:], labels[1:])
    message = fail(dumps[0], short)
    assert f'1 clips are only in {dumps[0]}, e.g. 0054_0' in message
    other = write_dump(tmp_path / 'other.pkl', ['0060_0', *ids[1:]], logits, labels)
    message = fail(dumps[0], other)
    assert 'e.g. 0054_0; ' in message and f'1 clips are only in {other}, e.g. 0060_0' in message
    labelled = write_dump(tmp_path / 'labelled.pkl', ids, logits, np.roll(labels, 1))
    assert 'have different labels of 160 clips' in fail(dumps[0], labelled)
    narrow = write_dump(tmp_path / 'narrow.pkl', ids[:8], logits[:8, :8], labels[:8])
    wide = write_dump(tmp_path / 'wide.pkl', ids[:8], logits[:8], labels[:8])
    assert 'has 32 classes, but' in fail(wide, narrow)


@pytest.mark.parametrize('weights, said', [
    ((0, 0), 'sum to zero'), ((1, -1), 'not negative'), ((1, ), '2 streams, but 1 weights'),
    ((1, float('nan')), 'finite')])
def test_wrong_weights(dumps, weights, said):
    assert said in fail(*dumps, '--weights', *map(float, weights))


def broken(change):
    ids, logits, labels = make_scores(8)
    samples = [dict(clip_id=clip_id, pred_score=torch.from_numpy(score),
                    gt_label=torch.tensor([label]))
               for clip_id, score, label in zip(ids, logits, labels)]
    change(samples)
    return samples


@pytest.mark.parametrize('change, said', [
    (lambda samples: samples[3].pop('clip_id'), "1 of 8 clips have no clip_id: add 'clip_id'"),
    (lambda samples: samples[3].update(clip_id='0054_0'), 'occur more than once, e.g. 0054_0'),
    (lambda samples: samples[3]['pred_score'].fill_(np.nan), 'not finite, e.g. 0054_3'),
    (lambda samples: samples[3].update(pred_score=torch.ones(2, 32)), 'one score a class'),
    (lambda samples: samples[3].update(pred_score='much'), 'must be a tensor, but is a str'),
    (lambda samples: samples[3].update(gt_label=torch.tensor([1, 2])), '2 labels instead of one'),
    (lambda samples: samples[3].update(gt_label=torch.tensor([32])), 'labels up to 32'),
    (lambda samples: samples[3].update(clip_id=7), '1 clips have an id that is not a text, e.g. 7'),
    (lambda samples: samples[3].update(clip_id=['a']), 'an id that is not a text'),
    (lambda samples: samples[3].update(pred_score=torch.ones(32).bfloat16()), 'is torch.bfloat16'),
    (lambda samples: samples[3].update(pred_score=torch.ones(32) * 1j), 'is torch.complex64, but'),
    (lambda samples: samples[3].update(pred_score=torch.ones(32).long()), 'is torch.int64, but'),
    (lambda samples: samples[3].update(gt_label=torch.tensor([1.7])), 'gt_label of clip 0054_3 is '
     'torch.float32, but must be an integer'),
    (lambda samples: samples[3].update(gt_label=None), 'must be a tensor, but is a NoneType'),
    (lambda samples: samples[3].update(gt_label='3'), 'must be a tensor, but is a str'),
    (lambda samples: samples.clear(), 'is no list of clips'),
])
def test_wrong_dumps(tmp_path, change, said):
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(broken(change)))
    message = fail(path)
    assert said in message and str(path) in message


def test_malicious_dump_runs_nothing(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'victim'), )

    (tmp_path / 'a.pkl').write_bytes(pickle.dumps([dict(clip_id='0054_0', pred_score=Payload())]))
    assert 'is refused and nothing of it was run: it holds' in fail(tmp_path / 'a.pkl')
    assert not (tmp_path / 'victim').exists()


def test_nothing_is_fitted_on_the_fused_clips(tmp_path, dumps):
    assert '160 clips are in --val-preds and in the fused part too' in fail(
        *dumps, '--val-preds', *dumps, '--search', 'grid')
    ids, logits, labels = make_scores(part='0001')
    vals = [write_dump(tmp_path / f'val{k}.pkl', ids, logits, -np.ones_like(labels))
            for k in (0, 1)]
    assert '160 clips of --val-preds have no label' in fail(
        *dumps, '--val-preds', *vals, '--search', 'grid')
    for options in (['--search', 'grid'], ['--calibrate'], ['--val-preds', vals[0]],
                    ['--search', 'grid', '--weights', 1, 1, '--val-preds', *vals]):
        with pytest.raises(SystemExit) as end:
            fuse_scores.main([str(option) for option in (*dumps, *options)])
        assert end.value.code == 2
