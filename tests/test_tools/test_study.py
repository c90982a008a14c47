"""The study of token reducers: equal cost, equal starts, resuming, and its statistics."""
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from numbered_video import write_video
from scipy import stats

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools' / 'analysis'))

import study  # noqa: E402
import study_report as report  # noqa: E402

from gaie_mmaction.benchmark import build_recognizer  # noqa: E402

CONFIGS = {name: Config.fromfile(ROOT / 'configs' / 'study' / f'{name}.py')
           for name in study.STUDIES}
CFG, REAL = CONFIGS['embedded'], CONFIGS['egogestar']
ARMS = [(name, *one) for name, cfg in CONFIGS.items() for one in study.arms_of(cfg)
        if one != study.FULL]


def cost(name, budget, arm):
    cfg = study.arm_config(CONFIGS[name], budget, arm)
    return study.gmacs(build_recognizer(cfg), cfg)


@pytest.mark.parametrize('name, budget, arm', ARMS)
def test_arms_of_a_budget_cost_what_gaie_does(name, budget, arm):
    assert cost(name, budget, arm) == pytest.approx(cost(name, budget, 'GAIE'), rel=.03)
    assert cost(name, budget, arm) < .9 * cost(name, *study.FULL)


@pytest.mark.parametrize('name', study.STUDIES)
def test_diffrate_aims_at_the_cost_of_gaie(name):
    hook, = study.arm_config(CONFIGS[name], '0.7', 'DiffRate').custom_hooks
    gaie = cost(name, '0.7', 'GAIE') / cost(name, *study.FULL)
    assert hook.target_ratio == pytest.approx(gaie, rel=.03)
    assert hook.search_epochs < CONFIGS[name].train_cfg.max_epochs


@pytest.mark.parametrize('name, seeds', [('embedded', 5), ('egogestar', 2)])
def test_there_are_enough_tokens_and_seeds(name, seeds):
    backbone = CONFIGS[name].model.backbone
    tokens = (backbone.num_frames // backbone.tubelet_size) * (backbone.img_size // 16)**2
    assert tokens >= 100 and CONFIGS[name].study.seeds >= seeds


@pytest.fixture
def clips():
    """16 clips of noise, of two classes."""
    init_default_scope('mmaction')
    frames = np.random.default_rng(0).integers(0, 256, (16, 8, 86, 94, 3), dtype=np.uint8)
    places = list(range(16))
    return study.Clips(frames, [k % 2 for k in places], {0: (places[:12], places[12:])})


def train_start(clips, tmp_path, seed):
    """Starting weights on the disk, and what their training saw."""
    cfg = Config(CFG.to_dict())
    cfg.merge_from_dict(CFG.study.start)
    cfg.train_cfg.max_epochs = 2
    runner = study.make_runner(cfg, clips, 0, seed, tmp_path / f'start{seed}')
    seen = watch(runner)
    path = tmp_path / f'start{seed}.pth'
    torch.save(dict(state_dict=runner.model.state_dict()), path)
    return path, seen


def watch(runner):
    """Train, and return the inputs of all steps and the weights that the first one began with."""
    inputs, weights = [], []
    step = runner.model.train_step

    def look(data, optim_wrapper):
        inputs.append(torch.stack([clip.clone() for clip in data['inputs']]))
        weights.append({key: value.clone() for key, value in runner.model.state_dict().items()})
        return step(data, optim_wrapper)

    runner.model.train_step = look
    runner.train()
    return torch.cat(inputs), weights[0]


def test_arms_share_weights_order_and_augmentation(clips, tmp_path):
    """All arms begin with the same weights and see the same, whatever a reducer draws."""
    path, (_, fresh) = train_start(clips, tmp_path, seed=1)
    start = torch.load(path)['state_dict']
    assert any(not torch.equal(start[key], fresh[key]) for key in start)
    inputs = None
    for budget, arm in (study.FULL, ('0.7', 'GAIE'), ('0.7', 'RandomDrop'), ('0.7', 'DiffRate')):
        cfg = study.arm_config(CFG, budget, arm)
        cfg.train_cfg.max_epochs = 2
        runner = study.make_runner(cfg, clips, 0, 1, tmp_path / arm, path)
        arm_inputs, weights = watch(runner)
        inputs = arm_inputs if inputs is None else inputs
        assert torch.equal(inputs, arm_inputs), arm
        assert all(torch.equal(value, weights[key]) for key, value in start.items()), arm
        assert any(not torch.equal(runner.model.state_dict()[key], start[key]) for key in start)


def test_another_seed_is_another_start_and_the_same_seed_the_same(clips, tmp_path):
    path, (inputs, weights) = train_start(clips, tmp_path, seed=1)
    _, (other_inputs, other_weights) = train_start(clips, tmp_path, seed=2)
    again, _ = train_start(clips, tmp_path / 'again', seed=1)
    key = 'backbone.blocks.0.mlp.layers.1.weight'
    assert not torch.equal(inputs, other_inputs)
    assert not torch.equal(weights[key], other_weights[key])
    assert torch.equal(torch.load(path)['state_dict'][key], torch.load(again)['state_dict'][key])


def test_memory_dataset_leaves_the_clips_as_they_are(clips):
    before = clips.frames.copy()
    dataset = study.MemoryDataset(clips, [3, 5], CFG.train_pipeline)
    for _ in range(4):
        sample = dataset[1]
        assert sample['inputs'].shape == (1, 3, 8, 80, 80)
        assert sample['data_samples'].gt_label.item() == clips.labels[5]
    assert len(dataset) == 2 and np.array_equal(clips.frames, before)


@pytest.fixture
def footage(tmp_path):
    """A folder in the form of the real footage: three scenes of two clips, and one to leave out."""
    lines = ['path,label,label_id,serial,scene,fold,frames,fps']
    for scene in range(3):
        for label_id, label in enumerate(('left', 'right')):
            name = f'{label}{scene}.mp4'
            write_video(tmp_path / name, 10 + scene)
            lines.append(f'{name},{label},{label_id},1,{scene},{scene},{10 + scene},25')
    lines.append('left0.mp4,unclassified,2,1,0,0,10,25')
    (tmp_path / 'labels.csv').write_text('\n'.join(lines) + '\n')
    return tmp_path


def test_real_footage_is_read_once_and_split_by_its_folds(footage, tmp_path, monkeypatch):
    monkeypatch.setattr(study, 'WORK', tmp_path / 'work')
    cfg = Config(REAL.to_dict())
    clips = study.read_clips('egogestar', cfg, footage)
    assert clips.frames.shape == (6, 32, 96, 128, 3) and clips.labels == [0, 1] * 3
    assert clips.folds == {fold: ([k for k in range(6) if k // 2 != fold],
                                  [2 * fold, 2 * fold + 1]) for fold in range(3)}
    # no clip is mirrored: directions are classes
    assert 'Flip' not in str(cfg.train_pipeline)
    dataset = study.MemoryDataset(clips, clips.folds[0][0], cfg.train_pipeline)
    assert dataset[0]['inputs'].shape == (1, 3, 16, 80, 80)
    stored, = (tmp_path / 'work' / 'egogestar').glob('clips-*.npy')
    before = stored.stat().st_mtime_ns
    again = study.read_clips('egogestar', cfg, footage)
    assert stored.stat().st_mtime_ns == before and np.array_equal(again.frames, clips.frames)
    write_video(footage / 'left0.mp4', 12)  # other footage is decoded anew
    study.read_clips('egogestar', cfg, footage)
    assert len(list((tmp_path / 'work' / 'egogestar').glob('clips-*.npy'))) == 2


def small_config():
    """The study on real footage, one epoch long and from scratch."""
    cfg = Config(REAL.to_dict())
    cfg.study.start.train_cfg.max_epochs = cfg.train_cfg.max_epochs = 1
    cfg.study.start.param_scheduler = cfg.param_scheduler = []
    cfg.study.pretrained = None
    return cfg


def test_a_start_and_an_arm_of_it(footage, tmp_path, monkeypatch):
    """Rows of both kinds of run; starting weights that are there are tested, not trained again."""
    monkeypatch.setattr(study, 'WORK', tmp_path / 'work')
    cfg = small_config()
    cfg.study.budgets = {'full': cfg.study.budgets['full'], '0.4': {
        name: cfg.study.budgets['0.4'][name] for name in ('GAIE', 'vid-TLDR')}}
    cfg.dump(tmp_path / 'small.py')
    common = 'egogestar', str(tmp_path / 'small.py'), str(footage)
    rows = study.train_start(*common, 3, 1)
    assert [(row['budget'], row['arm'], row['training']) for row in rows] == [
        ('full', 'plain ViT', 'start'), ('0.4', 'GAIE', 'start'), ('0.4', 'vid-TLDR', 'start')]
    assert all((row['seed'], row['fold'], row['clips']) == (3, 1, 2) for row in rows)
    assert rows[1]['gmacs'] == pytest.approx(cost('egogestar', '0.4', 'GAIE'), abs=1e-6)
    assert rows[1]['gmacs'] < .7 * rows[0]['gmacs']
    monkeypatch.setattr(study.Runner, 'train', None)
    assert study.train_start(*common, 3, 1) == rows
    monkeypatch.undo()
    monkeypatch.setattr(study, 'WORK', tmp_path / 'work')
    row, = study.finetune(*common, '0.4', 'GAIE', 3, 1)
    assert row['training'] == 'finetuned' and row['gmacs'] == rows[1]['gmacs']
    assert row['top1'] in (0, .5, 1)


def test_starting_weights_begin_with_the_pretrained_ones(footage, tmp_path, monkeypatch):
    """The backbone of the same seed's, and a head of its own."""
    monkeypatch.setattr(study, 'WORK', tmp_path / 'work')
    cfg, other = small_config(), Config(REAL.to_dict())
    other.model.cls_head.num_classes = 7
    pretrained = build_recognizer(other)
    path = study.start_checkpoint('other', 1, 0)
    path.parent.mkdir(parents=True)
    torch.save(dict(state_dict=pretrained.state_dict()), path)
    cfg.study.pretrained = 'other'
    cfg.study.start.optim_wrapper.optimizer.lr = 0.
    clips = study.read_clips('egogestar', cfg, footage)
    _, runner = study.start_runner(cfg, clips, 1, 0, tmp_path / 'start.pth')
    ours = torch.load(tmp_path / 'start.pth')['state_dict']
    for key, value in pretrained.state_dict().items():
        if key.startswith('backbone.'):
            assert torch.equal(ours[key], value), key
    assert ours['cls_head.fc_cls.weight'].shape == (10, 64)


def test_a_choice_reads_no_clip_of_the_folds_it_may_not_see(footage, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, 'WORK', tmp_path / 'work')
    cfg = small_config()
    cfg.study.chosen_on = (0, 2)
    read = set()
    get = study.MemoryDataset.__getitem__
    monkeypatch.setattr(study.MemoryDataset, '__getitem__', lambda self, index: (
        read.add(self.places[index]), get(self, index))[1])
    study.choose(cfg, study.read_clips('egogestar', cfg, footage))
    assert read == {0, 1, 4, 5}
    out = capsys.readouterr().out  # the host prints where it loads weights from
    lines = [line.split(':')[0] for line in out.splitlines() if 'finetuned' in line]
    assert lines == ['fold 0', 'fold 2', 'together']


def test_augmentation_does_not_depend_on_what_was_drawn_before(clips, tmp_path):
    """Some transforms draw when they are built, before the runner sets its seed."""
    orders = []
    for noise in range(3):
        np.random.seed(noise)
        cfg = Config(CFG.to_dict())
        cfg.train_pipeline = [dict(type='ColorJitter'), *cfg.train_pipeline]
        runner = study.make_runner(cfg, clips, 0, 5, tmp_path / str(noise))
        orders.append(runner._train_dataloader.dataset.pipeline.transforms[0].fn_idx.tolist())
    assert orders[0] == orders[1] == orders[2]


def row(budget, arm, seed, top1, training='finetuned', fold=0, clips=10, gmacs=1.):
    return dict(budget=budget, arm=arm, training=training, seed=seed, fold=fold, clips=clips,
                gmacs=gmacs, top1=top1)


def test_rows_survive_the_file_and_missing_runs_follow(tmp_path):
    path = tmp_path / 'deep' / 'study.csv'
    folds = {0: ([], []), 1: ([], [])}
    assert study.read_rows(path) == []
    everything = study.missing_arms(CFG, folds, [])
    assert len(everything) == 2 * CFG.study.seeds * len(list(study.arms_of(CFG)))
    first, second = row('full', 'plain ViT', 0, .5), row('0.7', 'GAIE', 1, .25, fold=1)
    put_in = row('0.4', 'GAIE', 0, .5, training='start')
    study.append_rows(path, [first, put_in])
    study.append_rows(path, [second])
    assert study.read_rows(path) == [first, put_in, second]
    missing = study.missing_arms(CFG, folds, study.read_rows(path))
    # a reducer that was only put into the starting weights is still to be finetuned
    assert set(everything) - set(missing) == {('full', 'plain ViT', 0, 0), ('0.7', 'GAIE', 1, 1)}
    better = dict(first, top1=.75)
    study.append_rows(path, [better])
    assert study.read_rows(path) == [put_in, second, better]


def test_starting_weights_are_made_again_where_something_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(study, 'WORK', tmp_path)
    put_in = list(study.arms_put_in(CFG))
    assert ('0.4', 'GAIE') in put_in and ('0.7', 'DiffRate') not in put_in
    rows = [row(*one, seed, .5, training='start') for seed in (0, 1, 2)
            for one in (study.FULL, *put_in)]
    rows.pop()  # of seed 2
    for seed in (0, 2):
        path = study.start_checkpoint('x', seed, 0)
        path.parent.mkdir(parents=True)
        path.write_bytes(b'')
    missing = study.missing_starts('x', CFG, {0: ([], [])}, rows)
    assert missing == [(seed, 0) for seed in range(1, CFG.study.seeds)]


def test_mean_interval_is_students():
    values = [61., 64., 58., 66., 63.]
    mean, half = report.mean_interval(values)
    low, high = stats.t.interval(.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == (pytest.approx(low), pytest.approx(high))
    # by hand: standard deviation 3.05, t = 2.776
    assert half == pytest.approx(2.776 * np.std(values, ddof=1) / 5**.5, abs=1e-3)
    assert np.isnan(report.mean_interval([3.])[1])


def test_differences_are_paired_by_run():
    ours = {(0, 0): 60., (1, 0): 70., (2, 0): 80.}
    other = {(2, 0): 79., (1, 0): 69., (0, 0): 59., (7, 0): 0.}
    assert report.paired_difference(ours, other) == (1., 0.)
    assert report.paired_difference(ours, {(9, 0): 1.}) is None
    # several folds: of each the mean over the seeds that both have, then the interval over folds
    ours = {(0, 0): 60., (1, 0): 70., (0, 1): 50., (1, 1): 50., (2, 0): 0., (2, 1): 0.}
    other = {(0, 0): 60., (1, 0): 66., (0, 1): 50., (1, 1): 42.}
    assert report.paired_difference(ours, other) == report.mean_interval([2., 4.])


def test_unfinished_seeds_are_left_out_and_the_unit_is_a_fold_if_there_are_several():
    rows = [row('0.7', 'GAIE', 0, .5, fold=0), row('0.7', 'GAIE', 0, 1., fold=1),
            row('0.7', 'GAIE', 1, .7, fold=0), row('0.7', 'GAIE', 1, .6, fold=1),
            row('0.7', 'GAIE', 2, .1, fold=0)]
    scores = report.scores_of(rows, '0.7', 'GAIE', 'finetuned')
    assert set(scores) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert report.by_unit(scores) == pytest.approx([60., 80.])
    one_fold = report.scores_of(rows[:1] + rows[2:3], '0.7', 'GAIE', 'finetuned')
    assert report.by_unit(one_fold) == pytest.approx([50., 70.])


def test_unseen_folds_are_given_alone():
    rows = [row('full', 'plain ViT', seed, .1 * fold + .02 * seed, fold=fold)
            for seed in range(2) for fold in range(5)]
    head, _, line = report.make_table(rows, {'full': ['plain ViT']}, 'finetuned', unseen=(3, 4))
    assert '| Top-1 %, folds 3 and 4 alone | seeds |' in head
    # folds 1, 11, 21, 31 and 41 %; t(4) = 2.776 times sqrt(250) / sqrt(5)
    assert line == '| full | plain ViT | 1.0000 | 21.0 ± 19.6 |  | 36.0 | 2 |'


def test_report_writes_tables_and_picture(tmp_path):
    budgets = {'full': ['plain ViT'], '0.7': ['ToMe', 'GAIE']}
    rows = [row('full', 'plain ViT', seed, .6 + .01 * seed) for seed in range(3)]
    rows += [row('0.7', 'GAIE', seed, .5 + .01 * seed) for seed in range(3)]
    rows += [row('0.7', 'ToMe', seed, .55 + .01 * seed) for seed in range(3)]
    rows += [row('0.7', 'GAIE', seed, .3, training='start') for seed in range(3)]
    document = tmp_path / 'study.md'
    document.write_text('Words.\n<!-- begin x -->\nold\n<!-- end x -->\n'
                        '<!-- begin x without finetuning -->\n<!-- end x without finetuning -->\n'
                        'End.\n')
    report.write_report('x', budgets, rows, document)
    text = document.read_text()
    assert 'old' not in text and text.startswith('Words.\n') and text.endswith('End.\n')
    trained, free = text.split('<!-- end x -->')
    lines = [line for line in trained.splitlines() if line.startswith('| ')][2:]
    # mean of 50, 51, 52 and t(2) = 4.303 times 1 / sqrt(3)
    assert '| 0.7 | **GAIE** | 1.0000 | 51.0 ± 2.5 |  | 3 |' in text
    assert [line.split(' | ')[1] for line in lines][-2:] == ['ToMe', '**GAIE**']
    assert '| full | plain ViT | 1.0000 | 61.0 ± 2.5 |  | 3 |' in trained
    assert '| 0.7 | ToMe | 1.0000 | 56.0 ± 2.5 | -5.0 ± 0.0 | 3 |' in trained
    assert '| 0.7 | **GAIE** | 1.0000 | 30.0 ± 0.0 |  | 3 |' in free
    again = document.read_text()
    report.write_report('x', budgets, rows, document)
    assert document.read_text() == again
    assert (tmp_path / 'study' / 'x.png').stat().st_size > 5000


def test_a_document_without_a_place_gets_one(tmp_path):
    document = tmp_path / 'study.md'
    document.write_text('Words.\n')
    rows = [row('full', 'plain ViT', seed, .5) for seed in (0, 1)]
    for _ in range(2):
        report.write_report('x', {'full': ['plain ViT']}, rows, document)
        text = document.read_text()
        assert text.startswith('Words.\n\n## X\n\n<!-- begin x -->\n| ')
        assert text.count('plain ViT') == 1 and text.endswith('<!-- end x -->\n')
