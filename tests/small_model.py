"""A small GAIE recognizer of a random checkpoint, and its config on disk."""
import torch
from mmengine.config import Config

from gaie_mmaction.apis import build_recognizer

CONFIG = """
_base_ = '{root}/configs/demo/gaie_demo.py'
model = dict(
    backbone=dict(embed_dims=24, num_heads=2, depth=3, merge_layers=(0, 1)),
    cls_head=dict(in_channels=24))
"""


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
