"""The study of token reducers: equal cost, equal starts, resuming, and its statistics."""
import os
import signal
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from launching import ROOT, needs_mim
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from numbered_video import write_video
from scipy import stats

from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.benchmark import measure_complexity, study, study_report
from gaie_mmaction.benchmark.study import Study
from gaie_mmaction.benchmark.study_clips import DecodedClips, read_clips

STUDIES = ('embedded', 'egogestar', 'egogestar_flow', 'ablation', 'choice', 'tome_blocks',
           'pretraining', 'pretraining_raw', 'pretraining_flow')
CONFIGS = {name: Config.fromfile(ROOT / f'configs/study/{name}.py') for name in STUDIES}
CFG, REAL = CONFIGS['embedded'], CONFIGS['egogestar']
ARMS = [(name, budget, arm) for name in ('embedded', 'egogestar', 'choice', 'tome_blocks')
        for budget, arms in CONFIGS[name].study.budgets.items() for arm in arms
        if (budget, arm) != study.FULL]


def cost(name, budget, arm):
    cfg = study.arm_config(CONFIGS[name], budget, arm)
    backbone = cfg.model.backbone
    shape = (3, backbone.num_frames, backbone.img_size, backbone.img_size)
    return measure_complexity(build_recognizer(cfg), shape).true_macs / 1e9


# --- the configs ------------------------------------------------------------------------------


@pytest.mark.parametrize('name, budget, arm', ARMS)
def test_arms_of_a_budget_cost_what_gaie_does(name, budget, arm):
    gaie = 'embedded' if name == 'tome_blocks' else name
    assert cost(name, budget, arm) == pytest.approx(cost(gaie, budget, 'GAIE'), rel=.03)
    assert cost(name, budget, arm) < .9 * cost(name, *study.FULL)


@pytest.mark.parametrize('name', ['embedded', 'egogestar'])
def test_diffrate_aims_at_the_cost_of_gaie(name):
    hook, = study.arm_config(CONFIGS[name], '0.7', 'DiffRate').custom_hooks
    gaie = cost(name, '0.7', 'GAIE') / cost(name, *study.FULL)
    assert hook.target_ratio == pytest.approx(gaie, rel=.03)
    assert hook.search_epochs < CONFIGS[name].train_cfg.max_epochs


@pytest.mark.parametrize('name, seeds', [('embedded', 5), ('egogestar_flow', 1), ('ablation', 4),
                                         ('choice', 4)])
def test_there_are_enough_tokens_and_seeds(name, seeds):
    backbone = CONFIGS[name].model.backbone
    tokens = (backbone.num_frames // backbone.tubelet_size) * (backbone.img_size // 16)**2
    assert tokens >= 100 and CONFIGS[name].study.seeds >= seeds


def test_arms_of_the_ablation_differ_in_one_thing():
    """From GAIE, by the neck, the blocks or a hook; and each from all the others."""
    arms = CONFIGS['ablation'].study.budgets.to_dict()
    assert arms.pop('full') == {'plain ViT': {}}
    arms = arms['variants']
    assert set(arms) >= {'30 %', '50 %', '90 %', 'early', 'late', 'once', 'prune', 'fuse',
                         'random', 'key', 'prop_attn', 'size-weighted', '25 queries', 'sharpness',
                         'shift', 'warm-up'}
    gaie = arms['GAIE']['model']['backbone']
    assert gaie['neck']['token_keep_ratio'] == .7
    assert gaie['merge_layers'] == CFG.model.backbone.merge_layers
    for name, arm in arms.items():
        backbone = arm['model']['backbone']
        assert set(backbone) == {'neck', 'merge_layers'} and list(arms.values()).count(arm) == 1
        if name not in ('GAIE', 'once'):  # one block, at the cost in tokens of three
            assert [backbone['neck'] != gaie['neck'],
                    backbone['merge_layers'] != gaie['merge_layers'],
                    'custom_hooks' in arm].count(True) == 1
    # it begins with the starting weights of the other study: the recipe is the same
    for part in ('model', 'train_cfg', 'optim_wrapper', 'stored_pipeline', 'train_pipeline'):
        assert CONFIGS['ablation'][part] == CFG[part]
    assert CONFIGS['ablation'].study.start == CFG.study.start
    # on other people
    for name in ('ablation', 'choice'):
        assert CONFIGS[name].study.dataset == dict(
            CFG.study.dataset, name='study_ablation', seed=1)
    # and the blocks of ToMe are chosen on those of the table
    assert CONFIGS['tome_blocks'].study.dataset == CFG.study.dataset


# --- clips ------------------------------------------------------------------------------------


@pytest.fixture
def noise(tmp_path):
    """A study of 16 clips of noise, of two classes."""
    init_default_scope('mmaction')
    frames = np.random.default_rng(0).integers(0, 256, (16, 8, 86, 94, 3), dtype=np.uint8)
    np.save(tmp_path / 'clips.npy', frames)
    rows = dict(place=range(16), label=[k % 2 for k in range(16)], fold=[-1] * 12 + [0] * 4)
    pd.DataFrame(rows).to_csv(tmp_path / 'clips.csv', index=False)
    return Study(ROOT / 'configs/study/embedded.py', tmp_path / 'clips.npy',
                 tmp_path / 'clips.csv', tmp_path / 'work')


def test_decoded_clips_stay_as_they_are(noise):
    before = np.load(noise.frames)
    parts = [DecodedClips(str(noise.frames), str(noise.clips), 0, part, CFG.train_pipeline)
             for part in ('train', 'test')]
    assert [len(part) for part in parts] == [12, 4]
    for _ in range(4):
        sample = parts[1][1]  # the 14th clip
        assert sample['inputs'].shape == (1, 3, 8, 80, 80)
        assert sample['data_samples'].gt_label.item() == 1
    assert np.array_equal(parts[0].frames, before)
    few = [DecodedClips(str(noise.frames), str(noise.clips), 0, 'train', CFG.train_pipeline,
                        share=.25, seed=seed).rows for seed in range(5)]
    assert all(sorted(rows.label) == [0, 0, 1, 1] for rows in few)
    assert len({tuple(rows.place) for rows in few}) > 1


@pytest.fixture
def footage(tmp_path):
    """A folder in the form of the real footage: three scenes of two clips, and one to leave out."""
    folder = tmp_path / 'footage'
    folder.mkdir()
    lines = ['path,label,label_id,serial,scene,fold,frames,fps']
    for scene in range(3):
        for label_id, label in enumerate(('left', 'right')):
            name = f'{label}{scene}.mp4'
            write_video(folder / name, 10 + scene)
            lines.append(f'{name},{label},{label_id},1,{scene},{scene},{10 + scene},25')
    lines.append('left0.mp4,unclassified,2,1,0,0,10,25')
    (folder / 'labels.csv').write_text('\n'.join(lines) + '\n')
    return folder


def test_real_footage_is_decoded_once_and_split_by_its_folds(footage, tmp_path):
    path = read_clips(REAL, footage, tmp_path)
    rows = pd.read_csv(path)
    assert np.load(path.with_suffix('.npy')).shape == (6, 32, 96, 128, 3)
    assert rows.label.tolist() == [0, 1] * 3 and rows.fold.tolist() == [0, 0, 1, 1, 2, 2]
    # no clip is mirrored: directions are classes
    assert 'Flip' not in str(REAL.train_pipeline)
    parts = [DecodedClips(str(path.with_suffix('.npy')), str(path), 1, part, REAL.train_pipeline)
             for part in ('train', 'test')]
    assert [part.rows.place.tolist() for part in parts] == [[0, 1, 4, 5], [2, 3]]
    assert parts[0][0]['inputs'].shape == (1, 3, 16, 80, 80)
    before = path.with_suffix('.npy').stat().st_mtime_ns
    assert read_clips(REAL, footage, tmp_path) == path
    assert path.with_suffix('.npy').stat().st_mtime_ns == before
    write_video(footage / 'left0.mp4', 12)  # other footage is decoded again
    assert read_clips(REAL, footage, tmp_path) != path


# --- runs -------------------------------------------------------------------------------------


def watch(cfg, work_dir):
    """Train as the study does; returns the inputs of all steps, the first weights and the last."""
    cfg = Config(cfg.to_dict())
    cfg.work_dir, cfg.experiment_name = str(work_dir), str(work_dir)
    runner = Runner.from_cfg(cfg)
    inputs, weights = [], []
    step = runner.model.train_step

    def look(data, optim_wrapper):
        inputs.append(torch.stack([clip.clone() for clip in data['inputs']]))
        weights.append({key: value.clone() for key, value in runner.model.state_dict().items()})
        return step(data, optim_wrapper)

    runner.model.train_step = look
    runner.train()
    return torch.cat(inputs), weights[0], runner.model.state_dict()


def start(noise, work_dir, seed):
    cfg = Config(CFG.to_dict())
    cfg.merge_from_dict(CFG.study.start)
    cfg.train_cfg.max_epochs = 2
    return watch(study.run_config(cfg, noise, seed, 0), work_dir)


def test_arms_share_weights_order_and_augmentation(noise, tmp_path):
    """All arms begin with the same weights and see the same, whatever a reducer draws."""
    _, fresh, weights = start(noise, tmp_path / 'start', seed=1)
    assert any(not torch.equal(weights[key], fresh[key]) for key in weights)
    torch.save(dict(state_dict=weights), tmp_path / 'start.pth')
    inputs = None
    for budget, arm in (study.FULL, ('0.7', 'GAIE'), ('0.7', 'RandomDrop'), ('0.7', 'DiffRate')):
        cfg = study.arm_config(CFG, budget, arm)
        cfg = study.run_config(cfg, noise, 1, 0, tmp_path / 'start.pth')
        np.random.seed(len(arm))  # what was drawn before does not matter
        own_inputs, first, last = watch(cfg, tmp_path / arm)
        inputs = own_inputs if inputs is None else inputs
        assert torch.equal(inputs, own_inputs), arm
        assert all(torch.equal(value, first[key]) for key, value in weights.items()), arm
        assert any(not torch.equal(last[key], weights[key]) for key in weights)


def test_another_seed_is_another_start_and_the_same_seed_the_same(noise, tmp_path):
    inputs, first, last = start(noise, tmp_path / '1', seed=1)
    other_inputs, other_first, _ = start(noise, tmp_path / '2', seed=2)
    _, _, again = start(noise, tmp_path / 'again', seed=1)
    key = 'backbone.blocks.0.mlp.layers.1.weight'
    assert not torch.equal(inputs, other_inputs)
    assert not torch.equal(first[key], other_first[key])
    assert torch.equal(last[key], again[key])


def small_study(footage, tmp_path, **changes):
    """The study on real footage, one epoch long and from scratch."""
    cfg = Config(REAL.to_dict())
    for part in (cfg, cfg.study.start):
        part.train_cfg.max_epochs, part.param_scheduler = 1, []
    for key, value in changes.items():
        cfg.study[key] = value
    cfg.dump(tmp_path / 'small.py')
    return study.open_study(tmp_path / 'small.py', tmp_path / 'work', data=footage)


@pytest.fixture
def trainings(monkeypatch):
    """The configs of all trainings, in order."""
    seen = []

    def from_cfg(cfg):
        seen.append(cfg)
        return Runner.from_cfg(cfg)

    monkeypatch.setattr(study, 'Runner', SimpleNamespace(from_cfg=from_cfg))
    return seen


def test_a_start_and_an_arm_of_it(footage, tmp_path, trainings):
    """Rows of both kinds of run; what is trained is tested again, not trained again."""
    arms = REAL.study.budgets['0.4']
    own = small_study(footage, tmp_path, budgets={
        'full': {'plain ViT': {}}, '0.4': {name: arms[name] for name in ('GAIE', 'vid-TLDR')}})
    arms = [study.FULL, *study.arms_put_in(Config.fromfile(own.config))]
    rows = study.train_start(own, 3, 1, arms)
    assert [(row['budget'], row['arm'], row['training']) for row in rows] == [
        ('full', 'plain ViT', 'start'), ('0.4', 'GAIE', 'start'), ('0.4', 'vid-TLDR', 'start')]
    assert all((row['seed'], row['fold'], row['clips']) == (3, 1, 2) for row in rows)
    assert rows[1]['gmacs'] == pytest.approx(cost('egogestar', '0.4', 'GAIE'), abs=1e-6)
    assert rows[1]['gmacs'] < .7 * rows[0]['gmacs']
    assert study.train_start(own, 3, 1, arms[:1]) == rows[:1] and len(trainings) == 1
    row, = study.finetune(own, '0.4', 'GAIE', 3, 1)
    assert row['training'] == 'finetuned' and row['gmacs'] == rows[1]['gmacs']
    assert row['top1'] in (0, .5, 1)
    # the arm begins with the start's weights
    assert trainings[1].load_from == str(own.start_checkpoint(3, 1))
    assert trainings[1].model.backbone.neck.type == 'GAIENeck' and 'neck' not in (
        trainings[0].model.backbone)


@pytest.mark.parametrize('name', STUDIES)
def test_each_config_has_all_that_the_tool_reads(name):
    assert {'page', 'seeds', 'beside', 'regions', 'dataset', 'start', 'budgets'} <= set(
        CONFIGS[name].study)


def test_pretraining_is_where_arms_begin(noise, tmp_path, trainings):
    """Its start has nothing to test; arms load its backbone, or train from scratch."""
    cfg = Config(CONFIGS['pretraining_raw'].to_dict())
    cfg.study.seeds = cfg.study.start.train_cfg.max_epochs = 1
    for arm in cfg.study.budgets['10 %'].values():
        arm.train_cfg.max_epochs = 1
    cfg.dump(tmp_path / 'small.py')
    own = replace(noise, config=tmp_path / 'small.py')
    table = tmp_path / 'none.csv'
    rows = study.read_rows(table)
    assert study.missing_starts(own, rows) == [(0, 0, [])]
    assert study.train_start(own, 0, 0, []) == []
    study.append_rows(table, [])
    assert study.read_rows(table).empty
    weights = torch.load(own.start_checkpoint(0, 0))['state_dict']
    for arm, loaded in (('plain ViT', True), ('plain ViT, from scratch', False)):
        run = study.run_config(study.arm_config(cfg, '10 %', arm), own, 0, 0,
                               own.start_checkpoint(0, 0))
        inputs, first, _ = watch(run, tmp_path / arm)
        assert len(inputs) == 2  # a clip of each class
        same = [torch.equal(value, weights[key]) for key, value in first.items()
                if key.endswith('attn.qkv.weight')]
        assert same == [loaded] * 6
    row, = study.finetune(own, '10 %', 'plain ViT', 0, 0)
    assert row['arm'] == 'plain ViT' and trainings[1].load_from


def test_another_state_of_the_config_is_refused(footage, tmp_path, trainings):
    own = small_study(footage, tmp_path)
    study.train_start(own, 0, 0, [study.FULL])
    with open(own.config, 'a') as file:
        file.write('\nstudy["start"]["train_cfg"]["max_epochs"] = 2\n')
    with pytest.raises(ValueError, match='start-fold0-seed0 was trained with another state of '
                       '.*small.py: move the folder away'):
        study.train_start(own, 0, 0, [study.FULL])
    assert len(trainings) == 1


def test_a_run_that_is_stopped_begins_again(footage, tmp_path, trainings, monkeypatch):
    """A SIGTERM leaves no checkpoint, which would pass for that of a whole run."""
    own = small_study(footage, tmp_path)
    get = DecodedClips.__getitem__
    with monkeypatch.context() as patch:
        patch.setattr(DecodedClips, '__getitem__', lambda self, index: (
            os.kill(os.getpid(), signal.SIGTERM), get(self, index))[1])
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped'))
        try:
            with pytest.raises(SystemExit, match='stopped'):
                study.train_start(own, 0, 0, [study.FULL])
        finally:
            signal.signal(signal.SIGTERM, before)
    assert own.start_checkpoint(0, 0) is None
    assert len(study.train_start(own, 0, 0, [study.FULL])) == 1
    assert own.start_checkpoint(0, 0).name == 'epoch_1.pth' and len(trainings) == 2


def test_a_choice_reads_no_clip_of_the_folds_it_may_not_see(footage, tmp_path, trainings,
                                                            monkeypatch, capsys):
    own = small_study(footage, tmp_path, chosen_on=(0, 2))
    read, get = set(), DecodedClips.__getitem__
    monkeypatch.setattr(DecodedClips, '__getitem__', lambda self, index: (
        read.add(int(self.rows.place.iloc[index])), get(self, index))[1])
    rows = [row for fold in (0, 2) for row in study.choose_fold(own, fold)]
    assert read == {0, 1, 4, 5}
    assert [(row['training'], row['fold']) for row in rows] == [
        ('start', 0), ('finetuned', 0), ('start', 2), ('finetuned', 2)]
    capsys.readouterr()
    study_report.print_choice([dict(row, top1=top1, clips=clips) for row, top1, clips in zip(
        rows, (.5, .6, .1, .2), (10, 10, 30, 30))])
    assert capsys.readouterr().out == ('fold 0: start 50.0%, finetuned 60.0%\n'
                                       'fold 2: start 10.0%, finetuned 20.0%\n'
                                       'together: start 20.0%, finetuned 30.0%\n')


@needs_mim
@pytest.mark.slow
def test_a_whole_study_runs_once(footage, tmp_path):
    """In processes, two at a time; the second time nothing is trained or tested."""
    own = small_study(footage, tmp_path, seeds=1, budgets={
        'full': {'plain ViT': {}}, '0.7': {'GAIE': REAL.study.budgets['0.7']['GAIE']}})
    table = tmp_path / 'study.csv'
    study.run_study(own, table, workers=2)
    rows = study.read_rows(table)
    assert len(rows) == 3 * 4  # in each fold two arms, put in and finetuned
    assert len(list(own.work_dir.glob('*/*.pth'))) == 9

    def files():
        # not counted: logs of two tests in the same second have the same name
        return {file: file.stat().st_mtime_ns for file in (table, *own.work_dir.rglob('*'))
                if file.is_file()}

    before = files()
    assert any('test' in file.parts and file.suffix == '.log' for file in before)
    study.run_study(own, table, workers=2)
    assert files() == before
    assert set(rows.fold) == {0, 1, 2} and set(rows.training) == {'start', 'finetuned'}
    for run in own.work_dir.glob('0.7-GAIE-*/run.py'):
        assert f"load_from = '{own.work_dir}/start-fold" in run.read_text()


@pytest.mark.slow
def test_a_whole_pretraining_study_runs_once(noise, tmp_path):
    """Its starts have no rows to write."""
    cfg = Config(CONFIGS['pretraining'].to_dict())
    cfg.study.seeds, cfg.study.start.train_cfg.max_epochs = 2, 1
    cfg.study.budgets = {'10 %': cfg.study.budgets['10 %']}
    for arm in cfg.study.budgets['10 %'].values():
        arm.train_cfg.max_epochs = 1
    cfg.dump(tmp_path / 'small.py')
    own, table = replace(noise, config=tmp_path / 'small.py'), tmp_path / 'study.csv'
    study.run_study(own, table, workers=2)
    rows = study.read_rows(table)
    assert set(zip(rows.arm, rows.seed)) == {
        (arm, seed) for arm in cfg.study.budgets['10 %'] for seed in (0, 1)}
    before = table.stat().st_mtime_ns
    study.run_study(own, table, workers=2)
    assert table.stat().st_mtime_ns == before


# --- the csv ----------------------------------------------------------------------------------


def row(budget, arm, seed, top1, training='finetuned', fold=0, clips=10, gmacs=1.):
    return dict(budget=budget, arm=arm, training=training, seed=seed, fold=fold, clips=clips,
                gmacs=gmacs, top1=top1, torch=torch.__version__)


def test_rows_survive_the_file_and_missing_runs_follow(noise, tmp_path):
    path = tmp_path / 'deep' / 'study.csv'
    assert study.read_rows(path).empty
    everything = study.missing_arms(noise, study.read_rows(path))
    assert len(everything) == CFG.study.seeds * sum(map(len, CFG.study.budgets.values()))
    first, second = row('full', 'plain ViT', 0, .5), row('0.7', 'GAIE', 1, .25)
    put_in = row('0.4', 'GAIE', 0, .5, training='start')
    for rows in ([first, put_in], [second]):
        study.append_rows(path, rows)
    assert study.read_rows(path).to_dict('records') == [first, put_in, second]
    missing = study.missing_arms(noise, study.read_rows(path))
    # a reducer that was only put into the starting weights is still to be finetuned
    assert set(everything) - set(missing) == {('full', 'plain ViT', 0, 0), ('0.7', 'GAIE', 1, 0)}


def test_another_result_of_the_same_run_is_refused(tmp_path):
    """So are the rows beside it: they have the same other starting weights."""
    path = tmp_path / 'study.csv'
    reference = row('full', 'plain ViT', 3, .5, training='start', fold=1)
    study.append_rows(path, [reference])
    study.append_rows(path, [dict(reference, torch='2.0.0')])
    with pytest.raises(ValueError, match='study.csv has 0.5000 for plain ViT, start, of seed 3, '
                       'fold 1, and this run 0.7500.*delete the rows of seed 3, fold 1'):
        study.append_rows(path, [dict(reference, top1=.75), row('0.7', 'GAIE', 3, .25)])
    assert study.read_rows(path).to_dict('records') == [reference]


def test_a_run_that_fails_loses_no_other(noise, tmp_path):
    """The second job waits in the worker's queue when the first one fails."""
    table = tmp_path / 'study.csv'
    with pytest.raises(ZeroDivisionError):
        study.run_jobs(succeed_or_fail, [(1, ), (0, )], noise, 1, table)
    assert study.read_rows(table).seed.tolist() == [0]


def succeed_or_fail(_, seed):
    return [row('0.7', 'GAIE', seed, 1 / (1 - seed))]


def test_starting_weights_are_made_where_something_is_missing(noise):
    """And the plain ViT is tested there again: it tells whether they are the same weights."""
    put_in = study.arms_put_in(CFG)
    assert ('0.4', 'GAIE') in put_in and ('0.7', 'DiffRate') not in put_in
    assert ('variants', 'warm-up') not in study.arms_put_in(CONFIGS['ablation'])
    everything = [study.FULL, *put_in]
    rows = [row(*one, seed, .5, training) for seed in (0, 1, 2) for training, runs in (
        ('start', everything), ('finetuned', [(budget, arm) for budget, arms in
                                              CFG.study.budgets.items() for arm in arms]))
            for one in runs]
    rows.remove(row('0.4', 'RandomDrop', 1, .5))
    rows.remove(row(*put_in[-1], 2, .5, 'start'))
    assert study.missing_starts(noise, pd.DataFrame(rows)) == [
        (1, 0, [study.FULL]), (2, 0, [study.FULL, put_in[-1]]),
        *((seed, 0, everything) for seed in range(3, CFG.study.seeds))]


# --- statistics -------------------------------------------------------------------------------


def scores(values):
    index = pd.MultiIndex.from_tuples(values, names=['seed', 'fold'])
    return pd.Series(list(values.values()), index)


def test_mean_interval_is_students():
    values = pd.Series([61., 64., 58., 66., 63.])
    mean, half = study_report.mean_interval(values)
    low, high = stats.t.interval(.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == (pytest.approx(low), pytest.approx(high))
    assert np.isnan(study_report.mean_interval(values[:1])[1])


def test_differences_are_paired_by_run():
    ours = scores({(0, 0): 60., (1, 0): 70., (2, 0): 80.})
    other = scores({(2, 0): 79., (1, 0): 69., (0, 0): 59., (7, 0): 0.})
    assert study_report.paired_difference(ours, other) == (1., 0.)
    assert study_report.paired_difference(ours, scores({(9, 0): 1.})) is None
    # several folds: of each the mean over the seeds that both have, then the interval over folds
    ours = scores({(0, 0): 60., (1, 0): 70., (0, 1): 50., (1, 1): 50., (2, 0): 0., (2, 1): 0.})
    other = scores({(0, 0): 60., (1, 0): 66., (0, 1): 50., (1, 1): 42.})
    assert study_report.paired_difference(ours, other) == study_report.mean_interval(
        pd.Series([2., 4.]))


def test_unfinished_seeds_are_left_out_and_the_unit_is_a_fold_if_there_are_several():
    rows = [row('0.7', 'GAIE', 0, .5, fold=0), row('0.7', 'GAIE', 0, 1., fold=1),
            row('0.7', 'GAIE', 1, .7, fold=0), row('0.7', 'GAIE', 1, .6, fold=1),
            row('0.7', 'GAIE', 2, .1, fold=0)]
    found = study_report.scores_of(pd.DataFrame(rows), '0.7', 'GAIE', 'finetuned')
    assert set(found.index) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert study_report.by_unit(found).tolist() == pytest.approx([60., 80.])
    found = study_report.scores_of(pd.DataFrame(rows[::2]), '0.7', 'GAIE', 'finetuned')
    assert study_report.by_unit(found).tolist() == pytest.approx([50., 70., 10.])


def test_the_document_follows_from_the_csvs(tmp_path):
    """The tables of the pages, from the committed rows."""
    document, committed = tmp_path / 'page.md', set()
    for page in {cfg.study.page for cfg in CONFIGS.values()}:
        text = (ROOT / f'docs/{page}.md').read_text()
        lines = [line.replace(' ± ', ' old ') if line.startswith('| ') else line
                 for line in text.splitlines()]
        document.write_text('\n'.join(lines) + '\n')
        assert ' old ' in document.read_text()
        for name, cfg in CONFIGS.items():
            table = ROOT / f'docs/study/{name}.csv'
            if cfg.study.page == page and table.exists():
                study_report.write_report(name, cfg.study, study.read_rows(table), document)
                committed.add(name)
        assert document.read_text() == text
    assert committed == set(STUDIES)


def test_report_writes_table_and_picture(tmp_path):
    budgets = {'full': ['plain ViT'], '0.7': ['ToMe', 'GAIE'], '0.4': ['GAIE', 'EViT']}
    means = {('full', 'plain ViT'): .6, ('0.7', 'GAIE'): .5, ('0.7', 'ToMe'): .55,
             ('0.4', 'GAIE'): .4}
    rows = [row(*arm, seed, top1 + .01 * seed) for arm, top1 in means.items() for seed in range(3)]
    rows += [row('0.7', 'GAIE', seed, .3, training='start') for seed in range(2)]
    rows += [row('0.7', 'ToMe', seed, .4 + .02 * seed, training='start') for seed in range(3)]
    document = tmp_path / 'study.md'
    document.write_text('Words.\n<!-- begin x -->\nold\n<!-- end x -->\nEnd.\n')
    for _ in range(2):
        study_report.write_report('x', dict(budgets=budgets), pd.DataFrame(rows), document)
        # paired over two seeds: 10 and 12 points, t(1) = 12.706
        assert document.read_text() == '''Words.
<!-- begin x -->
| arm | keep ratio 0.7, finetuned | keep ratio 0.7, put in | keep ratio 0.4, finetuned | seeds |
|---|---|---|---|--:|
| plain ViT | 61.0 (+10.0 ± 0.0) |  | 61.0 (+20.0 ± 0.0) | 3 |
| ToMe | 56.0 (+5.0 ± 0.0) | 42.0 (+11.0 ± 12.7) |  | 3 |
| **GAIE** | 51.0 | 30.0 | 41.0 | 2 to 3 |
<!-- end x -->
End.
'''
    # the unit is a fold: means over seeds, of 36 or 31 points; a document gets a place for a table
    folds = pd.DataFrame([dict(line, fold=fold, top1=line['top1'] - fold / 10)
                          for line in rows for fold in (1, 2)])
    study_report.write_report('y', dict(budgets=budgets, beside=['ToMe']), folds, document)
    ours, beside = document.read_text().split('\n## Y\n')[1].split('\n## Y beside tome\n')
    assert '| ToMe | 41.0 (+5.0 ± 0.0) ' in ours and '| **GAIE** | 36.0 | 15.0 | 26.0 |' in ours
    assert '| **ToMe** | 41.0 | 27.0 |' in beside and '| GAIE | 36.0 (-5.0 ± 0.0) |' in beside
    assert (tmp_path / 'study' / 'x.png').stat().st_size > 5000
