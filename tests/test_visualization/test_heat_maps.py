"""Grad-CAM through MMAction2's GradCAM, against one made by hand."""
import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample
from small_model import make_clips, small_recognizer

from gaie_mmaction.ops import unmerge_tokens
from gaie_mmaction.visualization import TokenMap, draw_heat_maps, grad_cam, record_tokens
from gaie_mmaction.visualization.pictures import figure_to_image

NECKS = [dict(type='GAIENeck'), dict(type='GAIENeck', prop_attn=True),
         dict(type='EViTNeck', token_keep_ratio=.7), dict(type='ToMeNeck', token_keep_ratio=.7),
         dict(type='RandomDropNeck', token_keep_ratio=.7), None]


def make(kind, neck):
    torch.manual_seed(0)
    model = small_recognizer(neck, kind, num_classes=5)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.3, generator=generator)
    return model


def packed():
    inputs = torch.randint(0, 256, (1, 3, 8, 32, 32), generator=torch.Generator().manual_seed(2))
    return dict(inputs=inputs.to(torch.uint8), data_samples=ActionDataSample())


@pytest.mark.parametrize('neck', NECKS, ids=lambda neck: neck['type'] if neck else 'none')
def test_the_map_is_a_detour(neck):
    """The same state_dict and, from the same tokens, the same features."""
    plain, mapped = make('GAIEVisionTransformer', neck), make('FeatMapVisionTransformer', neck)
    assert list(plain.state_dict()) == list(mapped.state_dict())
    clips, seen, outputs = make_clips(), [], []
    mapped.backbone.feat_map.register_forward_hook(lambda _, args, out: seen.append(out))
    for model in (plain, mapped):
        torch.manual_seed(5)  # for the random reducer
        with torch.no_grad():
            outputs.append(model.backbone(clips))
    torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)
    assert seen[0].shape == (2, 24, 4, 4, 4)


def test_grad_cam_by_hand():
    model = make('FeatMapVisionTransformer', dict(type='GAIENeck'))
    clip = packed()
    found, backbone = grad_cam(model, clip, (4, 4, 4)), model.backbone
    state = backbone.forward_tokens((clip['inputs'].float() - 128) / 60)
    spread = unmerge_tokens(state.x, state.source).detach().requires_grad_()  # (1, N0, C)
    # the plain mean over kept tokens, each of them the mean over its places
    kept = torch.stack([spread[0][state.source[0] == k].mean(0) for k in range(state.x.shape[1])])
    model.cls_head(backbone.fc_norm(kept.mean(0, keepdim=True))).max().backward()
    weight = spread.grad.unflatten(1, (4, 16)).mean(dim=2, keepdim=True)
    cam = (weight * spread.unflatten(1, (4, 16))).sum(-1).relu().reshape(1, 1, 4, 4, 4)
    cam = torch.nn.functional.interpolate(cam, size=(8, 32, 32), mode='trilinear')
    cam = (cam - cam.min()) / (cam.max() - cam.min())
    cam = cam.reshape(4, 2, 4, 8, 4, 8).mean(dim=(1, 3, 5)).detach().numpy()
    assert found == pytest.approx(cam, abs=1 / 255)
    assert found.max() > .5 > .2 > found.min()


def test_picture_and_rank_correlation():
    model, grid = make('GAIEVisionTransformer', dict(type='GAIENeck')), (4, 4, 4)
    with torch.no_grad(), record_tokens(model) as history:
        model.backbone(torch.randn(1, 3, 8, 32, 32))
    tokens = TokenMap.from_history(history, grid)
    frames = np.zeros((4, 32, 32, 3), np.uint8)
    figure, ranks = draw_heat_maps(frames, tokens, tokens.importance[0]**3, 'a$1_$2^.mp4')
    figure_to_image(figure)  # matplotlib takes what stands between dollars for a formula
    assert ranks[0] == pytest.approx(1) and -1 <= ranks[1] < .999
    assert len(figure.axes) == 4 * 4  # frame, two merges, Grad-CAM
    brightest = np.unravel_index(tokens.importance[0].argmax(), grid)
    image = figure.axes[4 + brightest[0]].images[0].get_array().sum(-1)
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert (row // 8, column // 8) == brightest[1:]
