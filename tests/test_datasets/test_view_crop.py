"""Test-time views by tta=5x3+flip: crops, clips, and the scores' mean."""
import numpy as np
import pytest
import torch
from mmaction.datasets.transforms import CenterCrop, ThreeCrop
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.runner import Runner
from numbered_video import write_video

from gaie_mmaction.datasets.transforms import ViewCrop
from gaie_mmaction.datasets.views import with_views


def make_frames(height, width, number=2):
    frames = np.random.default_rng(0).integers(0, 256, (number, height, width, 3), np.uint8)
    return dict(imgs=list(frames), img_shape=(height, width))


@pytest.mark.parametrize('size', [(20, 34), (34, 20), (20, 20)])
def test_as_upstreams_crops_where_these_take_the_frames(size):
    found = ViewCrop(crop_size=20)(make_frames(*size))['imgs']
    first, last, middle = np.split(np.stack(ThreeCrop(20)(make_frames(*size))['imgs']), 3)
    np.testing.assert_array_equal(found, np.concatenate([first, middle, last]))


@pytest.mark.parametrize('size', [(20, 34), (34, 20), (23, 35)])
def test_one_crop_is_the_centre_crop(size):
    np.testing.assert_array_equal(ViewCrop(crop_size=20, num_crops=1)(make_frames(*size))['imgs'],
                                  CenterCrop(20)(make_frames(*size))['imgs'])


def test_smaller_crops_and_mirror_images():
    frames = np.stack(make_frames(16, 20)['imgs'])
    results = ViewCrop(crop_size=12, num_crops=5, flip=True)(make_frames(16, 20))
    views = np.stack(results['imgs']).reshape(2, 5, 2, 12, 12, 3)  # mirrored, crop, frame
    for crop in range(5):
        np.testing.assert_array_equal(views[0, crop], frames[:, 2:14, 2 * crop:2 * crop + 12])
    np.testing.assert_array_equal(views[1], views[0, :, :, :, ::-1])
    assert results['img_shape'] == (12, 12)


def test_what_cannot_be_cropped():
    with pytest.raises(ValueError, match='frames of 16 x 20 are smaller than crop_size=18'):
        ViewCrop(crop_size=18)(make_frames(16, 20))
    results = ViewCrop(crop_size=12)(dict(make_frames(16, 20), keypoint=np.zeros((1, 2, 22, 2))))
    assert set(results) == {'imgs', 'img_shape'}
    with pytest.raises(ValueError, match='crop_size and num_crops must be at least 1'):
        ViewCrop(crop_size=12, num_crops=0)


@pytest.fixture
def data(tmp_path):
    write_video(tmp_path / '0054.mp4', 60)
    (tmp_path / 'test.csv').write_text('clip_id,video,start_frame,end_frame,label\n'
                                       '0054_0,0054.mp4,0,50,-1\n')
    return tmp_path


@pytest.mark.parametrize('views, number, batch_size', [
    ('2x3+flip', 12, 1), ('2x1', 2, 8)])
def test_option_of_a_test(root, data, views, number, batch_size):
    """As mim test takes it: --cfg-options tta=5x3+flip."""
    cfg = Config.fromfile(root / 'configs/demo/gaie_demo.py')
    cfg.merge_from_dict(dict(
        tta=views, work_dir=str(data / 'work'), test_dataloader=dict(
            num_workers=0, dataset=dict(data_root=str(data), data_prefix=dict(video='')))))
    runner = Runner.from_cfg(cfg)
    loader = runner.build_test_loop(cfg.test_cfg).dataloader
    assert loader.batch_size == batch_size
    sample = loader.dataset[0]
    assert sample['inputs'].shape == (number, 3, 16, 96, 96)
    model = runner.model.eval()
    with torch.no_grad():
        scores, *single = [
            model.test_step(dict(
                inputs=[inputs], data_samples=[sample['data_samples'].clone()]))[0].pred_score
            for inputs in (sample['inputs'], *sample['inputs'].split(1))]
    torch.testing.assert_close(scores, torch.stack(single).mean(dim=0))


def test_wrong_views(root):
    cfg = Config.fromfile(root / 'configs/gaie_vitb_imigue.py')
    for views in ('5', '5x', '0x3', '5x3+mirror', 'x'):
        with pytest.raises(ValueError, match='tta must be CLIPSxCROPS'):
            with_views(cfg.test_dataloader, views)
    pose = Config.fromfile(root / 'configs/stgcn_imigue_joint.py').test_dataloader
    with pytest.raises(ValueError, match='tta=1x3 needs one step .* and one CenterCrop'):
        with_views(pose, '1x3')
    both = Config.fromfile(root / 'configs/multimodal/m2hen_imigue.py').test_dataloader
    with pytest.raises(ValueError, match='SkeletonStream, FormatGCNInput, .*: set tta=2x1'):
        with_views(both, '2x3')
    for name in ('streams/gaie_vitb_flow_imigue', 'streams/videoswin_base_flow_imigue'):
        flow = Config.fromfile(root / f'configs/{name}.py').test_dataloader
        with pytest.raises(ValueError, match='mirrored flow also has other values: set tta=2x1'):
            with_views(flow, '2x1+flip')
        assert with_views(flow, '2x3').batch_size == max(1, flow.batch_size // 6)
    person = Config.fromfile(root / 'configs/gaie_vitb_imigue_person.py').test_dataloader
    assert with_views(person, '2x3').dataset.pipeline[6]['type'] == 'ViewCrop'
    assert with_views(pose, '4x1').dataset.pipeline[2].num_clips == 4
    assert pose.dataset.pipeline[2].num_clips == 10  # a copy was changed


@pytest.mark.parametrize('name', [
    'gaie_vitb_imigue', 'tsm_r50_imigue', 'videoswin_base_imigue',
    'streams/videoswin_base_taylor_imigue'])
def test_configs_of_frames(root, data, name):
    cfg = Config.fromfile(root / f'configs/{name}.py')
    loader = with_views(cfg.test_dataloader, '4x3')
    loader.dataset.update(data_root=str(data), data_prefix=dict(video=''))
    shape = DATASETS.build(loader.dataset)[0]['inputs'].shape
    clip_len = next(step.clip_len for step in loader.dataset.pipeline if 'clip_len' in step)
    assert shape == ((12 * clip_len, 3, 224, 224) if 'tsm' in name
                     else (12, 3, clip_len, 224, 224))
