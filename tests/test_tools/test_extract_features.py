"""Features for other work: this tool and MMAction2's script give what the backbone gives."""
import subprocess
import sys

import mmengine
import numpy as np
import pytest
import torch
from evaluating import write_segments
from launching import needs_mim
from mmaction.registry import DATASETS
from mmengine.dataset import Compose
from numbered_video import write_video
from running import run_tool
from skeleton_file import make_clip, write_skeletons
from small_model import predict_clips, randomize, write_small_model

from gaie_mmaction.apis import build_recognizer, load_config, load_recognizer

RANGES = {'0001_0': (0, 30), '0001_1': (31, 59), '0002_0': (5, 44)}


@pytest.fixture(scope='module')
def folder(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp('features')
    config, _ = write_small_model(folder, request.config.rootpath)
    for name in ('0001', '0002'):
        write_video(folder / f'{name}.mp4', 60)
    write_segments(folder / 'segments.csv', *(
        f'{name},{name[:4]}.mp4,{start},{end},{label}'
        for label, (name, (start, end)) in enumerate(RANGES.items())))
    (folder / 'clips.txt').write_text('0001.mp4 3\n0002.mp4 -1\n')
    with open(config, 'a') as file:
        file.write(f"\ntest_dataloader = dict(num_workers=0, batch_size=2, dataset=dict(\n"
                   f"    data_root='', ann_file='{folder}/segments.csv', "
                   f"data_prefix=dict(video='{folder}')))\n")
    return folder


def expected(folder, filename, start, end, dense):
    cfg = load_config(folder / 'small.py', {'model.backbone.return_feat_map': dense})
    model, _ = load_recognizer(cfg, str(folder / 'small.pth'))
    packed = Compose(cfg.test_dataloader.dataset.pipeline)(dict(
        filename=str(filename), clip_id='x', start_frame=start, end_frame=end, label=-1,
        modality='RGB', start_index=0))
    with torch.no_grad():
        batch = model.data_preprocessor(
            dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']]))
        return model.backbone(batch['inputs'][0])[0].numpy()


def run(folder, out, *arguments):
    return run_tool('extract_features.py', folder / 'small.py', folder / 'small.pth', '--out', out,
                    *arguments)


def test_pooled(folder):
    assert run(folder, folder / 'out.npz')[0] is None
    with np.load(folder / 'out.npz') as found:
        assert found['clip_ids'].tolist() == list(RANGES)
        assert found['labels'].tolist() == [0, 1, 2]
        assert found['videos'].tolist() == ['0001', '0001', '0002']
        assert list(zip(found['start_frames'], found['end_frames'])) == list(RANGES.values())
        for name, features in zip(RANGES, found['features']):
            assert features == pytest.approx(
                expected(folder, folder / f'{name[:4]}.mp4', *RANGES[name], False), abs=1e-5)


def test_dense(folder):
    assert 'features of 3 of 3 clips' in run(folder, folder / 'dense', '--dense')[1]
    for name, frames in RANGES.items():
        features = np.load(folder / f'dense/{name}.npy')
        assert features.shape == (24, 4, 6, 6) and features.dtype == np.float32
        assert features == pytest.approx(
            expected(folder, folder / f'{name[:4]}.mp4', *frames, True), abs=1e-4)
    (folder / 'dense/0001_1.npy').unlink()
    assert 'features of 1 of 3 clips' in run(folder, folder / 'dense', '--dense')[1]
    assert (folder / 'dense/0001_1.npy').is_file()


def test_wrong_arguments(folder):
    assert 'go into one .npz file, but got out' in run(folder, 'out')[0]
    code, _ = run(folder, 'out.npz', '--ann-file', 'none.csv')
    assert 'annotation file none.csv does not exist' in code


def test_skeletons(root, tmp_path):
    """Features of graph networks are those that the head classifies: mean over people, too."""
    write_skeletons(tmp_path / 'skeleton.pkl', [make_clip('0001_0'), make_clip('0001_1', seed=1)])
    options = {'test_dataloader.dataset': dict(data_root=str(tmp_path), split='train'),
               'model.backbone': dict(base_channels=8, num_stages=3, inflate_stages=[2],
                                      down_stages=[2]), 'model.cls_head.in_channels': 16}
    config = str(root / 'configs/demo/stgcn_demo.py')
    cfg = load_config(config, options)
    cfg.dump(tmp_path / 'stgcn.py')
    model = randomize(build_recognizer(cfg))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'stgcn.pth')
    code, _ = run_tool('extract_features.py', tmp_path / 'stgcn.py', tmp_path / 'stgcn.pth',
                       '--out', tmp_path / 'out.npz', '--device', 'cpu')
    assert code is None
    scores = predict_clips(model, DATASETS.build(cfg.test_dataloader.dataset))
    with np.load(tmp_path / 'out.npz') as found, torch.no_grad():
        assert found['features'].shape == (2, 16) and found['end_frames'].tolist() == [-1, -1]
        assert found['videos'].tolist() == found['clip_ids'].tolist() == ['0001_0', '0001_1']
        torch.testing.assert_close(
            model.cls_head.fc(torch.from_numpy(found['features'])).softmax(1), scores)


@needs_mim
@pytest.mark.slow
@pytest.mark.parametrize('dense', [True, False], ids=['dense', 'pooled'])
def test_script_of_mmaction2(folder, dense):
    out = folder / f'mmaction_{dense}'
    options = ['--spatial-type', 'keep', '--temporal-type', 'keep'] if dense else []
    result = subprocess.run(
        [sys.executable, '-m', 'mim', 'run', 'mmaction', 'clip_feature_extraction',
         str(folder / 'small.py'), str(folder / 'small.pth'), str(out), '--video-list',
         str(folder / 'clips.txt'), *options, '--cfg-options',
         f'model.backbone.return_feat_map={dense}'], capture_output=True, text=True, cwd=folder)
    assert result.returncode == 0, result.stderr[-3000:]
    for name in ('0001', '0002'):
        found = mmengine.load(out / f'{name}.mp4.pkl').numpy()
        assert found.shape == ((24, 4, 6, 6) if dense else (24, ))
        assert found == pytest.approx(
            expected(folder, folder / f'{name}.mp4', 0, -1, dense), abs=1e-4)
