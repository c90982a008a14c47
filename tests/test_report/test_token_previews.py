"""Small videos show the tokens that the model kept."""
import json
import re

import numpy as np
import pytest
import torch
from evaluating import write_segments
from mmengine.dataset import pseudo_collate
from numbered_video import write_video
from report_data import write_report_checkpoint, write_report_config, write_report_dump
from running import run_tool
from scipy.stats import spearmanr
from small_model import write_small_model

from gaie_mmaction.apis import ClipPipeline, load_config, load_recognizer, open_footage
from gaie_mmaction.datasets.video_file import VideoFile
from gaie_mmaction.report import make_previews, make_token_previews
from gaie_mmaction.report import previews as previews_module
from gaie_mmaction.report.clips import ClipInfo


@pytest.fixture
def scene(tmp_path, root):
    """A grey video, a small model, two clips and their previews."""
    config, checkpoint = write_small_model(tmp_path, root)
    write_video(tmp_path / 'v.mp4', 60, draw=lambda number, noise: np.full_like(noise, 200))
    clips = [ClipInfo(str(tmp_path / 'v.mp4'), 0, 31), ClipInfo(str(tmp_path / 'v.mp4'), 20, -1)]
    names, _ = make_previews(clips, tmp_path / 'p', workers=1)
    return load_config(config), checkpoint, clips, names, tmp_path / 'p'


def test_values(scene):
    """Of the file: grey cells are the places of the last tokens, brighter ones more important."""
    cfg, checkpoint, clips, _, folder = scene
    (name, _), notes = make_token_previews(*scene)
    model, _ = load_recognizer(cfg, checkpoint)
    with open_footage(clips[0].filename) as footage:
        packed, _ = ClipPipeline(cfg)(footage, 0, 31)
    inputs = model.data_preprocessor(pseudo_collate([packed]))['inputs'][0]
    history = []
    with torch.no_grad():
        state = model.backbone.forward_tokens(inputs, history)
    kept = np.zeros(4 * 6 * 6, dtype=bool)
    kept[state.position[0]] = True
    with VideoFile(folder / name) as video:
        frames = np.stack(video.read(range(len(video)))).astype(float)
        # 16 frames in the time of 32
        assert len(video) == 16 and video.fps == pytest.approx(12.5) and notes == []
    assert frames.shape[1:] == (128, 256, 3) and (folder / name).stat().st_size <= 35_000
    centres = ((np.arange(6) + .5) * 128 / 6).astype(int)
    cells = frames[:, centres].reshape(4, 4, 6, 256, 3).mean(axis=(1, 4))  # a tubelet's 4 frames
    assert ((cells[..., 128 + centres] > 150) == kept.reshape(4, 6, 6)).all()
    importance = history[0].importance[0].numpy()
    assert spearmanr(cells[..., centres].ravel(), importance).statistic > .9


def test_a_stopped_run_goes_on(scene, monkeypatch):
    """What is whole stays, what is not is no file; another network has files of its own."""
    cfg, checkpoint, _, previews, folder = scene
    written, write = [], previews_module.VideoWriter.write

    def stop(writer, image):
        written.append(image)
        if len(written) == 20:  # in the second clip
            raise KeyboardInterrupt
        write(writer, image)

    with monkeypatch.context() as patch:
        patch.setattr(previews_module.VideoWriter, 'write', stop)
        with pytest.raises(KeyboardInterrupt):
            make_token_previews(*scene)
    first, = {path.name for path in folder.iterdir()} - set(previews)
    time = (folder / first).stat().st_mtime_ns
    names, _ = make_token_previews(*scene)
    assert names[0] == first and (folder / first).stat().st_mtime_ns == time
    assert {path.name for path in folder.iterdir()} == {*previews, *names}
    cfg.model.backbone.neck.token_keep_ratio = .5
    assert not set(make_token_previews(*scene)[0]) & set(names)


def test_clips_without_tokens(scene, root):
    cfg, checkpoint, clips, names, folder = scene
    clips += [ClipInfo(str(folder / 'gone.mp4')), ClipInfo()]
    found, notes = make_token_previews(cfg, checkpoint, clips, [*names, 'p.mp4', None], folder)
    assert [name is not None for name in found] == [True, True, False, False]
    assert len(notes) == 1 and 'gone.mp4' in notes[0]
    for name in ('vivit_demo', 'stgcn_demo'):
        other = load_config(root / f'configs/demo/{name}.py')
        assert make_token_previews(other, checkpoint, clips, names, folder) == ([], [])
    other = load_config(root / 'configs/demo/m2hen_demo.py')
    found, notes = make_token_previews(other, checkpoint, clips, names, folder)
    assert found == [] and 'takes imgs, keypoint together' in notes[0]


def test_of_dumps_with_a_checkpoint(tmp_path):
    """It is not tested again; without either there is nothing to show."""
    config = write_report_config(tmp_path)
    ids, *_ = write_report_dump(tmp_path / 'a.pkl', clips=3)
    write_video(tmp_path / 'v.mp4', 40)
    write_segments(tmp_path / 'test.csv', *(f'{clip_id},v.mp4,{k},{k + 20},-1'
                                            for k, clip_id in enumerate(ids) if k))
    code, _ = run_tool('visualize/report.py', config, write_report_checkpoint(config), '--scores',
                       tmp_path / 'a.pkl', '--previews', '--workers', '1', '--out', tmp_path / 'r')
    html = (tmp_path / 'r' / 'index.html').read_text(encoding='utf-8')
    data = json.loads(re.search('id="data">(.*?)</script>', html, re.S)[1])
    assert code is None and 'class="legend"' in html and not (tmp_path / 'r' / 'test').exists()
    assert data['tokens'][0] is None
    files = {name for key in ('previews', 'tokens') for name in data[key][1:]}
    assert files == {path.name for path in (tmp_path / 'r' / 'previews').iterdir()}
    assert len(files) == 4 and run_tool('visualize/report.py', config)[0] == 2
