"""Taylor frames against plain loops, and read as frames of a clip."""
import cv2
import numpy as np
import pytest
from mmaction.registry import TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from numbered_video import write_video
from reference import taylor_loops

from gaie_mmaction.datasets.transforms import taylor, taylor_frames
from gaie_mmaction.datasets.video_file import VideoFile, VideoReadError


@pytest.mark.parametrize('num, window, terms', [
    (6, 6, 3), (9, 6, 3), (8, 7, 3), (8, 8, 4), (5, 4, 1), (7, 5, 2)])
@pytest.mark.parametrize('grey', [True, False])
def test_equals_plain_loops(monkeypatch, num, window, terms, grey):
    monkeypatch.setattr(taylor, 'BLOCK', 7)  # 20 pixels: a last block that is shorter
    random = np.random.default_rng(num * window)
    frames = random.integers(0, 256, (num, 4, 5)) / 255 if grey else random.random((num, 4, 5))
    frames[:, 0] = frames[0, 0]  # what does not move is black
    found = taylor_frames(frames, window, terms)
    expected = taylor_loops.taylor_frames(frames, window, terms)
    assert found.dtype == np.uint8 and found.shape == (num - window + 1, 4, 5, 3)
    np.testing.assert_array_equal(found, expected)
    assert (found[:, 0] == 0).all() and (found.reshape(len(found), -1).max(axis=1) == 255).all()


def test_frames_without_motion_are_black():
    assert (taylor_frames(np.full((7, 4, 4), .3)) == 0).all()


def test_unusable_windows():
    with pytest.raises(ValueError, match='a window needs at least 6 frames, but got 5'):
        taylor_frames(np.zeros((5, 4, 4)))
    with pytest.raises(ValueError, match='3 terms need a window of at least 6 frames'):
        taylor_frames(np.zeros((9, 4, 4)), window=5)
    init_default_scope('mmaction')
    with pytest.raises(ValueError, match='terms=0'):
        TRANSFORMS.build(dict(type='TaylorFrames', terms=0))


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp('taylor') / '0001.mp4'
    write_video(path, 40)
    return path


def read_clip(video, start, end, **options):
    init_default_scope('mmaction')
    pipeline = Compose([
        dict(type='ClipInit'), dict(type='TaylorFrames', **options),
        dict(type='SampleFrames', clip_len=4, frame_interval=3, num_clips=2, test_mode=True),
        dict(type='ClipDecode')])
    return pipeline(dict(filename=str(video), start_frame=start, end_frame=end, clip_id='0001_0',
                         start_index=0, label=-1, modality='RGB'))


@pytest.mark.parametrize('short_side', [256, 48])
def test_clip_of_taylor_frames(video, short_side):
    """Sampled as a clip of n - 5 frames, each of the 6 frames from its own on."""
    results = read_clip(video, 4, 33, short_side=short_side)
    assert results['total_frames'] == 25
    inds = results['frame_inds']
    assert inds.min() >= 4 and inds.max() <= 28 and len(set(inds.tolist())) == 8
    images = VideoFile(video).read(range(40))
    if short_side < 96:
        images = [cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA) for image in images]
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]) / 255
    for number, image in zip(inds, results['imgs'], strict=True):
        np.testing.assert_array_equal(image, taylor_frames(grey[number:number + 6])[0])
    assert results['img_shape'] == ((48, 64) if short_side < 96 else (96, 128))


def test_clips_shorter_than_the_window(video):
    with pytest.raises(VideoReadError, match=r'clip 0001_0 of .* has 5 frames.*pad=True'):
        read_clip(video, 30, 34)
    results = read_clip(video, 30, 34, pad=True)
    assert results['total_frames'] == 1
    images = VideoFile(video).read([30, 31, 32, 33, 34, 34])
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]) / 255
    for image in results['imgs']:
        np.testing.assert_array_equal(image, taylor_frames(grey)[0])


@pytest.mark.parametrize('name', ['gaie_vitb', 'videoswin_base'])
def test_configs(root, video, name):
    cfg = Config.fromfile(root / f'configs/streams/{name}_taylor_imigue.py')
    for part in ('train', 'val', 'test'):
        pipeline = cfg[f'{part}_dataloader'].dataset.pipeline
        assert [step.type for step in pipeline[:4]] == [
            'ClipInit', 'TaylorFrames', 'UniformSample', 'ClipDecode']
        results = Compose(pipeline)(dict(filename=str(video), label=3, start_index=0))
        assert results['inputs'].shape == (1, 3, 16, 224, 224)
