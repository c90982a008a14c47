"""tools/demo.py, MMAction2's inferencers, and the test pipeline say the same of a clip."""
import json

import cv2
import numpy as np
import pytest
import torch
from mmaction.apis import MMAction2Inferencer, inference_recognizer, init_recognizer
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from numbered_video import write_video
from PIL import Image
from running import run_tool
from small_model import write_small_model

from gaie_mmaction.apis import build_recognizer, training
from gaie_mmaction.apis import footage as footage_module
from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.datasets.annotations import Segment
from gaie_mmaction.datasets.annotations import write_segments as write_rows
from gaie_mmaction.datasets.segment_file import read_segments, write_segments
from gaie_mmaction.datasets.video_file import VideoFile, VideoReadError
from gaie_mmaction.evaluation.window_spotting import SegmentRule, save_rule, spot
from gaie_mmaction.visualization import VideoWriter, annotated_video


@pytest.fixture(scope='module')
def folder(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp('demo')
    write_small_model(folder, request.config.rootpath, classes=IMIGUE_CLASSES,
                      caution=['of noise'])
    (folder / 'videos').mkdir()
    write_video(folder / 'videos/short.mp4', 40)
    write_video(folder / 'videos/long.mp4', 100)
    return folder


def run(folder, *arguments, out=None):
    return run_tool('demo.py', *arguments, '--config', folder / 'small.py', '--checkpoint',
                    folder / 'small.pth', '--out', out or folder / 'out', '--device', 'cpu')


def scores_of_the_test_pipeline(folder, path, start, end):
    cfg = Config.fromfile(folder / 'small.py')
    model = init_recognizer(cfg, str(folder / 'small.pth'), device='cpu')
    data = Compose(cfg.test_dataloader.dataset.pipeline)(
        dict(filename=str(path), start_frame=start, end_frame=end, clip_id='0', label=-1,
             modality='RGB', start_index=0))
    with torch.no_grad():
        return model.test_step(pseudo_collate([data]))[0].pred_score.numpy()


def assert_top5(rows, *clip):
    scores = scores_of_the_test_pipeline(*clip)
    assert [row['label'] for row in rows] == np.argsort(-scores, kind='stable')[:5].tolist()
    assert [row['score'] for row in rows] == pytest.approx(np.sort(scores)[:-6:-1], abs=2e-6)


def test_short_video(folder):
    path = folder / 'videos/short.mp4'
    code, output = run(folder, path)
    assert code is None
    assert '32 classes, named by the checkpoint' in output and 'Caution: of noise' in output
    result = json.loads((folder / 'out/short.json').read_text())
    assert_top5(result['top5'], folder, path, 0, 39)
    assert [row['name'] for row in result['top5']] == [
        IMIGUE_CLASSES[row['label']] for row in result['top5']]
    assert result['model']['caution'] == 'of noise'
    # 128x96 pixels are resized to 139x104, of which 96x96 are seen
    assert result['view'] == pytest.approx([21 / 139, 4 / 104, 96 / 139, 96 / 104], abs=.01)
    with VideoFile(folder / 'out/short.mp4') as video:
        assert (len(video), video.fps) == (40, 25)
        first, last = video.read([0, 39])
    # the frame itself, then dimmed and coloured copies of it
    frame = cv2.resize(VideoFile(path).read([0])[0], (426, 320))
    assert np.abs(first[72:72 + 320, :426].astype(int) - frame).mean() < 8
    assert np.abs(first[72:72 + 320, 426:852].astype(int) - frame).mean() > 20
    assert np.abs(first[-180:-40, 500:].astype(int) - last[-180:-40, 500:]).max() > 100  # cursor


def test_long_video_in_windows(folder):
    path = folder / 'videos/long.mp4'
    code, output = run(folder, path, '--window', '40', '--stride', '25', '--threshold', '0.1')
    assert code is None and 'segments with a score of at least 0.1\n' in output
    result = json.loads((folder / 'out/long.json').read_text())
    ranges = [(window['start_frame'], window['end_frame']) for window in result['windows']]
    assert ranges == [(0, 39), (25, 64), (50, 89), (60, 99)]
    for frames, window in zip(ranges, result['windows']):
        assert_top5(window['top5'], folder, path, *frames)
    assert result['segments'] and all(row['score'] >= .1 for row in result['segments'])
    with VideoFile(folder / 'out/long.mp4') as video:
        assert len(video) == 100


def test_rule_of_a_window_classifier(folder, tmp_path):
    """Segments are those of the rule; the timeline has a row for true and found ones."""
    path, windows = folder / 'videos/long.mp4', [(0, 39), (25, 64), (50, 89), (60, 99)]
    total, count = np.zeros((100, 32)), np.zeros((100, 1))
    for start, end in windows:
        total[start:end + 1] += scores_of_the_test_pipeline(folder, path, start, end)
        count[start:end + 1] += 1
    rule = SegmentRule((.03, ) * 31, 3, 2, .5, .01)
    expected = spot(dict(long=(total / count)[:, :-1]), rule)
    assert expected
    save_rule(tmp_path / 'rule.json', rule)
    write_segments(tmp_path / 'true.csv', [('long', 10, 30, 4)])
    code, _ = run(folder, path, '--window', '40', '--stride', '25', '--no-video', '--rule',
                  tmp_path / 'rule.json', '--true', tmp_path / 'true.csv', out=tmp_path)
    assert code is None and cv2.imread(str(tmp_path / 'long.png')) is not None
    found = json.loads((tmp_path / 'long.json').read_text())['segments']
    assert sorted((row['start_frame'], row['end_frame'], row['label']) for row in found) == sorted(
        segment[1:4] for segment in expected)
    write_segments(tmp_path / 'true.csv', [('long', 10, 30, 32)])
    code, _ = run(folder, path, '--rule', tmp_path / 'rule.json', '--true', tmp_path / 'true.csv')
    assert 'true.csv, line 2' in code and 'a class in 0..31' in code
    code, output = run(folder, path, out=tmp_path / 'rule.json/out')
    assert 'rule.json is not a folder' in code and 'frames' not in output  # before any work
    save_rule(tmp_path / 'rule.json', SegmentRule((.03, ) * 32, 3, 2, .5))
    code, _ = run(folder, path, '--rule', tmp_path / 'rule.json', out=tmp_path)
    assert 'the rule is for 32 classes and background, but the model has 32 classes' in code


@pytest.fixture
def detector(tmp_path, root):
    """An untrained detector on the small model's features; config and checkpoint."""
    config, checkpoint = tmp_path / 'detector.py', tmp_path / 'detector.pth'
    config.write_text(
        f"_base_ = '{root}/configs/spotting/detector_demo.py'\n"
        f"model = dict(backbone=dict(in_channels=24), test_cfg=dict(min_score=.001))\n"
        f"test_dataloader = dict(dataset=dict(data_root='{tmp_path}'))\n"
        f"test_evaluator = dict(out_file='{tmp_path}/segments.csv')\n")
    model = build_recognizer(Config.fromfile(config))
    torch.save(dict(meta={}, state_dict=model.state_dict()), checkpoint)
    return config, checkpoint


def test_detector(folder, tmp_path, detector):
    """Segments are those of extract_features.py and ``mim test`` on the same windows."""
    rows = [(f'{k}', 'long.mp4', start, start + 19, -1) for k, start in enumerate(
        [*range(0, 80, 8), 80])]
    write_rows(tmp_path / 'windows.csv', (Segment(*row) for row in rows))
    write_segments(tmp_path / 'test_segments.csv', [('long', 10, 30, 4)])
    code, _ = run_tool('extract_features.py', folder / 'small.py', folder / 'small.pth', '--out',
                       tmp_path / 'test.npz', '--device', 'cpu', '--ann-file', 'windows.csv',
                       '--cfg-options', f'test_dataloader.dataset.data_root={tmp_path}',
                       f'test_dataloader.dataset.data_prefix.video={folder}/videos')
    assert code is None
    training.test(*detector, tmp_path / 'test')
    expected = [segment[1:] for segment in read_segments(tmp_path / 'segments.csv')]
    threshold = sorted(score for *_, score in expected)[-20]
    code, output = run(folder, folder / 'videos/long.mp4', '--window', '20', '--stride', '8',
                       '--threshold', threshold - 1e-6, '--no-video', '--detector', *detector,
                       out=tmp_path / 'out')
    assert code is None and cv2.imread(str(tmp_path / 'out/long.png')) is not None
    found = json.loads((tmp_path / 'out/long.json').read_text())['segments']
    assert len(found) >= 20 and sorted(
        (row['start_frame'], row['end_frame'], row['label'], row['score']) for row in found
    ) == [pytest.approx(row, abs=2e-6) for row in sorted(
        row for row in expected if row[3] >= threshold - 1e-6)]


@pytest.mark.parametrize('options, said', [
    (('--window', '90', '--stride', '90'), 'needs at least 3 windows, but the video has 2'),
    (('--rule', 'rule.json'), 'two ways to find segments')])
def test_wrong_use_of_a_detector(folder, tmp_path, detector, options, said, capsys):
    code, output = run(folder, folder / 'videos/long.mp4', '--detector', *detector, *options,
                       out=tmp_path)
    assert said in f'{code} {output} {capsys.readouterr().err}'


def test_folders_and_bad_files(folder, tmp_path):
    for name in ('images', 'gifs'):
        (tmp_path / name).mkdir()
    images = [Image.fromarray(frame)
              for frame in VideoFile(folder / 'videos/short.mp4').read(range(0, 40, 2))]
    for number, image in enumerate(images):
        image.save(tmp_path / f'images/{number:03}.png')
    images[0].save(tmp_path / 'gifs/moving.gif', save_all=True, append_images=images[1:8])
    (tmp_path / 'gifs/notes.txt').write_text('not a video')
    (tmp_path / 'bad.mp4').write_bytes(b'no video')
    code, output = run(folder, *(tmp_path / name for name in ('bad.mp4', 'none.mp4', 'images',
                                                              'gifs')),
                       folder / 'videos', folder / 'videos/short.mp4', '--no-video')
    assert 'bad was left out: it is not a video' in code and 'none was left out: it cannot' in code
    assert f'Skipped, not a video: {tmp_path / "gifs/notes.txt"}' in output
    results = [json.loads((folder / f'out/{name}.json').read_text())
               for name in ('short', 'short-2', 'images', 'long', 'moving')]
    assert results[0]['top5'] == results[1]['top5']
    assert [result['frames'] for result in results] == [40, 40, 20, 100, 8]


def test_portrait_video(folder, tmp_path, monkeypatch):
    """Every text fits into its place, and the picture says that the model sees a part."""
    texts = {}
    original = annotated_video._text

    def text(draw, place, line, font, color, width):
        texts[line] = draw.textlength(line, font=font) <= width
        original(draw, place, line, font, color, width)

    monkeypatch.setattr(annotated_video, '_text', text)
    frames = np.random.default_rng(0).integers(0, 256, (20, 640, 360, 3)).astype(np.uint8)
    with VideoWriter(tmp_path / 'portrait.mp4', 25) as writer:
        for frame in frames:
            writer.write(frame)
    assert run(folder, tmp_path / 'portrait.mp4')[0] is None
    assert 'importance of tokens (the model sees the bright part)' in texts
    assert [line for line, fits in texts.items() if not fits] == []
    with VideoFile(folder / 'out/portrait.mp4') as video:
        assert len(video) == 20 and video.read([0])[0].shape == (72 + 400 + 190, 1280, 3)


def test_the_video_itself_is_not_replaced(folder, tmp_path):
    write_video(tmp_path / 'own.mp4', 20)
    before = (tmp_path / 'own.mp4').read_bytes()
    code, _ = run(folder, tmp_path / 'own.mp4', out=tmp_path)
    assert 'own.mp4 is the video itself' in code
    assert (tmp_path / 'own.mp4').read_bytes() == before


def test_webcam(folder, monkeypatch):
    def record(index, seconds, path):
        if index == 7:
            raise VideoReadError('webcam 7 cannot be opened')
        write_video(path, 20)

    monkeypatch.setattr(footage_module, 'record_webcam', record)
    code, output = run(folder, '7', '3', '--seconds', '2', '--no-video')
    assert code == 'webcam7 was left out: webcam 7 cannot be opened'
    assert 'Recording webcam 3 for 2 s' in output
    assert json.loads((folder / 'out/webcam3.json').read_text())['frames'] == 20


def test_errors_in_one_line(folder):
    code, _ = run(folder, folder / 'videos/short.mp4', '--cfg-options',
                  'model.cls_head.num_classes=5')
    assert 'does not fit' in code and 'fc_cls.weight' in code
    assert run(folder, 'x.mp4', '--stride', '99')[0] == 2


def test_inference_functions_of_mmaction2(folder):
    path = str(folder / 'videos/short.mp4')
    expected = scores_of_the_test_pipeline(folder, path, 0, 39)
    config, checkpoint = str(folder / 'small.py'), str(folder / 'small.pth')
    model = init_recognizer(config, checkpoint, device='cpu')
    assert inference_recognizer(model, path).pred_score.numpy() == pytest.approx(
        expected, abs=1e-6)
    result = MMAction2Inferencer(config, checkpoint, device='cpu')(path)['predictions'][0]
    assert result['rec_labels'] == [[int(expected.argmax())]]
    # it decodes with decord, whose colours differ slightly from PyAV's
    assert result['rec_scores'][0] == pytest.approx(expected, abs=.02)
