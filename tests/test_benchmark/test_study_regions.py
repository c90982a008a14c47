"""Tokens of the gesture in a study: what the network sees, and counting by hand."""
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from launching import ROOT
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.apis.region_survival import region_weights
from gaie_mmaction.benchmark import study, study_regions
from gaie_mmaction.synthetic.person import HEIGHT, WIDTH

CONFIG = ROOT / 'configs/study/embedded.py'
CFG = Config.fromfile(CONFIG)
CLIPS, SEED = 6, 3


def test_the_view_is_what_the_pipelines_crop():
    """A white region on black frames, through the spatial steps of both pipelines."""
    init_default_scope('mmaction')
    plan = CFG.study.regions
    assert tuple(plan.frame) == (HEIGHT, WIDTH)
    crops = Compose([step for step in [*CFG.stored_pipeline, *CFG.test_pipeline]
                     if step['type'] in ('Resize', 'CenterCrop')])
    for region in ((99, 44, 129, 75), (36, 100, 191, 157), (0, 0, 40, 168)):
        frame = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        frame[region[1]:region[3], region[0]:region[2]] = 1
        seen = crops(dict(imgs=[frame], img_shape=frame.shape[:2], modality='RGB'))['imgs'][0]
        cells = seen[..., 0].reshape(5, 16, 5, 16).mean(axis=(1, 3))
        assert region_weights(region, plan.view, plan.frame, (5, 5)) == pytest.approx(
            cells, abs=.03)  # a side is interpolated over a pixel of 16


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A study of noise with the weights of one run, and the regions of its clips."""
    frames = np.random.default_rng(0).integers(0, 256, (CLIPS, 8, 86, 94, 3), dtype=np.uint8)
    np.save(tmp_path / 'clips.npy', frames)
    rows = dict(place=range(CLIPS), label=0, fold=0, clip_id=[f'{k:04d}_0' for k in range(CLIPS)])
    pd.DataFrame(rows).to_csv(tmp_path / 'clips.csv', index=False)
    folder = tmp_path / 'data' / 'study_release'
    folder.mkdir(parents=True)
    boxes = {clip_id: (40, 10, 100 + 10 * k, 90) for k, clip_id in enumerate(rows['clip_id'])}
    (folder / 'regions.csv').write_text('clip_id,x0,y0,x1,y1\n' + ''.join(
        f'{clip_id},{",".join(map(str, box))}\n' for clip_id, box in boxes.items()))
    monkeypatch.setattr(study_regions, 'ROOT', tmp_path)
    init_default_scope('mmaction')
    found = study.Study(CONFIG, tmp_path / 'clips.npy', tmp_path / 'clips.csv', tmp_path / 'work')
    torch.manual_seed(0)
    model = build_recognizer(study.arm_config(CFG, '0.7', 'GAIE'))
    for folder in (found.run_dir('0.7-GAIE', SEED, 0), found.run_dir('start', SEED, 0)):
        folder.mkdir(parents=True)
        torch.save(dict(state_dict=model.state_dict()), folder / 'a.pth')
        (folder / 'last_checkpoint').write_text(str(folder / 'a.pth'))
    return SimpleNamespace(study=found, frames=frames, boxes=boxes, model=model.eval())


def test_shares_by_hand(own):
    rows = study_regions.measure_regions(own.study, '0.7', 'GAIE', 'finetuned', SEED, 0)
    plan, expected = CFG.study.regions, []
    for place in range(0, CLIPS, plan.every):
        clip = torch.from_numpy(own.frames[place, :, 3:83, 7:87]).permute(3, 0, 1, 2)[None].float()
        mean, std = (torch.tensor(CFG.model.data_preprocessor[key]).view(1, 3, 1, 1, 1)
                     for key in ('mean', 'std'))
        weights = region_weights(list(own.boxes.values())[place], plan.view, plan.frame, (5, 5))
        shares, positions = [], []
        hook = own.model.backbone.neck.register_forward_hook(
            lambda _, args, state, positions=positions: positions.append(state.position[0]))
        with torch.no_grad():
            own.model.backbone((clip - mean) / std)
        hook.remove()
        for kept in positions:
            inside = sum(weights[token % 25 // 5, token % 5] for token in kept.tolist())
            shares.append((inside / (4 * weights.sum()), len(kept) / 100))
        expected.append(shares)
    expected = np.mean(expected, axis=0)
    assert [row['merge'] for row in rows] == [1, 2, 3]
    assert [(row['region'], row['all']) for row in rows] == [
        pytest.approx(pair, abs=2e-6) for pair in expected]
    assert expected[:, 1].tolist() == [.7, .49, .35]


def test_only_runs_whose_weights_are_here_and_only_once(own, tmp_path, monkeypatch):
    calls = []

    def run_jobs(what, jobs, *_):
        calls.append(jobs)
        return [row for job in jobs for row in what(own.study, *job)]

    monkeypatch.setattr(study_regions, 'run_jobs', run_jobs)
    rows = pd.DataFrame([dict(zip(study.RUN, run)) for run in (
        ('full', 'plain ViT', 'start', SEED, 0), ('0.7', 'GAIE', 'start', SEED, 0),
        ('0.7', 'GAIE', 'finetuned', SEED, 0), ('0.7', 'GAIE', 'finetuned', SEED + 1, 0))])
    table = tmp_path / 'regions.csv'
    for _ in range(2):
        study_regions.run_regions(own.study, rows, table, 1)
    assert [len(jobs) for jobs in calls] == [2, 0]
    found = pd.read_csv(table)
    assert list(found) == study_regions.COLUMNS and len(found) == 6
    scores = rows.assign(top1=.5, budget=rows.budget.astype(str))
    study_regions.draw_regions(scores, found.assign(budget='0.7'), {'0.7': ['GAIE']},
                               tmp_path / 'regions.png')
    assert (tmp_path / 'regions.png').stat().st_size > 5000
