"""Unlabelled windows: evenly spaced, balanced, and read at their rate by the dataset."""
import numpy as np
import pytest
from numbered_video import read_number, write_video
from running import run_tool

from gaie_mmaction.apis.unlabelled import spaced_windows, write_windows
from gaie_mmaction.datasets import IMiGUEDataset
from gaie_mmaction.datasets.annotations import read_annotations

PIPELINE = [dict(type='ClipInit'), dict(type='SampleFrames', clip_len=8, frame_interval=2),
            dict(type='ClipDecode')]


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    (folder / 'below').mkdir()
    for name, frames in (('long.mp4', 200), ('below/other.mp4', 60), ('short.mp4', 15)):
        write_video(folder / name, frames)
    (folder / 'broken.mp4').write_bytes(b'no video')
    (folder / 'notes.txt').write_text('no video either')
    return folder


def test_windows_are_evenly_spaced():
    rng = np.random.default_rng(0)
    for _ in range(300):
        num_frames, number = map(int, rng.integers(1, 300, 2))
        window = int(rng.integers(1, num_frames + 1))
        starts, places = spaced_windows(num_frames, window, number), num_frames - window + 1
        assert len(starts) == min(number, places) and starts[0] == 0
        assert number == 1 or starts[-1] == places - 1
        assert len(starts) < 3 or np.ptp(np.diff(starts)) <= 1
    # iMiGUE's 359 videos, none below half a minute
    assert 359 * len(spaced_windows(900, 32, 335)) == 120_265


def test_csv(videos, tmp_path):
    """As many windows of a long video as of a short one; what cannot be used is named."""
    out = tmp_path / 'windows.csv'
    number, left_out = write_windows(videos, out, per_video=10, window=16, workers=2)
    clips = read_annotations(str(out), 32)
    assert number == len(clips) == 20 and {clip['label'] for clip in clips} == {-1}
    assert [clip['video'] for clip in clips] == ['below/other.mp4'] * 10 + ['long.mp4'] * 10
    assert all(clip['end_frame'] - clip['start_frame'] == 15 for clip in clips)
    assert left_out.keys() == {'broken.mp4', 'short.mp4'}
    assert 'it has 15 frames, fewer than a window of 16' in left_out['short.mp4']
    write_windows(videos, tmp_path / 'again.csv', per_video=10, window=16)
    assert (tmp_path / 'again.csv').read_bytes() == out.read_bytes()


def test_dataset_reads_frames_at_the_rate(videos, tmp_path):
    out = tmp_path / 'windows.csv'
    write_windows(videos, out, per_video=3, window=16)
    dataset = IMiGUEDataset(ann_file=str(out), data_prefix=dict(video=str(videos)),
                            pipeline=PIPELINE)
    for k, clip in enumerate(read_annotations(str(out), 32)):
        assert [read_number(image) for image in dataset[k]['imgs']] == list(
            range(clip['start_frame'], clip['end_frame'], 2))


def test_videos_of_annotation_files_alone(videos, tmp_path):
    ann_file = tmp_path / 'train.csv'
    ann_file.write_text('clip_id,video,start_frame,end_frame,label\na,long.mp4,0,9,3\n')
    code, output = run_tool('data/make_windows.py', videos, '--out', tmp_path / 'windows.csv',
                            '--ann-files', ann_file, '--per-video', 5, '--workers', 1)
    assert code is None and '5 windows are in' in output and '0 videos were left out' in output
    assert {clip['video'] for clip in read_annotations(str(tmp_path / 'windows.csv'), 32)} == {
        'long.mp4'}


def test_nothing_to_write(videos, tmp_path):
    out = tmp_path / 'windows.csv'
    with pytest.raises(ValueError, match='none of the 4 videos.*below/other.mp4.*fewer than a win'):
        write_windows(videos, out, per_video=5, window=201)
    (tmp_path / 'empty').mkdir()
    code, _ = run_tool('data/make_windows.py', tmp_path / 'empty', '--out', out)
    assert 'empty holds no video: give the folder' in code
    code, _ = run_tool('data/make_windows.py', tmp_path / 'absent', '--out', out)
    assert 'absent is not a folder' in code
    for options in (dict(per_video=0, window=16), dict(per_video=5, window=0)):
        with pytest.raises(ValueError, match='must be at least 1, but got 0'):
            write_windows(videos, out, **options)
    assert not out.exists()
