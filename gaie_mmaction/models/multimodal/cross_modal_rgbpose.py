"""RGBPoseConv3D with channel attention between its two branches.

Shapes: B batch, T frames of the RGB branch, k T heatmaps of the pose branch, D shared channels.
"""
import torch
import torch.nn.functional as F
from mmaction.models.backbones import RGBPoseConv3D
from mmaction.registry import MODELS
from torch import Tensor, nn


class ChannelCrossAttention(nn.Module):
    """Scale the channels of each branch by attention to the channels of the other.

    From "Prototype Learning for Micro-gesture Classification" (arXiv 2408.03097): 3D convolutions
    bring both branches to one dimension, in which their channels attend to each other. Ours: space
    is averaged; query, key and value are 1x1 convolutions; the ``(D, D)`` map is
    ``softmax(q k^T / sqrt(T))``; the result is projected back and scales the branch,
    ``x + x * result``. D is ``pose_channels``, k is ``speed_ratio``.
    """

    def __init__(self, rgb_channels: int, pose_channels: int, speed_ratio: int) -> None:
        super().__init__()
        self.speed_ratio = speed_ratio
        hidden = pose_channels
        # the stride brings the pose branch to the T steps of the RGB branch
        self.to_shared = nn.ModuleDict(dict(
            rgb=nn.Conv3d(rgb_channels, hidden, 1),
            pose=nn.Conv3d(pose_channels, hidden, (speed_ratio, 1, 1), (speed_ratio, 1, 1))))
        self.query, self.key, self.value = (
            nn.ModuleDict({name: nn.Conv1d(hidden, hidden, 1) for name in ('rgb', 'pose')})
            for _ in range(3))
        self.back = nn.ModuleDict(dict(
            rgb=nn.Conv1d(hidden, rgb_channels, 1), pose=nn.Conv1d(hidden, pose_channels, 1)))
        # zeros: the whole starts as RGBPoseConv3D; upstream's init_weights resets only Conv3d
        for parameter in self.back.parameters():
            nn.init.zeros_(parameter)

    def forward(self, rgb: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Scale ``(B, C, T, H, W)`` RGB and ``(B, C', k T, H', W')`` pose features."""
        shared = {}
        for name, x in (('rgb', rgb), ('pose', pose)):
            # kernels of 1 in space commute with the mean over space, which is cheaper first
            x = x.mean(dim=(3, 4), keepdim=True)
            shared[name] = self.to_shared[name](x).flatten(2)  # (B, D, T)
        scale = {}
        for name, other in (('rgb', 'pose'), ('pose', 'rgb')):
            query = self.query[name](shared[name])
            key, value = self.key[other](shared[other]), self.value[other](shared[other])
            attended = F.scaled_dot_product_attention(query, key, value)  # (B, D, T)
            scale[name] = self.back[name](attended)[..., None, None]  # (B, C, T, 1, 1)
        scale['pose'] = scale['pose'].repeat_interleave(self.speed_ratio, dim=2)
        return rgb + rgb * scale['rgb'], pose + pose * scale['pose']


@MODELS.register_module()
class CrossModalRGBPoseConv3D(RGBPoseConv3D):
    """RGBPoseConv3D with a :class:`ChannelCrossAttention` at each lateral connection.

    Args:
        rgb_pathway, pose_pathway (dict): Same as ``RGBPoseConv3D``, with the lateral connections
            of its defaults.
        speed_ratio, channel_ratio (int): Heatmaps per RGB frame, and channels of the RGB branch
            over those of the pose branch. Default to 4.
        pretrained (str, optional): Checkpoint of the whole backbone. Defaults to None.
    """

    def __init__(self, rgb_pathway: dict, pose_pathway: dict, speed_ratio: int = 4,
                 channel_ratio: int = 4, pretrained: str | None = None) -> None:
        # copies: upstream adds keys to the pathways that it gets
        super().__init__(pretrained, speed_ratio, channel_ratio,
                         rgb_pathway=dict(rgb_pathway), pose_pathway=dict(pose_pathway))
        for path, layer in ((self.rgb_path, 2), (self.pose_path, 1), (self.rgb_path, 3),
                            (self.pose_path, 2)):
            if not hasattr(path, f'layer{layer}_lateral'):
                raise ValueError('rgb_pathway needs lateral=True and lateral_activate=(0, 0, 1, '
                                 '1), pose_pathway lateral=True and lateral_activate=(0, 1, 1)')
        rgb, pose = (path.base_channels * path.block.expansion
                     for path in (self.rgb_path, self.pose_path))
        # the pose branch has no first stage: its layer n runs beside layer n + 1 of the RGB branch
        self.attention = nn.ModuleList(
            ChannelCrossAttention(rgb * 2**layer, pose * 2**(layer - 1), speed_ratio)
            for layer in (1, 2))

    def forward(self, imgs: Tensor, heatmap_imgs: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(B, C, T', H', W')`` of both branches.

        Of normalized frames ``(B, 3, T, H, W)`` and heatmaps ``(B, V, k T, H / 4, W / 4)`` of V
        joints; another number of heatmaps is a ``ValueError``.
        """
        if heatmap_imgs.shape[2] != self.speed_ratio * imgs.shape[2]:
            raise ValueError(f'there are {heatmap_imgs.shape[2]} heatmaps for {imgs.shape[2]} '
                             f'frames, but speed_ratio is {self.speed_ratio}: set clip_len of '
                             'MMSharedSampleFrames')
        rgb = self.rgb_path.layer1(self.rgb_path.maxpool(self.rgb_path.conv1(imgs)))
        pose = self.pose_path.maxpool(self.pose_path.conv1(heatmap_imgs))
        for layer, attention in enumerate(self.attention, start=1):
            rgb = getattr(self.rgb_path, f'layer{layer + 1}')(rgb)
            pose = getattr(self.pose_path, f'layer{layer}')(pose)
            # lateral connections read the features before the attention, as in the public code
            # of the paper's successor (PCAN, arXiv 2412.14719)
            to_rgb = getattr(self.rgb_path, f'layer{layer + 1}_lateral')(pose)
            to_pose = getattr(self.pose_path, f'layer{layer}_lateral')(rgb)
            rgb, pose = attention(rgb, pose)
            rgb, pose = torch.cat((rgb, to_rgb), dim=1), torch.cat((pose, to_pose), dim=1)
        return self.rgb_path.layer4(rgb), self.pose_path.layer3(pose)
