"""Opening and decoding: the frames asked for, or an error."""
import pickle

import numpy as np
import pytest
from evaluating import write_segments
from mmaction.registry import TRANSFORMS
from numbered_video import HEIGHT, WIDTH, read_number, write_video
from torch.utils.data import DataLoader

from gaie_mmaction.datasets import IMiGUEDataset


def build(**cfg):
    return TRANSFORMS.build(cfg)


def open_clip(path, start=0, end=-1):
    return build(type='ClipInit').transform(
        dict(filename=str(path), clip_id='c', start_frame=start, end_frame=end, start_index=0))


def read(path, frame_inds):
    results = open_clip(path)
    results['frame_inds'] = np.array(frame_inds)
    return build(type='ClipDecode').transform(results)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp('loading') / 'v.mp4'
    write_video(path, 200)
    return path


def test_init_gives_the_range(video):
    results = open_clip(video, 37, 92)
    assert (results['total_frames'], results['start_index']) == (56, 37)
    assert results['avg_fps'] == pytest.approx(25, rel=.01)
    assert open_clip(video, 0, -1)['total_frames'] == 200


def test_decoded_results(video):
    results = read(video, [150, 3, 199, 3])
    assert [read_number(image) for image in results['imgs']] == [150, 3, 199, 3]
    assert results['original_shape'] == results['img_shape'] == (HEIGHT, WIDTH)
    assert 'video_reader' not in results
    pickle.dumps(results)  # as a DataLoader's worker sends it


def test_repeated_frames_are_mirrored_once(video):
    """Flip writes into the frames: the same memory twice would be turned back."""
    before = read(video, [5, 7, 5, 5])
    after = build(type='Flip', flip_ratio=1.).transform(
        dict(read(video, [5, 7, 5, 5]), modality='RGB'))
    for old, new in zip(before['imgs'], after['imgs']):
        np.testing.assert_array_equal(new, old[:, ::-1])


def test_frames_of_clips_in_workers(video, tmp_path):
    ranges = [(k, k + 15) for k in range(0, 184, 8)] + [(184, 199), (199, 199)]
    ann_file = write_segments(tmp_path / 'ann.csv', *(
        f'c_{n},{video.name},{start},{end},0' for n, (start, end) in enumerate(ranges)))
    dataset = IMiGUEDataset(
        ann_file=ann_file, data_prefix=dict(video=str(video.parent)), test_mode=True,
        pipeline=[dict(type='ClipInit'), dict(type='UniformSample', clip_len=8),
                  dict(type='ClipDecode')])
    dataset[0]  # tables and decoders of the parent process do no harm
    loader = DataLoader(dataset, batch_size=None, num_workers=2, shuffle=True)
    seen = 0
    for _ in range(3):
        for results in loader:
            inds = results['frame_inds'].tolist()
            assert [read_number(np.asarray(image)) for image in results['imgs']] == inds
            assert results['start_frame'] <= min(inds) <= max(inds) <= results['end_frame']
            seen += 1
    assert seen == 3 * len(ranges)


@pytest.mark.parametrize('sampler', [
    dict(type='UniformSample', clip_len=16),
    dict(type='UniformSample', clip_len=16, test_mode=True),
    dict(type='UniformSample', clip_len=16, num_clips=3, test_mode=True),
    dict(type='SampleFrames', clip_len=1, num_clips=8),
    dict(type='SampleFrames', clip_len=1, num_clips=8, test_mode=True),
    dict(type='SampleFrames', clip_len=16, frame_interval=4, num_clips=2, test_mode=True),
    dict(type='SampleFrames', clip_len=16, frame_interval=2, out_of_bound_opt='repeat_last'),
])
def test_upstream_samplers_stay_inside_every_range(sampler):
    sample = build(**sampler)
    for total_frames in range(1, 120):
        results = sample.transform(dict(total_frames=total_frames, start_index=1000))
        inds = results['frame_inds']
        assert len(inds) == sampler['clip_len'] * sampler.get('num_clips', 1)
        assert 1000 <= inds.min() <= inds.max() < 1000 + total_frames
        if sampler['type'] == 'UniformSample' and sampler.get('num_clips', 1) == 1:
            assert (np.diff(inds) >= 0).all()


@pytest.mark.parametrize('clip_len', [4, dict(RGB=4, Pose=16)])
def test_subtract_clip_mean(clip_len):
    frames = np.random.default_rng(0).integers(0, 256, (8, 5, 6, 3), dtype=np.uint8)
    images = build(type='SubtractClipMean')(dict(imgs=list(frames), clip_len=clip_len))['imgs']
    for view in range(2):
        part = frames[4 * view:4 * view + 4].astype(float)
        expected = np.clip(part - np.round(part.mean(0)) + 128, 0, 255)
        np.testing.assert_array_equal(np.stack(images[4 * view:4 * view + 4]), expected)
    assert images[0].dtype == np.uint8
