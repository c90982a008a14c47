"""The configs of frames and skeletons: forward and backward of drawn clips, and mim."""
import json
from pathlib import Path

import mmaction
import numpy as np
import pytest
from drawn_skeleton import make_release
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import build_optim_wrapper
from numbered_video import HEIGHT, WIDTH
from one_epoch import forward_and_backward, prepare_release, train_and_test
from skeleton_file import write_skeletons
from small_model import narrow_branches, write_random_text

from gaie_mmaction.datasets import SKELETON_LAYOUTS

MULTIMODAL = [f'configs/{folder}/{name}_{kind}.py' for folder, kind in (
    ('multimodal', 'imigue'), ('demo', 'demo')) for name in ('protogesture', 'vclip', 'm2hen')]
NEEDS_TEXT = [path for path in MULTIMODAL if 'vclip' in path]


def load_reduced(root, path, folder):
    """The config with a narrow network and no weights to fetch."""
    cfg = Config.fromfile(root / path)
    name = Path(path).stem.split('_')[0]
    narrow_branches(cfg.model, name, write_random_text(folder) if name == 'vclip' else None)
    return cfg


def load_batch(cfg, folder, part):
    """Two drawn clips through the config's own pipeline, at 64 x 64."""
    dataset = cfg[f'{part}_dataloader'].dataset
    dataset.update(data_root=str(folder), ann_file='train.csv', data_prefix=dict(video=''))
    steps = {step.type: step for step in dataset.pipeline}  # of Resize the last one
    dataset.pipeline[5].scale = (72, 72)
    if part == 'train':
        steps['Resize'].scale = (64, 64)
    else:
        steps['CenterCrop'].crop_size = 64
        steps['MMSharedSampleFrames'].num_clips = 2
    dataset = DATASETS.build(dataset)
    return pseudo_collate([dataset[k] for k in range(2)])


@pytest.mark.parametrize('path', MULTIMODAL)
def test_both_modalities_are_one_sampling(root, path):
    cfg = Config.fromfile(root / path)
    pipelines = [cfg[f'{part}_dataloader'].dataset.pipeline for part in ('train', 'val', 'test')]
    samples = [next(step for step in pipeline if step.type == 'MMSharedSampleFrames')
               for pipeline in pipelines]
    assert all(sample.clip_len == samples[0].clip_len for sample in samples)
    assert not samples[0].get('test_mode') and samples[1].test_mode and samples[2].test_mode
    if 'protogesture' in path:
        assert samples[0].clip_len == dict(RGB=8, Pose=32)
        assert cfg.model.backbone.pose_pathway.in_channels == 22
    elif 'm2hen' in path:
        assert samples[0].clip_len.RGB == cfg.model.backbone.num_frames
        assert cfg.model.graph_backbone.graph_cfg.layout == SKELETON_LAYOUTS['imigue'].graph
    assert samples[1].get('num_clips', 1) == 1


def test_basis_is_the_zoos_rgbposeconv3d(root):
    ours = Config.fromfile(root / 'configs/multimodal/protogesture_imigue.py')
    zoo = Config.fromfile(Path(mmaction.__file__).parent / '.mim/configs/skeleton/posec3d/'
                          'rgbpose_conv3d/rgbpose_conv3d.py')
    assert ours.model.backbone.pop('type') == 'CrossModalRGBPoseConv3D'
    for cfg in (ours, zoo):
        cfg.model.backbone.pop('type', None)
        cfg.model.backbone.pose_pathway.pop('in_channels')

    def plain(cfg):
        return json.loads(json.dumps(cfg.to_dict()))

    assert plain(ours.model.backbone) == plain(zoo.model.backbone)
    assert plain(ours.model.data_preprocessor) == plain(zoo.model.data_preprocessor)
    assert ours.load_from == zoo.load_from
    assert ours.optim_wrapper.optimizer.pop('lr') / 6 == zoo.optim_wrapper.optimizer.pop('lr') / 48
    assert ours.optim_wrapper == zoo.optim_wrapper
    for part in ('train', 'test'):
        mine, theirs = ({step.type: step for step in cfg[f'{part}_dataloader'].dataset.pipeline}
                        for cfg in (ours, zoo))
        sample, other = mine['MMSharedSampleFrames'], theirs['MMUniformSampleFrames']
        assert (sample.clip_len, sample.get('num_clips', 1)) == (other.clip_len, other.num_clips)
        for key in ('sigma', 'scaling'):
            assert mine['SkeletonHeatmap'][key] == theirs['GeneratePoseTarget'][key]


@pytest.mark.parametrize('path, amp', [
    *((path, False) for path in MULTIMODAL), *((path, True) for path in MULTIMODAL[:3])])
def test_forward_and_backward(root, path, amp, tmp_path):
    cfg = load_reduced(root, path, tmp_path)
    make_release(tmp_path, (20, 50))
    batches = [load_batch(cfg, tmp_path, part) for part in ('train', 'test')]
    forward_and_backward(MODELS.build(cfg.model), *batches, amp=amp)


@pytest.mark.parametrize('path', [path for path in MULTIMODAL if 'proto' not in path])
def test_learning_rates(root, path, tmp_path):
    """GAIE's in the video backbone; in the demos, which start from scratch, one for all."""
    cfg = load_reduced(root, path, tmp_path)
    model = MODELS.build(cfg.model)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    names = {id(p): name for name, p in model.named_parameters()}
    rates = {names[id(group['params'][0])]: group['lr'] for group in optimizer.param_groups}
    assert len(rates) > 1
    for name, rate in rates.items():
        if 'demo' in path:
            assert rate == 1e-3
        else:
            assert rate == pytest.approx(2e-5 if name.startswith('backbone.') else 5e-4), name


def test_crop_to_the_person(root, tmp_path):
    """Frames are of the square around the joints; without any, whole frames in tests alone."""
    clips = make_release(tmp_path, (20, 50))
    clips[1]['keypoint'][:] = 0
    write_skeletons(tmp_path / 'skeleton.pkl', clips, train=['0001_0'], test=['0001_0', '0001_1'])
    (tmp_path / 'test.csv').write_text((tmp_path / 'train.csv').read_text())
    cfg = Config.fromfile(root / 'configs/gaie_vitb_imigue_person.py')
    extent = np.ptp(clips[0]['keypoint'].reshape(-1, 2), axis=0).max()
    for part, expected in (('train', [extent]), ('test', [extent, HEIGHT])):
        dataset = cfg[f'{part}_dataloader'].dataset
        dataset.update(data_root=str(tmp_path), ann_file=f'{part}.csv', data_prefix=dict(video=''))
        dataset = DATASETS.build(dataset)
        assert [dataset[k]['inputs'].shape for k in range(len(dataset))] == [
            (1, 3, 16, 224, 224)] * len(expected)
        crop = Compose(dataset.pipeline.transforms[:5])
        shapes = [crop(dataset.get_data_info(k))['img_shape'] for k in range(len(dataset))]
        assert [shape[0] for shape in shapes] == pytest.approx(expected, rel=.35)
        assert shapes[0][0] == shapes[0][1] and shapes[1:] in ([], [(HEIGHT, WIDTH)])


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('multimodal')
    prepare_release(folder)
    write_random_text(folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize('path', MULTIMODAL)
def test_mim(data, path, tmp_path):
    """One epoch and the leaderboard file of the unlabelled test part."""
    options = ['load_from=None', 'train_dataloader.dataset.ann_file=train.csv']
    if path in NEEDS_TEXT:
        options.append(f'model.cls_head.text_features={data}/text16.npz')
    if 'demo' not in path:  # ten views, and all frames, would take many minutes on a CPU
        options.append('test_dataloader.dataset.pipeline.2.num_clips=1')
        if 'protogesture' not in path:
            options.append('model.backbone.pretrained=None')
            options += [f'{part}_dataloader.dataset.pipeline.2.clip_len.{key}={frames}'
                        for part in ('train', 'val', 'test')
                        for key, frames in (('RGB', 4), ('Pose', 16))]
    train_and_test(path, data, tmp_path, 4, *options)
