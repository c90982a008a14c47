"""Small GAIE recognizers, in memory and as a config with a checkpoint."""
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from gaie_mmaction.apis import build_recognizer

CONFIG = """
_base_ = '{root}/configs/demo/gaie_demo.py'
model = dict(
    backbone=dict(embed_dims=24, num_heads=2, depth=3, merge_layers=(0, 1)),
    cls_head=dict(in_channels=24))
"""


def small_recognizer(neck, kind='GAIEVisionTransformer', num_classes=3):
    """A ``Recognizer3D`` of 8 frames of 32x32, 64 tokens, in evaluation mode."""
    init_default_scope('mmaction')
    return MODELS.build(dict(
        type='Recognizer3D',
        backbone=dict(type=kind, img_size=32, patch_size=8, embed_dims=24, depth=3, num_heads=2,
                      num_frames=8, merge_layers=(0, 1), neck=neck),
        cls_head=dict(type='TimeSformerHead', num_classes=num_classes, in_channels=24,
                      average_clips='prob'),
        data_preprocessor=dict(type='ActionDataPreprocessor', mean=[128.] * 3, std=[60.] * 3,
                               format_shape='NCTHW'))).eval()


def write_small_model(folder, root, **meta):
    """Config and checkpoint, as paths in texts; the checkpoint says ``meta`` of its data set."""
    config, checkpoint = folder / 'small.py', folder / 'small.pth'
    config.write_text(CONFIG.format(root=root))
    torch.manual_seed(0)
    model = build_recognizer(Config.fromfile(config))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.3)
    torch.save(dict(meta=dict(dataset_meta=meta), state_dict=model.state_dict()), checkpoint)
    return str(config), str(checkpoint)
