"""tools/demo.py, MMAction2's inferencers, and the test pipeline say the same of a clip."""
import json
import sys

import cv2
import demo
import numpy as np
import pytest
import torch
from mmaction.apis import MMAction2Inferencer, inference_recognizer, init_recognizer
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from numbered_video import write_video
from small_model import write_small_model

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.datasets.video_file import VideoFile, VideoReadError


@pytest.fixture(scope='module')
def folder(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp('demo')
    write_small_model(folder, request.config.rootpath, classes=IMIGUE_CLASSES,
                      caution=['of noise'])
    (folder / 'videos').mkdir()
    write_video(folder / 'videos/short.mp4', 40)
    write_video(folder / 'videos/long.mp4', 100)
    return folder


def run(folder, monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, 'argv', [
        'demo.py', *map(str, arguments), '--config', str(folder / 'small.py'), '--checkpoint',
        str(folder / 'small.pth'), '--out-dir', str(folder / 'out'), '--device', 'cpu'])
    code = None
    try:
        demo.main()
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr().out


def scores_of_the_test_pipeline(folder, **clip):
    cfg = Config.fromfile(folder / 'small.py')
    model = init_recognizer(cfg, str(folder / 'small.pth'), device='cpu')
    data = Compose(cfg.test_dataloader.dataset.pipeline)(
        dict(clip, clip_id='0', label=-1, modality='RGB', start_index=0))
    with torch.no_grad():
        return model.test_step(pseudo_collate([data]))[0].pred_score.numpy()


def top5(scores):
    return [(int(label), pytest.approx(float(scores[label]), abs=2e-6))
            for label in np.argsort(-scores, kind='stable')[:5]]


def test_short_video(folder, monkeypatch, capsys):
    path = folder / 'videos/short.mp4'
    code, output = run(folder, monkeypatch, capsys, path)
    assert code is None
    assert '32 classes, named by the checkpoint' in output and 'Caution: of noise' in output
    result = json.loads((folder / 'out/short.json').read_text())
    expected = scores_of_the_test_pipeline(folder, filename=str(path), start_frame=0, end_frame=39)
    assert [(row['label'], row['score']) for row in result['top5']] == top5(expected)
    assert [row['name'] for row in result['top5']] == [
        IMIGUE_CLASSES[row['label']] for row in result['top5']]
    assert result['model']['caution'] == 'of noise'
    with VideoFile(folder / 'out/short.mp4') as video:
        assert (len(video), video.fps) == (40, 25)
        first, last = video.read([0, 39])
    # the frame itself, then dimmed and coloured copies of it
    frame = cv2.resize(VideoFile(path).read([0])[0], (426, 320))
    assert np.abs(first[72:72 + 320, 1:427].astype(int) - frame).mean() < 8
    assert np.abs(first[72:72 + 320, 427:853].astype(int) - frame).mean() > 20
    assert np.abs(first[-180:-40, 500:].astype(int) - last[-180:-40, 500:]).max() > 100  # cursor


def test_long_video_in_windows(folder, monkeypatch, capsys):
    path = folder / 'videos/long.mp4'
    code, output = run(folder, monkeypatch, capsys, path, '--window', '40', '--stride', '25',
                       '--threshold', '0.1')
    assert code is None and 'Segments with a score of at least 0.1\n' in output
    result = json.loads((folder / 'out/long.json').read_text())
    ranges = [(window['start_frame'], window['end_frame']) for window in result['windows']]
    assert ranges == [(0, 39), (25, 64), (50, 89), (60, 99)]
    for (start, end), window in zip(ranges, result['windows']):
        expected = scores_of_the_test_pipeline(
            folder, filename=str(path), start_frame=start, end_frame=end)
        assert [(row['label'], row['score']) for row in window['top5']] == top5(expected)
    assert result['segments'] and all(row['score'] >= .1 for row in result['segments'])
    with VideoFile(folder / 'out/long.mp4') as video:
        assert len(video) == 100


def test_folders_and_bad_files(folder, monkeypatch, capsys, tmp_path):
    (tmp_path / 'pictures').mkdir()
    for number, image in enumerate(VideoFile(folder / 'videos/short.mp4').read(range(0, 40, 2))):
        cv2.imwrite(str(tmp_path / f'pictures/{number:03}.png'), image[..., ::-1])
    (tmp_path / 'bad.mp4').write_bytes(b'no video')
    code, _ = run(folder, monkeypatch, capsys, tmp_path / 'bad.mp4', tmp_path / 'none.mp4',
                  folder / 'videos', tmp_path / 'pictures', folder / 'videos/short.mp4',
                  '--no-video')
    assert 'bad was left out: it is not a video' in code and 'none was left out: it cannot' in code
    names = {path.name for path in (folder / 'out').glob('*.json')}
    assert {'short.json', 'long.json', 'pictures.json', 'short-2.json'} <= names
    results = [json.loads((folder / 'out' / name).read_text())
               for name in ('short.json', 'short-2.json', 'pictures.json')]
    assert results[0]['top5'] == results[1]['top5']
    assert [result['frames'] for result in results] == [40, 40, 20]


def test_webcam(folder, monkeypatch, capsys):
    def record(index, seconds, path):
        if index == 7:
            raise VideoReadError('webcam 7 cannot be opened')
        write_video(path, 20)

    monkeypatch.setattr(demo, 'record_webcam', record)
    code, output = run(folder, monkeypatch, capsys, '7', '3', '--seconds', '2', '--no-video')
    assert code == 'webcam7 was left out: webcam 7 cannot be opened'
    assert 'Recording webcam 3 for 2 s' in output
    assert json.loads((folder / 'out/webcam3.json').read_text())['frames'] == 20


def test_errors_in_one_line(folder, monkeypatch, capsys, tmp_path):
    arguments = [folder / 'videos/short.mp4', '--cfg-options', 'model.cls_head.num_classes=5']
    code, _ = run(folder, monkeypatch, capsys, *arguments)
    assert 'does not fit' in code and 'fc_cls.weight' in code
    code, _ = run(folder, monkeypatch, capsys, 'x.mp4', '--stride', '99')
    assert code == 2


def test_hosts_inference_functions(folder):
    path = str(folder / 'videos/short.mp4')
    expected = scores_of_the_test_pipeline(folder, filename=path, start_frame=0, end_frame=39)
    config, checkpoint = str(folder / 'small.py'), str(folder / 'small.pth')
    model = init_recognizer(config, checkpoint, device='cpu')
    assert inference_recognizer(model, path).pred_score.numpy() == pytest.approx(
        expected, abs=1e-6)
    result = MMAction2Inferencer(config, checkpoint, device='cpu')(path)['predictions'][0]
    assert result['rec_labels'] == [[int(expected.argmax())]]
    # it decodes with decord, whose colours differ slightly from PyAV's
    assert result['rec_scores'][0] == pytest.approx(expected, abs=.02)
