"""Five clips times three crops, by --cfg-options alone."""
import argparse

import decord
import mmcv
import numpy as np
import pytest
import torch
from evaluating import write_segments
from mmaction.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.config import Config, DictAction
from numbered_video import write_video

OPTIONS = ['test_dataloader.dataset.pipeline.1.num_clips=5',
           'test_dataloader.dataset.pipeline.3.scale=(-1,224)',
           'test_dataloader.dataset.pipeline.3.keep_ratio=True',
           'test_dataloader.dataset.pipeline.4.type=ThreeCrop']
SAVING = ['test_dataloader.batch_size=1', 'model.test_cfg.max_testing_views=4']
START, END = 3, 118


def load(root, options):
    """The main config, changed as `mim test` changes it, with a narrow and shallow model."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    cfg = Config.fromfile(root / 'configs/gaie_vitb_imigue.py')
    cfg.merge_from_dict(parser.parse_args(['--cfg-options', *options]).cfg_options)
    cfg.model.backbone.update(
        embed_dims=24, num_heads=2, depth=2, merge_layers=(0, ), pretrained=None)
    cfg.model.cls_head.in_channels = 24
    return cfg


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('views')
    write_video(folder / '0054.mp4', 125)
    write_segments(folder / 'test.csv', f'0054_0,0054.mp4,{START},{END},-1')
    return folder


@pytest.fixture(scope='module')
def sample(folder):
    from launching import ROOT
    cfg = load(ROOT, OPTIONS)
    cfg.test_dataloader.dataset.update(data_root=str(folder), data_prefix=dict(video=''))
    return DATASETS.build(cfg.test_dataloader.dataset)[0]


def test_views(folder, sample):
    """Each view against frames that are chosen, resized and cropped here."""
    assert sample['inputs'].shape == (15, 3, 16, 224, 224)
    reader = decord.VideoReader(str(folder / '0054.mp4'))
    segment = (END - START) / 16
    views = iter(sample['inputs'].numpy())
    for x in (0, 74, 37):  # left, right, middle of 298 columns
        for k in range(5):
            frames = [START + round(segment * i) + int(segment / 6 * (k + 1)) for i in range(16)]
            # a clip reaches from the first to the last sixteenth
            assert START <= frames[0] < START + segment and END - segment < frames[-1] <= END
            images = [mmcv.imresize(reader[frame].asnumpy(), (299, 224)) for frame in frames]
            expected = np.stack(images)[:, :, x:x + 224].transpose(3, 0, 1, 2)
            np.testing.assert_array_equal(next(views), expected)


def test_scores_are_the_mean_of_the_views(root, sample):
    model = MODELS.build(load(root, OPTIONS + SAVING).model).eval()
    torch.nn.init.normal_(model.cls_head.fc_cls.weight, std=1.)  # so that the views' scores differ
    data = model.data_preprocessor(dict(inputs=[sample['inputs']],
                                        data_samples=[sample['data_samples']]))
    sizes = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    with torch.no_grad():
        few = model(**data, mode='predict')[0].pred_score
        model.test_cfg = None  # without SAVING
        many = model(**data, mode='predict')[0].pred_score
        assert sizes == [4, 4, 4, 3, 15]
        single = [model.cls_head(model.backbone(view[None])).softmax(1)[0]
                  for view in data['inputs'][0]]
    assert torch.stack(single).std(dim=0).max() > 1e-3
    for scores in (few, many):
        torch.testing.assert_close(scores, torch.stack(single).mean(dim=0))


def test_clips_of_a_short_gesture_coincide():
    """UniformSample shifts each clip within the sixteenths: no more shifts than frames in one."""
    transform = TRANSFORMS.build(
        dict(type='UniformSample', clip_len=16, num_clips=5, test_mode=True))
    for num_frames, different in ((16, 1), (32, 2), (48, 3), (96, 5), (300, 5)):
        results = transform(dict(total_frames=num_frames, start_index=0))
        clips = results['frame_inds'].reshape(5, 16)
        assert len(np.unique(clips, axis=0)) == different
