"""Optical flow: of drawn motion, quantised within its bound, complete files only."""
import multiprocessing
import os
import signal
import time

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from numbered_video import HEIGHT, WIDTH, write_video
from running import run_tool

from gaie_mmaction.datasets import VideoFile
from gaie_mmaction.release import flow

SHIFT = (3, -2)  # pixels per frame, x and y


def draw_shifted(number, noise):
    """A smooth random texture, moved by SHIFT from frame to frame."""
    texture = cv2.GaussianBlur(np.random.default_rng(0).random((64, 64, 3)), None, 1)
    texture = cv2.resize((255 * texture).astype(np.uint8), (2 * WIDTH, 2 * HEIGHT))
    y, x = (HEIGHT // 2 - SHIFT[1] * number, WIDTH // 2 - SHIFT[0] * number)
    return texture[y:y + HEIGHT, x:x + WIDTH]


@pytest.fixture
def data(tmp_path):
    write_video(tmp_path / 'v.mp4', 12, draw=draw_shifted, crf='10')
    (tmp_path / 'a.csv').write_text('clip_id,video,start_frame,end_frame,label\n'
                                    '0001_0,v.mp4,2,8,3\n0001_1,v.mp4,5,5,-1\n')
    (tmp_path / 'b.txt').write_text('v.mp4 7\n')
    return tmp_path


def make(data, *names):
    return run_tool('data/make_flow.py', *(data / name for name in names), '--videos', data,
                    '--out', data / 'flow', '--workers', '1')


def read(path):
    with VideoFile(path) as reader:
        return np.stack(reader.read(range(len(reader))))


def test_flow_of_drawn_motion(data):
    code, output = make(data, 'a.csv', 'b.txt')
    assert code is None and '3 clips in' in output and '3 written, 0 were there' in output
    levels = read(data / 'flow/0001_0.mp4')
    assert levels.shape == (6, HEIGHT, WIDTH, 3) and (levels[..., 2] == flow.ZERO).all()
    found = flow.from_levels(levels)[:, 16:-16, 16:-16]
    assert np.median(found, axis=(1, 2)) == pytest.approx(np.tile(SHIFT, (6, 1)), abs=.15)
    assert (np.abs(found - SHIFT) < .5).mean() > .99
    assert len(read(data / 'flow/v.mp4')) == 11  # of the whole file
    # one frame alone does not move
    assert (read(data / 'flow/0001_1.mp4') == flow.ZERO).all()


def test_file_holds_what_dis_computes(data):
    """Frame by frame, rounded: the video loses nothing more."""
    make(data, 'a.csv')
    with VideoFile(data / 'v.mp4') as reader:
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in reader.read(range(2, 9))]
    found = read(data / 'flow/0001_0.mp4')
    for levels, before, after in zip(found, grey[:-1], grey[1:], strict=True):
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        expected = dis.calc(before, after, None)
        assert np.abs(flow.from_levels(levels) - expected).max() <= flow.BOUND / 254 + 1e-5


def test_quantisation():
    random = np.random.default_rng(0).uniform(-flow.BOUND, flow.BOUND, (50, 40, 2))
    found = flow.from_levels(flow.to_levels(random))
    assert np.abs(found - random).max() <= flow.BOUND / 254 + 1e-5
    assert (flow.to_levels(np.zeros((1, 1, 2))) == 128).all()
    assert flow.to_levels(np.array([[-99., 99.]])).tolist() == [[1, 255, 128]]
    # the mirror image of a level is 256 - level, without a rest
    np.testing.assert_array_equal(flow.to_levels(-random)[..., 0],
                                  256 - flow.to_levels(random)[..., 0].astype(int))


def test_second_run_does_what_is_missing(data):
    make(data, 'a.csv')
    path, other = data / 'flow/0001_0.mp4', data / 'flow/0001_1.mp4'
    content, time_of_other = path.read_bytes(), other.stat().st_mtime_ns
    path.write_bytes(content[:len(content) // 2])
    assert '2 clips in' in make(data, 'a.csv')[1]
    assert path.read_bytes() == content and other.stat().st_mtime_ns == time_of_other


def test_killed_runs_leave_whole_files_only(data):
    rows = ''.join(f'0002_{k},v.mp4,{k % 6},{k % 6 + 5},0\n' for k in range(40))
    (data / 'many.csv').write_text('clip_id,video,start_frame,end_frame,label\n' + rows)
    for goal in (3, 12, 25):
        process = multiprocessing.get_context('fork').Process(target=make, args=(data, 'many.csv'))
        process.start()
        while len(list((data / 'flow').glob('0002_*.mp4'))) < goal and process.is_alive():
            time.sleep(.001)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        files = list((data / 'flow').glob('0002_*.mp4'))
        assert len(files) >= goal and all(len(read(path)) == 5 for path in files)
    code, output = make(data, 'many.csv')
    assert code is None and '40 clips in' in output
    assert len(list((data / 'flow').glob('0002_*.mp4'))) == 40
    assert not list((data / 'flow').glob('.*.partial'))



def test_errors(data):
    (data / 'c.csv').write_text('clip_id,video,start_frame,end_frame,label\n'
                                '0001_0,v.mp4,2,9,3\n')
    assert 'clip 0001_0 has other frames' in make(data, 'a.csv', 'c.csv')[0]
    (data / 'c.csv').write_text('clip_id,video,start_frame,end_frame,label\n'
                                '0003_0,v.mp4,8,12,3\n0003_1,none.mp4,0,3,1\n0003_2,v.mp4,0,3,1\n')
    message = make(data, 'c.csv')[0]
    assert message.startswith('2 clips have no flow:\n')
    assert '0003_0 was not written: frames 8..12 are outside the 12 frames' in message
    assert '0003_1 was not written' in message and (data / 'flow/0003_2.mp4').exists()


@pytest.mark.parametrize('name', ['gaie_vitb', 'videoswin_base'])
def test_configs(root, data, name):
    make(data, 'a.csv')
    cfg = Config.fromfile(root / f'configs/streams/{name}_flow_imigue.py')
    init_default_scope('mmaction')
    for part, ann_file in (('train', 'trainval.txt'), ('val', 'val.txt'), ('test', 'test.txt')):
        dataset = cfg[f'{part}_dataloader'].dataset
        assert (dataset.ann_file, dataset.data_prefix.video) == (ann_file, 'flow')
        results = Compose(dataset.pipeline)(
            dict(filename=str(data / 'flow/0001_0.mp4'), label=3, start_index=0))
        assert results['inputs'].shape == (1, 3, 16, 224, 224)
    assert cfg.model.data_preprocessor.mean == [flow.ZERO] * 3
