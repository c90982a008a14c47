"""Entries from one file: what is run, how it is fused, what is said.

Training and testing are stand-ins that write drawn scores; tests/test_entry/test_demo_entry.py has
the real ones.
"""
import copy
import errno
import json
import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from entry_report import assert_report, read_dumps
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from running import run_tool
from scipy.special import softmax
from skeleton_file import make_clip, write_skeletons

from gaie_mmaction import entry as entries
from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.datasets.annotations import read_annotations
from gaie_mmaction.datasets.imigue_pose_dataset import read_skeletons
from gaie_mmaction.entry import fit, network, run
from gaie_mmaction.entry.pseudo import add_pseudo_labels
from gaie_mmaction.evaluation import fusion

CLASSES, SIZES = 5, dict(train=40, val=48, test=60)
STRENGTHS = dict(rgb=1.6, taylor=1.2, flow=1.4)


def annotations(part, labelled=True):
    first = dict(train=1, val=5, test=9)[part]
    return [(f'000{first + k // 16}_{k % 16}', k % CLASSES if labelled else -1)
            for k in range(SIZES[part])]


@pytest.fixture
def folder(tmp_path, monkeypatch, root):
    monkeypatch.chdir(root)
    (tmp_path / 'data').mkdir()
    for part in SIZES:
        rows = annotations(part)
        (tmp_path / f'data/{part}.csv').write_text(
            'clip_id,video,start_frame,end_frame,label\n'
            + ''.join(f'{name},rgb/{part}/{name[:4]}.mp4,0,9,{label}\n' for name, label in rows))
        (tmp_path / f'data/{part}.txt').write_text(
            ''.join(f'{name}.mp4 {label}\n' for name, label in rows))
    return tmp_path


def write_entry(folder, changes=None, **more):
    content = dict(
        work_dir=str(folder / 'work'), data_root=str(folder / 'data'), calibrate=False,
        parts=dict(train='train', holdout='val', test='test'),
        streams=[dict(name=name, config=f'configs/demo/{config}_demo.py',
                      options={'model.cls_head.num_classes': CLASSES})
                 for name, config in (('rgb', 'gaie'), ('taylor', 'taylor'), ('flow', 'flow'))])
    content.update(more)
    for name, change in (changes or {}).items():
        next(one for one in content['streams'] if one['name'] == name).update(change)
    path = folder / 'entry.yaml'
    path.write_text(yaml.safe_dump(content))
    return path


class StandIns:
    """Writes what training and testing would leave; counts, and may be killed before a call."""

    def __init__(self, patch):
        self.calls, self.killed_at = [], None
        patch.setattr(run, 'train', self.train)
        patch.setattr(run, 'test', self.test)

    def _call(self, kind, config):
        if len(self.calls) == self.killed_at:
            raise KeyboardInterrupt
        name = Path(config).parts[-3]
        self.calls.append(f'{kind} {name}')
        return name

    def train(self, config, work_dir, **options):
        assert options == dict(device='cpu', gpus=1, resume=True)
        self._call('train', config)
        Config.fromfile(config)  # what mim would read
        (work_dir / 'epoch_12.pth').write_text('weights')
        return work_dir / 'epoch_12.pth'

    def test(self, config, checkpoint, work_dir, device, dump):
        name = self._call('test', config)
        assert Path(checkpoint).read_text() == 'weights'
        labels = network.read_labels(Config.fromfile(config), 'test')
        seed = sum(map(ord, name + next(iter(labels))))
        scores = np.random.default_rng(seed).normal(size=(len(labels), CLASSES))
        for row, label in zip(scores, labels.values()):
            row[label] += STRENGTHS[name]
        dump.write_bytes(pickle.dumps([  # arrays: hundreds of tensors would take most of the time
            dict(clip_id=clip_id, pred_score=score, gt_label=np.array([label]))
            for (clip_id, label), score in zip(labels.items(), softmax(scores, axis=1))]))


class CachedConfig:
    """The shipped configs, each read once."""
    read = cache(Config.fromfile)

    @classmethod
    def fromfile(cls, path):
        return copy.deepcopy(cls.read(path))


@pytest.fixture
def stand_ins(monkeypatch):
    # the networks' costs are others' tests
    monkeypatch.setattr(entries.make, 'measure_cost', cache(
        lambda one: network.Cost(1e9, 1, 1000, 12)), raising=True)
    monkeypatch.setattr(network.Network, '__hash__', lambda one: hash(one.dump), raising=False)
    monkeypatch.setattr(entries.make, 'Config', CachedConfig)
    return StandIns(monkeypatch)


def make(path):
    entry = entries.load_entry(str(path))
    report = entries.run_entry(entry)
    return entry, report.read_text()


@pytest.mark.parametrize('rule', ['probabilities', 'logits'])
def test_figures_are_those_of_the_dumps(folder, stand_ins, rule):
    _, text = make(write_entry(folder, sum=rule))
    assert stand_ins.calls == [f'{what} {name}' for name in STRENGTHS
                               for what in ('train', 'test', 'test')]
    assert_report(folder / 'work', STRENGTHS, rule)
    prediction = pd.read_csv(folder / 'work/prediction.csv')
    assert prediction.Id.tolist() == [name for name, _ in annotations('test')]
    assert '3 videos, of which none occur in the training part; so few that' in text
    assert f'{rule} are summed; weights fitted on the 48 clips of val' in text
    assert '95 %, 500 bootstrap samples' in text


@pytest.mark.parametrize('name, train_video, said', [
    ('nod_{1}.mp4', 0, '48 clips, of which none'), ('{0:04}_{1}.mp4', 0, '3 videos, of which none'),
    ('{0:04}_{1}.mp4', 3, '3 videos, of which 3')])
def test_units_of_clips_that_are_files_of_their_own(folder, stand_ins, name, train_video, said):
    """Only iMiGUE's names tell the video: what stands before an underscore may be the class."""
    first_clip = 0
    for video, (part, size) in zip((train_video, 3, 6), SIZES.items()):
        rows = ''.join(f'{name.format(video + k // 16, first_clip + k)} {k % CLASSES}\n'
                       for k in range(size))
        first_clip += size
        for ending in ('csv', 'txt'):
            (folder / f'data/{part}.{ending}').write_text(rows)
    assert f'bootstrap samples of the hold-out\'s {said} occur' in make(write_entry(folder))[1]


def test_units_of_segments_with_other_ids(folder, stand_ins):
    """The csv tells their video."""
    for part, size in SIZES.items():
        (folder / f'data/{part}.csv').write_text(
            'clip_id,video,start_frame,end_frame,label\n' + ''.join(
                f'{part}_{k},{part}/{k % 6}.mp4,0,9,{k % CLASSES}\n' for k in range(size)))
        (folder / f'data/{part}.txt').write_text(''.join(
            f'{part}_{k}.mp4 {k % CLASSES}\n' for k in range(size)))
    assert 'hold-out\'s 6 videos, of which none occur' in make(write_entry(folder))[1]


def test_temperatures_and_given_weights(folder, stand_ins):
    changes = {name: dict(weight=weight) for name, weight in zip(STRENGTHS, (1, .5, 0))}
    changes['rgb']['options'] = {
        'model.cls_head.num_classes': CLASSES,
        'test_dataloader.dataset.metainfo': dict(classes=['a', 'b', 'c', 'd', 'e'])}
    make(write_entry(folder, calibrate=True, changes=changes))
    # names of the config, and not those of iMiGUE
    assert pd.read_csv(folder / 'work/classes.csv')['class'].tolist() == list('abcde')
    (holdout, labels), (test, _) = (read_dumps(folder / 'work', STRENGTHS, part)
                                    for part in ('val', 'test'))
    calibrated = [softmax(np.log(one) / fusion.fit_temperature(two, labels, 'probabilities'), 1)
                  for one, two in zip(test, holdout)]
    fused = 1 * calibrated[0] + .5 * calibrated[1]
    prediction = pd.read_csv(folder / 'work/prediction.csv')
    assert prediction.Target.tolist() == fused.argmax(axis=1).tolist()


def test_killed_at_any_step_it_goes_on(folder, stand_ins):
    path = write_entry(folder)
    make(path)
    expected = (folder / 'work/prediction.csv').read_bytes()
    (folder / 'work').rename(folder / 'unbroken')
    stand_ins.calls = []
    for step in (0, 4, 8):
        stand_ins.killed_at = step
        with pytest.raises(KeyboardInterrupt):
            make(path)
        assert len(stand_ins.calls) == step and not (folder / 'work/prediction.csv').exists()
    stand_ins.killed_at = None
    make(path)
    assert (folder / 'work/prediction.csv').read_bytes() == expected
    assert len(stand_ins.calls) == len(set(stand_ins.calls)) + 3 == 9  # nothing twice


def test_only_what_changed_is_done_again(folder, stand_ins):
    make(write_entry(folder))

    def calls_after(changes=None, **more):
        stand_ins.calls = []
        make(write_entry(folder, changes, **more))
        return stand_ins.calls

    assert calls_after() == []
    assert calls_after(sum='logits') == []
    options = {'model.cls_head.num_classes': CLASSES, 'train_cfg.max_epochs': 13}
    assert calls_after(dict(taylor=dict(options=options))) == [
        'train taylor', 'test taylor', 'test taylor']
    assert calls_after(dict(taylor=dict(options=options), rgb=dict(tta='2x3'))) == ['test rgb'] * 2
    assert calls_after() == []  # the former one is still there
    checkpoint = folder / 'mine.pth'
    checkpoint.write_text('weights')
    assert calls_after(dict(flow=dict(checkpoint=str(checkpoint)))) == ['test flow'] * 2
    rows = (folder / 'data/train.csv').read_text()
    (folder / 'data/train.csv').write_text(rows.replace(',3\n', ',2\n'))
    assert calls_after() == [f'{what} {name}' for name in ('rgb', 'taylor')
                             for what in ('train', 'test', 'test')]


def test_second_network_on_all_labelled_clips(folder, stand_ins):
    text = (folder / 'data/train.csv').read_text()
    val = (folder / 'data/val.csv').read_text().splitlines()[1:]
    (folder / 'data/trainval.csv').write_text(text + '\n'.join(val))
    (folder / 'data/trainval.txt').write_text(
        (folder / 'data/train.txt').read_text() + (folder / 'data/val.txt').read_text())
    make(write_entry(folder, parts=dict(train='train', holdout='val', final='trainval',
                                        test='test')))
    assert stand_ins.calls == [f'{what} {name}' for name in STRENGTHS
                               for what in ('train', 'test', 'train', 'test')]
    assert len(list((folder / 'work/rgb').iterdir())) == 2
    for path in (folder / 'work/rgb').iterdir():
        dataset = Config.fromfile(path / 'config.py').train_dataloader.dataset
        dump, = path.glob('*-*.pkl')
        assert (dataset.ann_file, dump.name.split('-')[0]) in (
            ('train.csv', 'val'), ('trainval.csv', 'test'))


def test_pseudo_labels_train_a_second_round(folder, stand_ins):
    rule = dict(min_confidence=.5, max_per_class=4)
    path = write_entry(folder, pseudo_labels=rule)
    entry, text = make(path)
    assert stand_ins.calls == [
        *(f'{what} {name}' for name in STRENGTHS for what in ('train', 'test', 'test')),
        *(f'{what} {name}' for name in STRENGTHS for what in ('train', 'test'))]
    assert 'transductive: the networks of the test' in text
    weights = pd.read_csv(folder / 'work/streams.csv').weight.dropna().to_numpy()
    scores, truth = read_dumps(folder / 'work', STRENGTHS, 'test')  # the same in both rounds
    fused = np.tensordot(weights, scores, 1)
    ids = [name for name, _ in annotations('test')]
    expected = {}
    for label in range(CLASSES):
        sure = sorted((-fused[k, label], ids[k]) for k in range(len(ids))
                      if fused[k].argmax() == label and fused[k, label] >= .5)
        expected.update((name, label) for _, name in sure[:4])
    right = np.mean([label == truth[ids.index(name)] for name, label in expected.items()])
    assert f'{len(expected)} of its 60 clips' in text and f'{100 * right:.2f} % of these' in text
    for name in STRENGTHS:
        second, = [one for one in (folder / 'work' / name).glob('*/config.py')
                   if 'pseudo.' in one.read_text()]
        rows = network.read_labels(Config.fromfile(second), 'train')
        assert rows == dict(annotations('train')) | expected
        assert not list(second.parent.glob('val-*.pkl'))  # the hold-out is the first round's
    calls = len(stand_ins.calls)
    make(path)
    assert len(stand_ins.calls) == calls


def test_pseudo_labels_of_skeletons(tmp_path):
    """Of a prepared skeleton file; a clip without joints stays out."""
    def clip(clip_id, label, place=1.):
        return dict(frame_dir=clip_id, label=label, total_frames=2, img_shape=(4, 4),
                    keypoint=np.full((1, 2, 22, 2), place, np.float32),
                    keypoint_score=np.full((1, 2, 22), .01, np.float32))

    (tmp_path / 'skeleton.pkl').write_bytes(pickle.dumps(dict(
        split=dict(train=['a', 'b'], test=['c', 'd', 'e']),
        annotations=[clip('a', 0), clip('b', 1), clip('c', -1), clip('d', -1, 0.), clip('e', -1)])))
    train, test = (dict(data_root=str(tmp_path), ann_file='skeleton.pkl', split=split)
                   for split in ('train', 'test'))
    add_pseudo_labels(train, test, dict(c=1, d=0), tmp_path / 'out')
    by_id, splits = read_skeletons(train['ann_file'])
    assert splits == {train['split']: ['a', 'b', 'c']}
    assert {name: one['label'] for name, one in by_id.items()} == dict(a=0, b=1, c=1)
    assert test == dict(data_root=str(tmp_path), ann_file='skeleton.pkl', split='test')
    for part, ids in (('train', 'ab'), ('test', 'cde')):
        (tmp_path / f'{part}.txt').write_text(''.join(f'{name}.mp4 0\n' for name in ids))
    # frames with skeletons: the split is that of the annotation file, joints may be missing
    train, test = (dict(data_root=str(tmp_path), ann_file=f'{part}.txt',
                        skeleton_file='skeleton.pkl') for part in ('train', 'test'))
    add_pseudo_labels(train, test, dict(c=1, d=0), tmp_path / 'both')
    clips = read_annotations(train['ann_file'], 2)
    assert [(clip['clip_id'], clip['label']) for clip in clips] == [
        ('a', 0), ('b', 0), ('c', 1), ('d', 0)]
    by_id, splits = read_skeletons(train['skeleton_file'])
    assert splits == {Path(train['ann_file']).stem: ['a', 'b', 'c', 'd']} and 'split' not in train


def test_pseudo_labels_of_clips_in_another_folder(tmp_path):
    for part, ids in (('train', 'a'), ('test', 'bc')):
        (tmp_path / f'{part}.txt').write_text(''.join(f'{name}.mp4 0\n' for name in ids))
    train, test = (dict(data_root=str(tmp_path), ann_file=f'{part}.txt',
                        data_prefix=dict(video=f'videos/{part}')) for part in ('train', 'test'))
    add_pseudo_labels(train, test, dict(b=1), tmp_path / 'out')
    clips = read_annotations(train['ann_file'], 2)
    assert [(clip['clip_id'], clip['video'], clip['label']) for clip in clips] == [
        ('a', 'a.mp4', 0), ('b', '../test/b.mp4', 1)]


def test_given_checkpoints_need_no_training_part(folder, stand_ins):
    checkpoint = folder / 'mine.pth'
    checkpoint.write_text('weights')
    given = dict(checkpoint=str(checkpoint))
    _, text = make(write_entry(folder, dict(rgb=given)))
    assert 'trained on train; checkpoints were given of rgb' in text
    for path in folder.glob('data/train.*'):
        path.unlink()
    stand_ins.calls = []
    _, text = make(write_entry(folder, dict.fromkeys(STRENGTHS, given)))
    assert stand_ins.calls == [f'test {name}' for name in ('taylor', 'flow') for _ in range(2)]
    assert 'all checkpoints were given' in text and 'training part' not in text


def test_bootstrap_against_loops():
    random = np.random.default_rng(3)
    labels = random.integers(0, 4, 30)
    scores = random.normal(size=(2, 30, 4))
    scores[:, range(30), labels] += 1
    scores = softmax(scores, axis=2)
    streams = fit.Streams(['a', 'b'], [1., 1.], {}, dict(holdout=scores), dict(holdout=labels))
    units = [str(k // 5) for k in range(30)]
    weights = fusion.search_weights(scores, labels)
    found = fit.bootstrap(streams, units, weights, True, 'probabilities')
    draws = np.random.default_rng(0).multinomial(6, np.full(6, 1 / 6), fit.NUM_SAMPLES)
    chosen, fused, gains, unseen = [], [], [], []
    leader = max(range(2), key=lambda k: (scores[k].argmax(1) == labels).sum())
    for counts in draws:
        clips = [k for k in range(30) for _ in range(counts[k // 5])]
        left = [k for k in range(30) if counts[k // 5] == 0]
        best = fusion.search_weights(scores[:, clips], labels[clips])
        chosen.append(best)
        own = (fusion.fuse(scores, weights).argmax(1) == labels)[clips].mean()
        fused.append(own)
        gains.append(own - (scores[leader].argmax(1) == labels)[clips].mean())
        if left:
            alone = max(range(2), key=lambda k: (scores[k].argmax(1) == labels)[clips].sum())
            unseen.append([(one.argmax(1) == labels)[left].mean()
                           for one in (fusion.fuse(scores, best), scores[alone])])
    assert found.units == 6
    assert found.weights == pytest.approx(np.quantile(chosen, (.025, .975), axis=0), abs=.051)
    assert found.fused == pytest.approx(tuple(np.quantile(fused, (.025, .975))), abs=1e-6)
    assert found.gain == pytest.approx(tuple(np.quantile(gains, (.025, .975))), abs=1e-6)
    assert (found.unseen_fused, found.unseen_best) == pytest.approx(
        tuple(np.mean(unseen, axis=0)), abs=.005)
    # one unit is in every sample
    assert np.isnan(fit.bootstrap(streams, ['a'] * 30, weights, True, 'probabilities').unseen_fused)


def test_options_are_read_as_those_of_the_command_line(folder):
    """YAML takes 1e-5 and None for text."""
    path = write_entry(folder)
    path.write_text(path.read_text().replace('model.cls_head.num_classes: 5', 'a: 1e-5\n    b: None'
                                             "\n    c: 1x\n    d: [-.5E+2, no, 3, '1e-5']", 1))
    assert entries.load_entry(str(path)).streams[0].options == dict(
        a=1e-5, b=None, c='1x', d=[-50., False, 3, '1e-5'])


@pytest.mark.parametrize('changes, more, said', [
    ({}, dict(stream=1), "unknown key 'stream': did you mean 'streams'"),
    (dict(rgb=dict(weights=1)), {}, "stream 1: unknown key 'weights': did you mean 'weight'"),
    ({}, dict(parts=dict(hold_out='val')), "parts: unknown key 'hold_out': did you mean 'holdout'"),
    (dict(flow=dict(weight=-1)), {}, r"stream 3 \(flow\): weight must be 'fit' or a number of at"),
    (dict(flow=dict(weight=1)), {}, 'rgb, taylor have no weight'),
    (dict(flow=dict(checkpoint='none.pth')), {}, 'checkpoint none.pth does not exist'),
    (dict(flow=dict(config='none.py')), {}, 'config none.py does not exist'),
    (dict(flow=dict(tta='5')), {}, r'stream 3 \(flow\): tta must be CLIPSxCROPS'),
    (dict(flow=dict(name='rgb')), {}, 'several streams are named rgb'),
    (dict(flow=dict(name='../flow')), {}, "stream 3: name must be of letters.*got '../flow'"),
    (dict(flow=dict(name='a:b')), {}, "name must be of letters.*got 'a:b'"),
    ({}, dict(sum='votes'), 'sum must be one of'),
    ({}, dict(work_dir=2025), 'work_dir must be text, but is 2025'),
    ({}, dict(calibrate='no'), "calibrate must be true or false, but is 'no'"),
    ({}, dict(parts=dict(test=2025)), 'parts: test must be text, but is 2025'),
    ({}, dict(streams=[]), 'streams must be a list of at least one'),
    ({}, dict(out='a.txt'), 'must end in .csv or .zip'),
    ({}, dict(parts=dict(train='val', holdout='val')), 'the parts must differ'),
    ({}, dict(pseudo_labels=dict(min_confidence=.9)), "lacks the key 'max_per_class'"),
    ({}, dict(pseudo_labels=dict(min_confidence=90, max_per_class=9)), 'from 0 to 1, but got 90'),
    ({}, dict(pseudo_labels=dict(min_confidence=.9, max_per_class=0)), 'of at least 1, but got 0')])
def test_wrong_files(folder, changes, more, said):
    path = write_entry(folder, changes, **more)
    with pytest.raises((ValueError, OSError), match=said) as error:
        entries.load_entry(str(path))
    assert str(path) in str(error.value)


def test_what_does_not_match_is_found_before_anything_runs(folder, stand_ins):
    rows = (folder / 'data/val.txt').read_text().splitlines()
    (folder / 'data/val.txt').write_text('\n'.join(rows[2:]) + '\n')
    path = write_entry(folder, dict(taylor=dict(options={})))
    with pytest.raises(ValueError) as error:
        make(path)
    for said in ('different numbers of classes: rgb 5, taylor 32, flow 5',
                 'stream flow lacks 2 clips of holdout, e.g. 0005_0; 0005_1'):
        assert said in str(error.value)
    assert stand_ins.calls == [] and not (folder / 'work').exists()
    code, _ = run_tool('entry.py', path)
    assert code.startswith('nothing was run:\n') and code.endswith('mend it and run again')
    text = (folder / 'data/test.txt').read_text()
    (folder / 'data/test.txt').write_text(text.replace('0009_1.mp4 1', '0009_1.mp4 2'))
    assert ('rgb and stream flow have different labels for 1 clips of test, e.g. 0009_1'
            in run_tool('entry.py', path)[0])
    (folder / 'data/train.txt').unlink()
    assert 'stream flow: annotation file' in run_tool('entry.py', path)[0]
    for labels, said in ((',-1', 'rgb: the hold-out has clips without label'),
                         (None, 'rgb is trained on 48 clips of holdout')):
        part = 'val' if labels else 'train'
        text = (folder / 'data/val.csv').read_text()
        (folder / f'data/{part}.csv').write_text(text.replace(',3', labels or ',3'))
        assert said in run_tool('entry.py', path)[0]
    path.write_text('streams: [')
    assert 'is not YAML' in run_tool('entry.py', path)[0]


def test_views_by_a_key_of_the_config(folder):
    """The same as ``tta`` of the stream: other scores than without, and other costs."""
    views, classes = '2x3+flip', {'model.cls_head.num_classes': CLASSES}
    paths = (write_entry(folder, dict(rgb=change)) for change in (
        {}, dict(tta=views), dict(options=dict(classes, tta=views))))
    plain, of_stream, of_config = (
        entries.make.make_networks(entries.load_entry(str(path)))[0] for path in paths)
    assert of_config.dump == of_stream.dump != plain.dump
    assert of_config.folder == plain.folder and 'tta' not in of_config.cfg
    assert network.measure_cost(of_config).views == 12


def test_split_without_clips(folder, stand_ins):
    write_skeletons(folder / 'data/skeleton.pkl', [make_clip('0001_0', 1)], train=['0001_0'],
                    val=[], test=['0001_0'])
    path = write_entry(folder, dict(rgb=dict(config='configs/demo/stgcn_demo.py')))
    assert 'stream rgb: ' in (said := run_tool('entry.py', path)[0])
    assert "skeleton.pkl has no clip in the split 'val'" in said


def test_skeletons_beside_frames_count(folder):
    path, found = write_entry(folder, dict(rgb=dict(config='configs/demo/m2hen_demo.py'))), []
    for content in ('one', 'other', 'one'):
        (folder / 'data/skeleton.pkl').write_text(content)
        found.append(entries.make.make_networks(entries.load_entry(str(path)))[0])
    assert found[0].folder == found[2].folder != found[1].folder
    assert found[0].dump.name == found[2].dump.name != found[1].dump.name


@pytest.mark.parametrize('config', ['pretraining/videomae_demo', 'spotting/detector_demo'])
def test_configs_without_a_classifier(folder, stand_ins, config):
    path = write_entry(folder, dict(flow=dict(config=f'configs/{config}.py', options={})))
    assert run_tool('entry.py', path)[0].startswith(
        f'stream flow: configs/{config}.py has no model.cls_head')


def test_wrong_tables_of_subjects(folder, stand_ins):
    """The message names the part, and the tool ends in it."""
    table = folder / 'subjects.csv'
    path = write_entry(folder, subjects=str(table))
    assert 'subjects.csv cannot be read' in run_tool('entry.py', path)[0]
    for videos, said in (([5], 'of 2 videos of the hold-out, e.g. 0006; 0007'),
                         ([5, 6, 7], 'of 3 videos of the training part, e.g. 0001; 0002; 0003')):
        table.write_text('video_id,class,start_frame,end_frame,subject_id\n' + ''.join(
            f'{video},1,0,9,1\n' for video in videos))
        assert said in run_tool('entry.py', path)[0]
    assert stand_ins.calls == []


def test_no_space_left(folder, stand_ins, monkeypatch):
    usage = run.shutil.disk_usage(folder)._replace(free=100)
    monkeypatch.setattr(run.shutil, 'disk_usage', lambda path: usage)
    with pytest.raises(OSError, match='no space left for the checkpoints of stream rgb') as error:
        make(write_entry(folder))
    assert error.value.errno == errno.ENOSPC and stand_ins.calls == []


def test_dump_of_other_clips_is_refused(folder, stand_ins):
    make(write_entry(folder))
    dump = next((folder / 'work/rgb').glob('*/test-*.pkl'))
    dump.write_bytes(pickle.dumps(pickle.loads(dump.read_bytes())[1:]))
    with pytest.raises(ValueError, match=f'{dump} has the scores of 59 clips, but the part has 60'):
        make(write_entry(folder))


@pytest.mark.parametrize('name', ['gaie', 'rgb_skeleton', 'mm_gesture', 'demo'])
def test_dry_run_of_the_shipped_entries(root, monkeypatch, name, request):
    """Without data: the plan is printed, what is missing is named, nothing is written."""
    monkeypatch.chdir(root)
    if name != 'demo':  # full size
        request.getfixturevalue('stand_ins')
    entry = entries.load_entry(f'entries/{name}.yaml')
    monkeypatch.setattr(network, '_ann_file', lambda dataset: f'none/{dataset["ann_file"]}')
    table, problems = entries.describe_entry(entry)
    assert table.stream.unique().tolist() == [stream.name for stream in entry.streams]
    assert problems and all('none/' in problem for problem in problems)


def test_dry_run(folder, stand_ins):
    path = write_entry(folder)
    code, output = run_tool('entry.py', path, '--dry-run')
    assert code is None and '12 epochs x 40 clips' in output
    # the test's networks are trained on another part
    for ending in ('csv', 'txt'):
        (folder / f'data/half.{ending}').write_text(
            (folder / f'data/train.{ending}').read_text().partition('0001_9')[0])
    table, _ = entries.describe_entry(entries.load_entry(str(write_entry(folder, parts=dict(
        train='train', holdout='val', test='test', final='half')))))
    assert table.training[:2].tolist() == ['12 epochs x 40 clips', '12 epochs x 9 clips']
    assert table['training PMACs'][:2].tolist() == ['0.001', '0.000']
    path = write_entry(folder)
    assert stand_ins.calls == [] and not (folder / 'work').exists()
    make(path)
    assert json.loads(next((folder / 'work/rgb').glob('*/trained.json')).read_text())[
        'checkpoint'] == 'training/epoch_12.pth'
    _, output = run_tool('entry.py', path, '--dry-run')
    assert 'there' in output and 'missing' not in output


def test_missing_skeletons_name_the_way_out(root, tmp_path):
    cfg = Config.fromfile(root / 'configs/stgcn_imigue_joint.py')
    cfg.test_dataloader.dataset.data_root = str(tmp_path)
    with pytest.raises(FileNotFoundError, match='does not exist: make it with prepare_imigue.py'):
        network.read_labels(cfg, 'test')


@pytest.mark.slow
@pytest.mark.parametrize('name', ['gaie', 'rgb_skeleton', 'mm_gesture'])
def test_networks_of_the_shipped_entries(root, monkeypatch, name):
    """Built at full size, with the entry's options."""
    monkeypatch.chdir(root)
    for one in entries.make.make_networks(entries.load_entry(f'entries/{name}.yaml')):
        init_default_scope('mmaction')
        build_recognizer(one.cfg, device='meta')
        DATASETS.build(dict(one.cfg.test_dataloader.dataset, lazy_init=True))
