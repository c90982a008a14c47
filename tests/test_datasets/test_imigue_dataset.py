"""The dataset: right frames, right errors, right counts."""
import multiprocessing
import ntpath
import shutil
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from mmaction.registry import DATASETS
from mmcv.transforms import BaseTransform
from mmengine.logging import MMLogger
from numbered_video import read_number, write_video
from torch.utils.data import DataLoader

from gaie_mmaction.datasets import VideoReadError, annotations, imigue_dataset

HEADER = 'clip_id,video,start_frame,end_frame,label\n'


class Numbers(BaseTransform):
    def transform(self, results):
        return dict(numbers=[read_number(image) for image in results['imgs']],
                    clip_id=results['clip_id'], label=results['label'])


def make_dataset(folder, text, name='clips.csv', **changes):
    (folder / name).write_text(text)
    cfg = dict(type='IMiGUEDataset', data_root=str(folder), ann_file=name,
               data_prefix=dict(video=''), test_mode=True, pipeline=[
                   dict(type='ClipInit'), dict(type='UniformSample', clip_len=8, test_mode=True),
                   dict(type='ClipDecode'), Numbers()])
    return DATASETS.build(dict(cfg, **changes))


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    write_video(folder / '0001.mp4', 200)
    return folder


@pytest.fixture
def folder(videos, tmp_path):
    shutil.copy(videos / '0001.mp4', tmp_path)
    return tmp_path


def expected_numbers(start, end, clip_len=8):
    segment = (end - start) / clip_len
    return [start + int(np.round(segment * i)) + int(segment / 2) for i in range(clip_len)]


@pytest.mark.parametrize('start, end', [
    (0, 199), (37, 92), (61, 61), (100, 104), (180, 199), (199, 199)])
def test_frames_of_the_range(folder, start, end):
    dataset = make_dataset(folder, f'{HEADER}0001_0,0001.mp4,{start},{end},3\n')
    item = dataset[0]
    assert item['numbers'] == expected_numbers(start, end)
    assert (item['clip_id'], item['label']) == ('0001_0', 3)


def test_clip_list_is_the_whole_file(folder):
    (folder / '0001.mp4').rename(folder / 'my clip_7.mp4')
    text = 'my clip_7.mp4 31\n'
    item = make_dataset(folder, text, 'list.txt')[0]
    assert item['numbers'] == expected_numbers(0, 199)
    assert (item['clip_id'], item['label']) == ('my clip_7', 31)
    assert make_dataset(folder, 'a.mp4\n', 'list.txt').get_data_info(0)['label'] == -1


@pytest.mark.parametrize('line', ['a b.mp4 7', 'a b.mp4\t7', ' a b.mp4  7 ', 'a b.mp4 \t 7'])
def test_blanks_and_tabs_of_a_clip_list(folder, line):
    item = make_dataset(folder, f'{line}\n', 'list.txt').get_data_info(0)
    assert (item['clip_id'], item['label']) == ('a b', 7)
    assert item['filename'].endswith('/a b.mp4')


def test_lists_written_on_windows(folder):
    (folder / 'a b').mkdir()
    (folder / '0001.mp4').rename(folder / 'a b/0001_7.mp4')
    item = make_dataset(folder, 'a b\\0001_7.mp4 31\r\n', 'list.txt')[0]
    assert (item['clip_id'], item['label']) == ('0001_7', 31)
    assert item['numbers'] == expected_numbers(0, 199)
    rows = 'clip_id,video,start_frame,end_frame,label\r\n0001_7,a b\\0001_7.mp4,7,30,1\r\n'
    assert make_dataset(folder, rows)[0]['numbers'] == expected_numbers(7, 30)


@pytest.mark.parametrize('path', ['D:\\clips\\0001_0.mp4', 'd:/clips/0001_0.mp4',
                                  '\\\\server\\clips\\0001_0.mp4'])
def test_drives_of_windows(folder, monkeypatch, path):
    with pytest.raises(ValueError, match='list.txt, line 1 .* is on a drive of Windows, which'):
        make_dataset(folder, f'{path} 3\n', 'list.txt')
    monkeypatch.setattr(annotations, 'os', SimpleNamespace(name='nt', path=ntpath))
    clip, = annotations.read_annotations(str(folder / 'list.txt'), 32)
    assert (clip['clip_id'], clip['label']) == ('0001_0', 3)
    assert ntpath.join('data\\videos', clip['video']) == path.replace('\\', '/')


@pytest.mark.parametrize('header', [
    'clip,video,start,end,label', 'clip_id,video,start_frame,end_frame',
    'clip_id;video;start_frame;end_frame;label', 'video,clip_id,start_frame',
    'clip_id\tvideo\tstart_frame\tend_frame\tlabel'])
def test_segment_csv_with_other_columns(folder, header):
    """It is not taken for a clip list, whose files would then be missing."""
    with pytest.raises(ValueError, match="looks like a segment csv.* must be 'clip_id,video,start"):
        make_dataset(folder, f'{header}\n0001_0 0001.mp4 0 9\n')


@pytest.mark.parametrize('separator', ',;')
def test_clip_list_without_blanks(folder, separator):
    with pytest.raises(ValueError, match=r"list.txt, line 1 \('a.mp4.3'\): a blank or a tab must"):
        make_dataset(folder, f'a.mp4{separator}3\n', 'list.txt')


def test_meta():
    meta = imigue_dataset.IMiGUEDataset.METAINFO
    assert len(meta['classes']) == len(set(meta['classes'])) == 32
    assert meta['codes'] == (*range(1, 32), 99)


def test_own_classes_set_the_limit(folder):
    text = f'{HEADER}0001_0,0001.mp4,0,9,40\n'
    with pytest.raises(ValueError, match=r'0\.\.31.*got 40.*metainfo'):
        make_dataset(folder, text)
    names = [str(n) for n in range(41)]
    dataset = make_dataset(folder, text, metainfo=dict(classes=names))
    assert dataset.get_data_info(0)['label'] == 40
    assert dataset.metainfo['classes'] == names
    assert 'codes' not in dataset.metainfo  # iMiGUE's say nothing about them
    (folder / 'names.txt').write_text('\ufeff' + '\n'.join(names) + '\n\n')  # as Windows has it
    dataset = make_dataset(folder, text, metainfo=dict(classes=str(folder / 'names.txt')))
    assert dataset.metainfo['classes'] == names
    with pytest.raises(FileNotFoundError, match='nams.txt does not exist.*list of names'):
        make_dataset(folder, text, metainfo=dict(classes='nams.txt'))


@pytest.mark.parametrize('row, message', [
    ('0001_0,0001.mp4,0,9', 'line 2.*5 columns.*has 4'),
    ('0001_0,0001.mp4,0,x,1', "line 2.*end_frame must be an integer, but got 'x'"),
    ('0001_0,0001.mp4,9,8,1', 'line 2.*start_frame <= end_frame.*9 and 8'),
    ('0001_0,0001.mp4,-1,8,1', 'line 2.*0 <= start_frame.*-1 and 8'),
    ('0001_0,0001.mp4,0,8,32', 'line 2.*got 32'),
    ('0001_0,0001.mp4,0,8,-2', 'line 2.*got -2'),
    ('0001_0,0001.mp4,0,8,1\n0001_0,0001.mp4,9,10,1', 'line 3.*already.*line 2'),
    ('', 'holds no clip'),
])
def test_wrong_rows(folder, row, message):
    with pytest.raises(ValueError, match=f'clips.csv.*{message}'):
        make_dataset(folder, f'{HEADER}{row}\n')


def test_missing_annotation_file(folder):
    with pytest.raises(FileNotFoundError, match='nowhere.csv.*prepare_imigue.py'):
        make_dataset(folder, HEADER, ann_file='nowhere.csv')


@pytest.mark.parametrize('changes, error, message', [
    (dict(on_error='ignore'), ValueError, "got 'ignore'"),
    (dict(on_error='skip'), ValueError, 'training only'),
    (dict(on_error='skip', test_mode=False, max_bad_share=1.), ValueError, r'\[0, 1\).*got 1'),
    (dict(onerror='raise'), TypeError, 'onerror'),
])
def test_wrong_arguments(folder, changes, error, message):
    with pytest.raises(error, match=message):
        make_dataset(folder, f'{HEADER}0001_0,0001.mp4,0,9,3\n', **changes)


def make_bad_files(folder):
    data = (folder / '0001.mp4').read_bytes()
    (folder / 'empty.mp4').write_bytes(b'')
    (folder / 'cut.mp4').write_bytes(data[:len(data) // 2])
    (folder / 'text.mp4').write_text('this is no video\n' * 50)
    noise = np.random.default_rng(0).bytes(len(data) // 4)
    middle = len(data) // 2
    (folder / 'damaged.mp4').write_bytes(data[:middle] + noise + data[middle + len(noise):])
    return {
        'absent': 'No such file', 'empty': 'is empty', 'cut': 'is incomplete',
        'text': 'not a video or is damaged', 'damaged': 'decoding frames',
        '0001': 'outside its 200 frames'
    }


@pytest.mark.parametrize('name', ['absent', 'empty', 'cut', 'text', 'damaged', '0001'])
def test_unreadable_clip_raises(folder, name):
    reason = make_bad_files(folder)[name]
    dataset = make_dataset(folder, f'{HEADER}bad_0,{name}.mp4,60,{199 + (name == "0001")},3\n')
    start = time.time()
    with pytest.raises(VideoReadError, match=f'clip bad_0 of .*{name}.mp4 .*({reason})'):
        dataset[0]
    assert time.time() - start < 10


def make_skipping(folder, good, bad, share=.05, **changes):
    rows = [f'good_{k},0001.mp4,{k},{k + 20},3\n' for k in range(good)]
    rows += [f'bad_{k},{name}.mp4,0,9,3\n' for k, name in enumerate(bad)]
    return make_dataset(folder, HEADER + ''.join(rows), test_mode=False, on_error='skip',
                        max_bad_share=share, **changes)


@pytest.mark.parametrize('context', [None, 'fork', 'spawn'])
def test_skip_takes_another_clip_and_counts(folder, context):
    # one worker where starting one takes seconds: the counts are shared with this process too
    workers = {None: 0, 'fork': 2, 'spawn': 1}[context]
    dataset = make_skipping(folder, 18, ['no', 'no'], .1)
    for _ in range(1 if context == 'spawn' else 2):
        items = list(DataLoader(dataset, batch_size=None, num_workers=workers,
                                multiprocessing_context=context))
        assert len(items) == 20 and all(item['clip_id'].startswith('good') for item in items)
    assert dataset._bad.sum() == 2


def test_skip_logs_once_a_file(folder, monkeypatch):
    lines = []
    monkeypatch.setattr(imigue_dataset, 'print_log', lambda message, **_: lines.append(message))
    dataset = make_skipping(folder, 8, ['no', 'no', 'none'], .5)
    monkeypatch.setattr(dataset, '_rand_another', lambda: 0)
    for index in (8, 9, 8, 10, 10):
        dataset[index]
    assert len(lines) == 2 and 'bad_0' in lines[0] and 'bad_2' in lines[1]
    assert '1 of 11 clips' in lines[0] and '3 of 11 clips' in lines[1]


def test_log_from_workers(folder, tmp_path):
    log = tmp_path / 'run.log'
    MMLogger.get_instance('test_log_from_workers', log_file=str(log))
    list(DataLoader(make_skipping(folder, 8, ['no', 'no'], .5), num_workers=1, batch_size=None))
    lines = [line for line in log.read_text().splitlines() if 'Skipped' in line]
    assert len(lines) == 1 and 'no.mp4' in lines[0] and '1 of 10 clips' in lines[0]


@pytest.mark.parametrize('good, bad, share, first', [(9, 1, .05, 9), (0, 1, .99, 0),
                                                     (0, 100, .99, 0)])
def test_skip_fails_above_the_share(folder, good, bad, share, first):
    dataset = make_skipping(folder, good, ['no'] * bad, share)
    with pytest.raises(RuntimeError, match=f'of {good + bad} clips.*max_bad_share={share}.*bad_'):
        dataset[first]
    assert int(dataset._bad.sum()) == bad  # 99 of 100 are no more than the share yet


def run_processes(*functions):
    """Exit codes of functions that run at once, each in a process of its own."""
    processes = [multiprocessing.get_context('fork').Process(target=function)
                 for function in functions]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def test_processes_count_together(folder):
    dataset = make_skipping(folder, 0, [k % 5 for k in range(200)], .99)

    def read(start):
        np.random.seed(start)
        with pytest.raises(RuntimeError, match='of 200 clips'):
            dataset[start]

    assert run_processes(*(partial(read, k) for k in range(3))) == [0] * 3
    assert int(dataset._bad.sum()) >= 198


def test_the_shared_count_may_change_at_any_time(folder):
    """torch's nonzero() crashes on memory that another process writes to meanwhile."""
    dataset = make_skipping(folder, 0, ['no'] * 5000)
    end = time.time() + 2

    def write():
        while time.time() < end:
            dataset._bad.zero_()
            dataset._bad[::3] = True
            dataset._bad.fill_(True)

    def read():
        while time.time() < end:
            dataset._log_first_of_file(0, VideoReadError('no.mp4'))

    assert run_processes(write, read) == [0, 0]


def test_another_clip_is_not_one_known_to_be_bad(folder):
    dataset = make_skipping(folder, 1, ['no'] * 49, .98)
    dataset._bad[1:] = True
    assert {dataset._rand_another() for _ in range(20)} == {0}
    assert dataset[20]['clip_id'] == 'good_0'


def test_only_read_errors_are_caught(folder):

    class Broken(BaseTransform):

        def transform(self, results):
            raise RuntimeError('a bug in a transform')

    dataset = make_skipping(folder, 1, [], pipeline=[Broken()])
    with pytest.raises(RuntimeError, match='a bug in a transform'):
        dataset[0]
    assert not dataset._bad.any()


def test_subsets_count_their_own(folder):
    dataset = make_skipping(folder, 9, ['no'], .4)
    dataset[9]
    subset = dataset.get_subset([0, 9])
    assert subset._bad.tolist() == [False, False]
    with pytest.raises(RuntimeError, match='1 of 2 clips'):
        subset[1]
    assert int(dataset._bad.sum()) == 1
    dataset.get_subset_([0, 1, 9])
    assert dataset._bad.tolist() == [False] * 3 and dataset._bad.is_shared()
