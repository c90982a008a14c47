"""Window lists of a prepared release, by the tool."""
from numbered_video import write_video
from running import run_tool

from gaie_mmaction.datasets import IMIGUE_CLASSES, IMiGUEDataset
from gaie_mmaction.datasets.segment_file import read_segments

HEADER = 'clip_id,video,start_frame,end_frame,label\n'


def write_release(folder, train, test):
    (folder / 'videos').mkdir(parents=True)
    for name, rows in (('train', train), ('test', test)):
        write_video(folder / f'videos/{name}.mp4', 120)
        (folder / f'{name}.csv').write_text(HEADER + ''.join(
            f'{name}_{k},{name}.mp4,{start},{end},{label}\n'
            for k, (start, end, label) in enumerate(rows)))


def run(folder, *arguments):
    return run_tool('data/spotting_windows.py', folder, '--parts', 'train', 'test', '--length',
                    '16', '--stride', '4', *arguments)


def test_a_missing_video_is_named(tmp_path):
    write_release(tmp_path, [(10, 39, 3)], [(5, 20, -1)])
    (tmp_path / 'videos/test.mp4').unlink()
    code, _ = run(tmp_path)
    assert f'{tmp_path}/videos/test.mp4: it cannot be opened (No such file' in code


def test_videos_of_one_name(tmp_path):
    """In two folders: segments and features would mix them."""
    write_release(tmp_path, [(10, 39, 3)], [(5, 20, -1)])
    (tmp_path / 'train.csv').write_text(f'{HEADER}a,p1/v.mp4,10,39,3\nb,p2/v.mp4,5,20,3\n')
    assert run(tmp_path)[0] == (
        f'{tmp_path}/train.csv: p1/v.mp4 and p2/v.mp4 have the same name, which is the id of a '
        'video in segments and features: rename one of them')


def test_windows(tmp_path):
    write_release(tmp_path, [(10, 39, 3), (30, 60, 3)], [(5, 20, -1)])
    code, output = run(tmp_path)
    assert code is None and 'overlap in video train; both are kept' in output
    assert 'train: 1 videos, 2 segments, 27 windows' in output
    folder = tmp_path / 'spotting'
    assert read_segments(folder / 'train_segments.csv') == [('train', 10, 39, 3),
                                                            ('train', 30, 60, 3)]
    assert read_segments(folder / 'test_segments.csv') == []
    windows = IMiGUEDataset(ann_file=str(folder / 'train_windows.csv'), pipeline=[],
                            data_prefix=dict(video=str(tmp_path / 'videos')),
                            metainfo=dict(classes=str(folder / 'classes.txt')))
    assert windows.metainfo['classes'] == [*IMIGUE_CLASSES, 'Background']
    labels = {windows.get_data_info(k)['label'] for k in range(len(windows))}
    assert labels == {3, 32}
    dense = IMiGUEDataset(ann_file=str(folder / 'test_dense.csv'), pipeline=[], test_mode=True,
                          metainfo=dict(classes=str(folder / 'classes.txt')))
    assert {dense.get_data_info(k)['label'] for k in range(len(dense))} == {-1}


def test_errors(tmp_path):
    assert 'none/train.csv does not exist: make it with' in run(tmp_path / 'none')[0]
    write_release(tmp_path, [(0, 119, 3)], [(5, 20, -1)])
    assert 'no window of 16 frames is free of segments' in run(tmp_path)[0]
    assert 'longer than the 120 frames of train.mp4' in run(tmp_path, '--length', '121')[0]
    (tmp_path / 'train.csv').write_text(HEADER + 'x,train.mp4,100,120,3\n')
    assert ("train.csv: segment ('train', 100, 120, 3) ends outside its video, whose frames are "
            '0..119') in run(tmp_path)[0]
