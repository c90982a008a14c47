"""Streams on real footage: the flow's folder, scores of one fold, and the table by hand."""
import numpy as np
import pandas as pd
import pytest
import torch
from launching import ROOT
from mmengine.config import Config
from mmengine.registry import init_default_scope
from numbered_video import write_video

from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.benchmark import stream_study
from gaie_mmaction.benchmark.study import open_study
from gaie_mmaction.benchmark.study_clips import lay_out_flow
from gaie_mmaction.release.report import ReleaseError


@pytest.fixture
def footage(tmp_path):
    folder = tmp_path / 'footage'
    (folder / 'videos').mkdir(parents=True)
    lines = ['path,label,label_id,fold']
    for fold in range(2):
        for label_id, label in enumerate(('left', 'right')):
            write_video(folder / 'videos' / f'{label}{fold}.mp4', 12)
            lines.append(f'videos/{label}{fold}.mp4,{label},{label_id},{fold}')
    (folder / 'labels.csv').write_text('\n'.join(lines) + '\n')
    return folder


def test_flow_is_a_folder_of_the_same_form(footage, tmp_path):
    study = open_study(ROOT / 'configs/study/egogestar_flow.py', tmp_path / 'work', data=footage)
    flow = tmp_path / 'work' / 'flow'
    assert pd.read_csv(flow / 'labels.csv').path.tolist() == [
        'left0.mp4', 'right0.mp4', 'left1.mp4', 'right1.mp4']
    assert np.load(study.frames).shape == (4, 32, 96, 128, 3)
    assert (np.load(study.frames)[..., 2] == 128).all()  # no flow in the third plane
    (footage / 'videos' / 'left1.mp4').write_bytes(b'')
    with pytest.raises(ReleaseError, match='clips without flow:\n.*left1'):
        lay_out_flow(footage, tmp_path / 'other', 1)


@pytest.mark.parametrize('stream', list(stream_study.STREAMS))
def test_scores_are_the_networks(footage, tmp_path, stream, monkeypatch):
    """A network that is trained already, on clips whose frames are loaded by hand."""
    config = ROOT / 'configs/study' / f'{stream_study.STREAMS[stream]}.py'
    study = open_study(config, tmp_path / 'work', data=footage)
    init_default_scope('mmaction')
    cfg = Config.fromfile(config)
    torch.manual_seed(1)
    model = build_recognizer(cfg).eval()
    folder = study.run_dir('start', 0, 1)
    folder.mkdir(parents=True)
    torch.save(dict(state_dict=model.state_dict()), folder / 'a.pth')
    (folder / 'last_checkpoint').write_text(str(folder / 'a.pth'))
    calls = []
    monkeypatch.setattr(stream_study, 'train_start', lambda *args: calls.append(args))
    rows = stream_study.score_fold(study, 1)
    assert calls == [(study, 0, 1, [('full', 'plain ViT')])]
    assert [(row['fold'], row['clip_id'], row['label']) for row in rows] == [
        (1, 'left1', 0), (1, 'right1', 1)]
    dataset = stream_study.run_config(cfg, study, 0, 1).test_dataloader.dataset
    inputs = [stream_study.Runner.build_dataloader(dict(
        dataset=dataset, batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False)))
        .dataset[k]['inputs'][0].float() for k in range(2)]
    mean, std = (torch.tensor(cfg.model.data_preprocessor[key]).view(3, 1, 1, 1)
                 for key in ('mean', 'std'))
    with torch.no_grad():
        expected = model.cls_head(model.backbone(torch.stack(
            [(clip - mean) / std for clip in inputs]))).softmax(dim=-1)
    found = [[row[f'p{k}'] for k in range(10)] for row in rows]
    np.testing.assert_allclose(found, expected, atol=6e-5)


def test_table_by_hand():
    def row(stream, fold, clip_id, label, *scores):
        return dict(stream=stream, fold=fold, clip_id=clip_id, label=label,
                    **{f'p{k}': p for k, p in enumerate(scores)})

    rows = [row('RGB', 0, 'a', 0, .6, .4), row('RGB', 0, 'b', 1, .9, .1),
            row('RGB', 1, 'c', 1, .2, .8), row('RGB', 1, 'd', 0, .4, .6),
            # in another order
            row('flow', 1, 'd', 0, .7, .3), row('flow', 0, 'a', 0, .3, .7),
            row('flow', 0, 'b', 1, .0, 1.), row('flow', 1, 'c', 1, .6, .4)]
    assert stream_study.make_table(pd.DataFrame(rows), [0]) == [
        '| streams | fold 0 | fold 1 | all | folds 1 |', '|---|--:|--:|--:|--:|',
        '| RGB | 50.0% | 50.0% | 50.0% | 50.0% |', '| flow | 50.0% | 50.0% | 50.0% | 50.0% |',
        '| RGB + flow | 50.0% | 100.0% | 75.0% | 100.0% |']


def test_study_is_not_opened_without_labels(tmp_path):
    with pytest.raises(FileNotFoundError, match='labels.csv'):
        lay_out_flow(tmp_path, tmp_path / 'flow', 1)
