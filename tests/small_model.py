"""Small networks for tests, and their inputs."""
import numpy as np
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.models import GAIEVisionTransformer
from gaie_mmaction.models.multimodal.text_features import write_text_features

# a video ViT of 4 x 4 x 4 = 64 tokens
SIZE = dict(img_size=32, patch_size=8, embed_dims=24, depth=4, num_heads=2, num_frames=8)

CONFIG = """
_base_ = '{root}/configs/demo/gaie_demo.py'
model = dict(
    backbone=dict(embed_dims=24, num_heads=2, depth=3, merge_layers=(0, 1)),
    cls_head=dict(in_channels=24))
"""

# one clip of one view, of the networks of configs/multimodal
MULTIMODAL_SHAPES = dict(
    m2hen=dict(imgs=(3, 8, 32, 32), keypoint=(1, 16, 22, 3)),
    protogesture=dict(imgs=(3, 2, 32, 32), heatmap_imgs=(22, 8, 8, 8)),
    vclip=dict(imgs=(3, 8, 32, 32), heatmap_imgs=(22, 8, 16, 16)))


def make_vit(neck=None, merge_layers=(1, 2), **changes):
    """A GAIE-ViT with a reducer: a name, which keeps 70 %, or a config."""
    neck = dict(type=neck, token_keep_ratio=.7) if isinstance(neck, str) else neck
    return GAIEVisionTransformer(neck=neck, merge_layers=merge_layers, **dict(SIZE, **changes))


def make_clips(batch=2):
    return torch.randn(batch, 3, 8, 32, 32)


def randomize(model, std=.3):
    """Draw all weights, also those that start at 0 or 1, so that attention is not uniform."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith('neck.'):
                parameter.normal_(std=std)
    return model


def queries_and_keys(attn, x):
    """Queries and keys ``(B, h, N, d)`` of upstream's ``Attention`` of ``(B, N, C)`` tokens."""
    bias = torch.cat([attn.q_bias, torch.zeros_like(attn.q_bias), attn.v_bias])
    qkv = torch.nn.functional.linear(x, attn.qkv.weight, bias)
    return qkv.unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)[:2]


def without_gradient(model):
    """Names of the parameters whose gradient is missing or all zeros."""
    return [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]


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


def narrow_vit(cfg, **changes):
    """Make a config's ViT narrow, for 8 frames of 32x32, without weights to fetch."""
    cfg.model.backbone.update(dict(
        dict(embed_dims=24, num_heads=2, img_size=32, num_frames=8, pretrained=None), **changes))
    if 'cls_head' in cfg.model:
        cfg.model.cls_head.in_channels = 24
    return cfg


def predict_clips(model, dataset):
    """Scores ``(B, K)`` of all clips of a dataset, one after the other."""
    with torch.no_grad():
        return torch.stack([model.test_step(pseudo_collate([dataset[k]]))[0].pred_score
                            for k in range(len(dataset))])


def write_small_model(folder, root, **meta):
    """Write config and checkpoint of a small GAIE recognizer, and return both paths.

    The checkpoint holds ``meta`` as its dataset_meta.
    """
    config, checkpoint = folder / 'small.py', folder / 'small.pth'
    config.write_text(CONFIG.format(root=root))
    torch.manual_seed(0)
    model = build_recognizer(Config.fromfile(config))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.3)
    torch.save(dict(meta=dict(dataset_meta=meta), state_dict=model.state_dict()), checkpoint)
    return str(config), str(checkpoint)


def narrow_multimodal(root, name, text_features=None):
    """The model config of ``configs/multimodal/{name}_imigue.py``, narrow."""
    init_default_scope('mmaction')
    model = Config.fromfile(root / f'configs/multimodal/{name}_imigue.py').model
    narrow_branches(model, name, text_features)
    if name != 'protogesture':
        model.backbone.update(img_size=32, num_frames=8)
    return model


def narrow_branches(model, name, text_features=None):
    """Make both branches of a network narrow, without weights to fetch; sizes of clips stay."""
    if name == 'protogesture':
        model.backbone.rgb_pathway.update(base_channels=8, stage_blocks=(1, 1, 1, 1))
        model.backbone.pose_pathway.update(base_channels=4, stage_blocks=(1, 1, 1))
        model.cls_head.in_channels = (256, 64)
        return
    model.backbone.update(embed_dims=24, num_heads=2, depth=4, merge_layers=(1, 2),
                          pretrained=None)
    if name == 'm2hen':
        model.graph_backbone.update(
            base_channels=8, num_stages=3, inflate_stages=[2], down_stages=[2])
        model.cls_head.in_channels = (24, 16)
    else:
        model.pose_backbone.update(base_channels=4, stage_blocks=(1, 1, 1))
        model.cls_head.update(in_channels=(24, 64), text_features=text_features)


def make_multimodal_batch(model, name, labels, views=1, training=True):
    """Random clips through the model's own preprocessor."""
    inputs = {key: [torch.randint(256, (views, *shape), dtype=torch.uint8) if key == 'imgs'
                    else torch.rand(views, *shape) for _ in labels]
              for key, shape in MULTIMODAL_SHAPES[name].items()}
    samples = [ActionDataSample().set_gt_label(label) for label in labels]
    return model.data_preprocessor(dict(inputs=inputs, data_samples=samples), training)


def write_random_text(folder, channels=16):
    """Write random text features of iMiGUE's classes; returns their path."""
    path = str(folder / f'text{channels}.npz')
    features = np.random.default_rng(0).normal(size=(32, channels))
    write_text_features(path, IMIGUE_CLASSES, features)
    return path
