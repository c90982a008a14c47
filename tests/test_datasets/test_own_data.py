"""What people meet with data of their own: other readers, portrait videos, other settings."""

import numpy as np
import pytest
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.runner import Runner
from numbered_video import read_number, write_video
from running import run_tool
from test_configs import CONFIGS

from gaie_mmaction.datasets.check import ClipSet, check_clips, find_clip_sets

CHECK = 'data/check_clips.py'
SEGMENTS = 'clip_id,video,start_frame,end_frame,label\nc,a.mp4,100,160,3\n'
SAMPLE = dict(type='UniformSample', clip_len=8, test_mode=True)


def make_dataset(folder, ann_file, *steps, **options):
    pipeline = [step if isinstance(step, dict) else dict(type=step) for step in steps]
    return DATASETS.build(dict(type='IMiGUEDataset', data_root=str(folder), ann_file=ann_file,
                               data_prefix=dict(video=''), pipeline=pipeline, **options))


@pytest.fixture
def folder(tmp_path):
    """A video of 175 frames, as a range and as a clip of its own."""
    write_video(tmp_path / 'a.mp4', 175)
    (tmp_path / 'ranges.csv').write_text(SEGMENTS)
    (tmp_path / 'list.txt').write_text('a.mp4 3\n')
    return tmp_path


@pytest.mark.parametrize('reader', ['Decord', 'OpenCV', 'PyAV'])
@pytest.mark.parametrize('sample', [SAMPLE, dict(type='SampleFrames', clip_len=8, test_mode=True)])
def test_readers_that_ignore_ranges_are_refused(folder, reader, sample):
    with pytest.raises(ValueError, match=f'ranges.csv holds frame ranges, and {reader}Init, '
                       f'{reader}Decode would read the whole videos.*use ClipInit and ClipDecode'):
        make_dataset(folder, 'ranges.csv', f'{reader}Init', sample, f'{reader}Decode')


@pytest.mark.parametrize('readers', ['Clip Decord', 'Decord Clip', 'PyAV Clip'])
def test_mixed_readers_are_refused(folder, readers):
    opener, decoder = readers.split()
    with pytest.raises(ValueError, match='do not go together: use ClipInit with ClipDecode'):
        make_dataset(folder, 'list.txt', f'{opener}Init', SAMPLE, f'{decoder}Decode')


@pytest.mark.parametrize('reader', ['Clip', 'Decord', 'PyAV'])
def test_other_readers_of_cut_clips(folder, reader):
    if reader == 'Decord':
        pytest.importorskip('decord', reason='decord has no wheel for this system')
    dataset = make_dataset(folder, 'list.txt', f'{reader}Init', SAMPLE, f'{reader}Decode',
                           dict(type='FormatShape', input_format='NCTHW'),
                           dict(type='PackActionInputs', meta_keys=('clip_id', )))
    item = dataset[0]
    numbers = [read_number(frame) for frame in item['inputs'][0].permute(1, 2, 3, 0).numpy()]
    part = 174 / 8  # as UniformSample rounds it, from the first frame of the clip
    assert numbers == [round(part * k) + int(part / 2) for k in range(8)]
    assert (item['data_samples'].gt_label.item(), item['data_samples'].clip_id) == (3, 'a')


def test_a_caution_goes_into_the_checkpoints_of_its_own_data_alone(folder):
    def caution(**options):
        return make_dataset(folder, 'list.txt', **options).metainfo.get('caution')

    assert caution() is None
    (folder / 'caution.txt').write_text('drawn people\n')
    assert caution() == ['drawn people'] and caution(test_mode=True) is None
    assert caution(metainfo=dict(caution=['mine'])) == ['mine']


def spatial_steps(pipeline):
    """What comes between the decoding and the model's input."""
    types = [step.type for step in pipeline]
    start = max(k for k, name in enumerate(types) if name.endswith('Decode')) + 1
    steps = pipeline[start:-1]
    if types[-1] == 'RepeatAugment':
        steps = [*pipeline[start:-1], *pipeline[-1].transforms[:-1]]
    return [step for step in steps if step.type != 'FormatShape']


@pytest.mark.parametrize('path', [
    path for path in CONFIGS
    if '_imigue.py' in path and not ('multi' in path or 'detector' in path)
    or path in ('configs/demo/vivit_demo.py', 'configs/pretraining/videomae_demo.py',
                'configs/gaie_vitb_imigue_extras.py')])
@pytest.mark.parametrize('shape', [(1280, 720), (720, 1280), (96, 96)])
def test_portrait_and_landscape(root, path, shape):
    """Every frame becomes the model's square, and shows the middle of the video."""
    cfg = Config.fromfile(root / path)
    size = cfg.model.backbone.get('img_size', 224)
    ramp = np.add.outer(np.arange(shape[0]), 2 * np.arange(shape[1])) / sum(shape) * 80
    frame = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)
    for part in ('train', 'test'):
        if cfg[f'{part}_dataloader'] is None:
            continue  # pretraining has no test
        dataset = cfg[f'{part}_dataloader'].dataset
        steps = spatial_steps(dataset.get('dataset', dataset).pipeline)
        results = Compose([step for step in steps if step.type != 'SubtractClipMean'])(
            dict(imgs=[frame.copy()], img_shape=shape, modality='RGB', clip_len=1))
        image = results['imgs'][0]
        assert image.shape == (size, size, 3)
        if part == 'test':
            middle = frame[shape[0] // 2, shape[1] // 2, 0]
            assert image[size // 2, size // 2, 0] == pytest.approx(middle, abs=2)


def test_no_worker_processes():
    """torch refuses persistent_workers without workers; a config has them persistent."""
    loader = Runner.build_dataloader(dict(
        dataset=[1, 2], batch_size=1, num_workers=0, persistent_workers=True,
        sampler=dict(type='DefaultSampler', shuffle=False)))
    assert list(loader) == [[1], [2]] and not loader.persistent_workers


@pytest.mark.parametrize('path', CONFIGS)
def test_learning_rate_is_for_the_stated_batch(root, path):
    cfg = Config.fromfile(root / path)
    gpus = 2 if cfg.train_dataloader.batch_size == 2 else 1  # the paper's 2 clips on each of 2 GPUs
    assert cfg.auto_scale_lr.base_batch_size == gpus * cfg.train_dataloader.batch_size


def test_check_of_a_list(folder):
    whole = (folder / 'a.mp4').read_bytes()
    (folder / 'cut.mp4').write_bytes(whole[:len(whole) // 2])
    (folder / 'damaged.mp4').write_bytes(whole[:20000] + bytes(4096) + whole[24096:])
    write_video(folder / 'short.mp4', 5)
    (folder / 'own.csv').write_text(SEGMENTS.splitlines()[0] + '''
whole,a.mp4,0,174,0
range,a.mp4,10,40,1
again,a.mp4,10,40,1
other,a.mp4,10,40,0
beyond,a.mp4,150,175,0
seven,a.mp4,3,30,7
cut,cut.mp4,0,9,0
start,damaged.mp4,0,0,0
damaged,damaged.mp4,0,174,0
absent,none.mp4,0,9,0
short,short.mp4,0,4,-1
''')
    (folder / 'own.csv').write_text((folder / 'own.csv').read_text().replace(',', ' , '))
    counts, problems = check_clips(ClipSet(str(folder / 'own.csv'), str(folder), 2), workers=2)
    assert counts == {0: 7, 1: 2, 7: 1, -1: 1}
    assert [(p.clip_id, p.unusable) for p in problems] == [
        ('again', False), ('other', True), ('beyond', True), ('seven', True), ('cut', True),
        ('start', False), ('damaged', True), ('absent', True), ('short', False)]
    for problem, said in zip(problems, (
            'the same frames as range', 'labelled 0 and 1', r'150..175 are beyond the 175',
            'label 7 is outside 0..1', 'is incomplete', 'has 1 frames', 'decoding frames',
            'No such file', 'has 5 frames: some will be repeated to make 16')):
        assert said in problem.reason
    status, output = run_tool(CHECK, folder / 'own.csv', '--num-classes', 2, '--workers', 1)
    assert status == 1 and 'own.csv: 11 clips, 6 unusable, 1 unlabelled' in output
    assert 'clips by class: 0: 7, 1: 2\n' in output
    assert all(problem.reason in output for problem in problems)


def test_check_of_a_config(root, folder):
    for part in ('trainval', 'val', 'test'):
        (folder / f'{part}.csv').write_text(SEGMENTS)
    (folder / 'videos').mkdir()
    (folder / 'a.mp4').rename(folder / 'videos/a.mp4')
    config = root / 'configs/gaie_vitb_imigue_extras.py'
    status, output = run_tool(CHECK, config, '--data-root', folder, '--workers', 1)
    assert status == 0 and output.count('1 clips, 0 unusable') == 3
    (folder / 'trainval.csv').write_text(SEGMENTS.replace(',3', ',-1'))
    status, output = run_tool(CHECK, config, '--data-root', folder, '--workers', 1)
    assert status == 1 and 'unusable: clip c: has no label, but is to be trained with' in output
    (folder / 'val.csv').unlink()
    status, output = run_tool(CHECK, config, '--data-root', folder, '--workers', 1)
    assert status == 1 and 'val.csv does not exist' in output
    with pytest.raises(ValueError, match='IMiGUEPoseDataset of train_dataloader reads no videos'):
        find_clip_sets(Config.fromfile(root / 'configs/stgcn_imigue_joint.py'))
    assert find_clip_sets(Config.fromfile(root / 'configs/pretraining/videomae_demo.py')) == [
        ClipSet('data/demo/windows.csv', 'data/demo/videos', 32, 16)]
