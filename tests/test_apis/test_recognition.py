"""Clips by their id and frame range, and the models that recognize them."""
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from evaluating import write_segments
from mmengine.dataset import Compose, pseudo_collate
from numbered_video import WIDTH, write_video
from running import run_tool
from small_model import write_small_model

from gaie_mmaction.apis import (
    Clip,
    ClipPipeline,
    ClipRecognizer,
    clip_features,
    extract_features,
    find_clip,
    load_config,
    open_footage,
    read_test_clips,
    recognize_video,
)
from gaie_mmaction.apis.region_survival import measure_survival
from gaie_mmaction.datasets.video_file import VideoFile, VideoReadError
from gaie_mmaction.report.clips import read_clip_infos
from gaie_mmaction.visualization.overlay import paint_window


@pytest.fixture(scope='module')
def folder(tmp_path_factory, request):
    """A model, a video, and annotations by absolute paths below another data_root."""
    folder = tmp_path_factory.mktemp('recognition')
    config, _ = write_small_model(folder, request.config.rootpath)
    write_video(folder / 'video.mp4', 60)
    write_segments(folder / 'test.csv', 'part,video.mp4,20,49,-1')
    (folder / 'clips.txt').write_text('video.mp4 3\n')
    with open(config, 'a') as file:
        file.write(f"\ntest_dataloader = dict(dataset=dict(data_root='elsewhere', ann_file="
                   f"'{folder}/test.csv', data_prefix=dict(video='{folder}')))\n")
    return folder


@pytest.fixture(scope='module')
def recognizer(folder):
    return ClipRecognizer(load_config(folder / 'small.py'), str(folder / 'small.pth'))


def test_absolute_paths_are_kept(folder, recognizer):
    assert find_clip(recognizer.cfg, 'part') == Clip(str(folder / 'video.mp4'), 'part', 20, 49)
    with pytest.raises(ValueError, match=r"nothing is not in .*test.csv; .*\['part'\]"):
        find_clip(recognizer.cfg, 'nothing')


@pytest.fixture
def whole(folder, recognizer):
    """A clip of a list of cut clips, whose end is not known yet."""
    cfg = load_config(recognizer.cfg.filename)
    cfg.test_dataloader.dataset.ann_file = str(folder / 'clips.txt')
    return find_clip(cfg, 'video')


def test_the_last_frame_is_minus_one(recognizer, whole):
    assert whole.end == -1
    window, frames = recognizer.recognize_clip(whole)
    same, _ = recognizer.recognize_clip(Clip(whole.filename, 'same', 0, 59))
    assert (window.start, window.end) == (0, 59)
    assert (window.scores == same.scores).all() and window.scores.sum() == pytest.approx(1)
    best = recognizer.classes.names[window.scores.argmax()]
    assert recognizer.describe(whole, window) == (
        f'video: predicted {best} ({window.scores.max():.2f}), '
        f'label {recognizer.classes.names[3]}')
    # one frame per tubelet of 4 of the 16 that the model saw
    assert frames.shape == (4, 96, 96, 3) and window.frame_inds.shape == (16, )
    part, _ = recognizer.recognize_clip(find_clip(recognizer.cfg, 'part'))
    assert 20 <= part.frame_inds.min() and part.frame_inds.max() <= 49


@pytest.mark.parametrize('start, end', [(0, 60), (-2, 5), (9, 8), (60, -1)])
def test_ranges_outside_the_video(folder, recognizer, start, end):
    with pytest.raises(VideoReadError, match=r'is outside its 60 frames \(0..59\)'):
        recognizer.recognize_clip(Clip(str(folder / 'video.mp4'), 'x', start, end))


def test_taylor_frames(root, folder, tmp_path):
    """Same as the dataset's pipeline, of a video and of its frames as images."""
    cfg = load_config(root / 'configs/demo/taylor_demo.py')
    pipeline, path = ClipPipeline(cfg), folder / 'video.mp4'
    expected = Compose(cfg.test_dataloader.dataset.pipeline)(dict(
        filename=str(path), start_frame=20, end_frame=49, label=-1, modality='RGB'))
    with VideoFile(path) as video:
        for number, image in enumerate(video.read(range(60))):
            cv2.imwrite(str(tmp_path / f'{number:05}.png'), image[..., ::-1])
    for source in (path, tmp_path):
        with open_footage(source) as footage:
            packed, results = pipeline(footage, 20, 49)
        assert (packed['inputs'] == expected['inputs']).all() and packed['inputs'].any()
        assert results['frame_inds'].max() <= 49 - 5  # a window begins at each


@pytest.mark.parametrize('config, message', [
    ('stgcn_imigue_joint', r'needs skeletons \(PoseDecode\)'),
    ('multimodal/m2hen_imigue', r'needs skeletons \(MMClipDecode\)'),
    ('pretraining/videomae_demo', 'has no test pipeline'),
    ('spotting/detector_demo', 'must decode frames')])
def test_configs_that_recognize_no_video(root, config, message):
    cfg = load_config(root / f'configs/{config}.py')
    with pytest.raises(ValueError, match=message):
        ClipRecognizer(cfg, 'none.pth')


@pytest.mark.parametrize('function', [read_test_clips, lambda cfg: extract_features(cfg, '', 'a')])
def test_pretraining_has_no_test_part(root, function):
    with pytest.raises(ValueError, match='has no test pipeline'):
        function(load_config(root / 'configs/pretraining/videomae_demo.py'))


@pytest.mark.parametrize('function', [
    read_test_clips, lambda cfg: read_clip_infos(cfg, ['video']),
    lambda cfg: extract_features(cfg, cfg.filename.replace('.py', '.pth'), 'a.npz')])
def test_datasets_without_ids(folder, function):
    """MMAction2's own gives clips no ids."""
    cfg = load_config(folder / 'small.py')
    cfg.test_dataloader.dataset.update(
        type='VideoDataset', ann_file=str(folder / 'clips.txt'), data_root='')
    with pytest.raises(ValueError, match="VideoDataset of .*small.py gives .* no ids: set .*'IMiG"):
        function(cfg)


def test_arrays_of_a_token_map(folder):
    code, output = run_tool(
        'visualize/token_map.py', folder / 'small.py', folder / 'small.pth', '--video',
        folder / 'video.mp4', '--range', 10, 59, '--out', folder / 'map.npz')
    assert code is None and 'predicted' in output
    with np.load(folder / 'map.npz') as found:
        assert set(found) == {f'{name}_{layer}' for name in ('importance', 'kept', 'owner')
                              for layer in (0, 1)} | {'frame_inds', 'box', 'scores'}
        assert (found['kept_0'].sum(), found['kept_1'].sum()) == (101, 71)
        assert (found['owner_0'] >= 0).all() and found['frame_inds'].min() >= 10


def test_windows_keep_what_is_drawn(folder, recognizer):
    with open_footage(folder / 'video.mp4') as footage:
        whole = list(recognizer.recognize(footage, [(0, 29), (30, 59)]))
        kept, none = (recognize_video(recognizer, footage, 30, 30, keep_tokens=keep).windows
                      for keep in (True, False))
        frame, = footage.read([17])
    for one, other, without in zip(whole, kept, none):
        panels, expected = (paint_window(frame, 17, window, 4) for window in (other, one))
        assert len(panels) == 2 and (np.array(panels) == expected).all()
        assert sum(array.nbytes for array in other.tokens.to_arrays([0]).values()) <= 9 * 144
        assert without.tokens is None and (without.scores == one.scores).all()
        assert (without.features == one.features).all()


def test_features_of_two_branches(folder, monkeypatch):
    """As of SlowFast and MViT: clips are recognized, but have no features."""
    recognizer = ClipRecognizer(load_config(folder / 'small.py'), str(folder / 'small.pth'))
    head = recognizer.model.cls_head.forward
    monkeypatch.setattr(recognizer.model.cls_head, 'forward', lambda x, **_: head(x[0]))
    recognizer.model.backbone.register_forward_hook(lambda *args: (args[-1], args[-1]))
    with open_footage(folder / 'video.mp4') as footage:
        window, = recognizer.recognize(footage, [(0, -1)])
        packed, _ = recognizer.pipeline(footage)
        assert window.features is None and window.scores.sum() == pytest.approx(1)
        detector = SimpleNamespace(model=SimpleNamespace(num_classes=2))
        with pytest.raises(ValueError, match='a detector needs one tensor .* of .*small.py does'):
            recognize_video(recognizer, footage, detector=detector)
    with pytest.raises(ValueError, match='VisionTransformer gives a tuple of features'):
        clip_features(recognizer.model, pseudo_collate([packed]))


def test_survival_with_the_reducers_own_ratio(folder, whole):
    """The config does not spell out token_keep_ratio; a clip ends at -1."""
    cfg = load_config(folder / 'small.py')
    cfg.model.backbone.neck = dict(type='GAIENeck')
    clips = [whole, find_clip(cfg, 'part')]
    regions = dict(video=(0, 0, WIDTH, 96), part=(0, 0, 2, 2))  # the second is outside the crop
    found = measure_survival(cfg, str(folder / 'small.pth'), ['RandomDropNeck'], clips, regions)
    assert found.reducer.tolist() == ['GAIENeck'] * 2 + ['RandomDropNeck'] * 2
    assert found.clip_id.tolist() == ['video'] * 4
    assert found['all'].tolist() == pytest.approx([101 / 144, 71 / 144] * 2)
    assert found.region.tolist() == pytest.approx(found['all'].tolist())
    cfg.model.backbone.neck = None
    with pytest.raises(ValueError, match='no model.backbone.neck'):
        measure_survival(cfg, str(folder / 'small.pth'), [], clips, regions)
