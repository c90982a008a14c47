"""MMAction2's RGBPoseConv3D with attention between the channels of its two branches."""

import torch
from mmaction.models.backbones import ResNet3d, RGBPoseConv3D
from mmaction.registry import MODELS
from torch import Tensor, nn


class ChannelCrossAttention(nn.Module):
    """Let the channels of either branch be weighted by those of the other.

    "Prototype Learning for Micro-gesture Classification", arXiv 2408.03097, cross-modal fusion
    module: features of both branches are brought to the same dimension by 3D convolutions, and
    attend to each other across channels. Chosen where that leaves it open: space is averaged;
    queries, keys and values are 1x1 convolutions; the D x D map is ``softmax(q k^T / sqrt(T))``
    over the other's channels; its outcome, brought back to the branch's channels, scales the
    branch's features, ``x + x * outcome``. The last convolution starts at zero, so that the whole
    starts as RGBPoseConv3D.

    Letters: B batch, T frames of the RGB branch, ``k T`` those of the pose branch, D the
    shared channels, as many as the pose branch has.

    Args:
        rgb_channels (int): Of the RGB branch.
        pose_channels (int): Of the pose branch.
        speed_ratio (int): k, frames of the pose branch a frame of the RGB branch.
    """

    def __init__(self, rgb_channels: int, pose_channels: int, speed_ratio: int) -> None:
        super().__init__()
        self.speed_ratio = speed_ratio
        hidden = pose_channels
        self.to_shared = nn.ModuleDict(dict(
            rgb=nn.Conv3d(rgb_channels, hidden, 1),
            pose=nn.Conv3d(pose_channels, hidden, (speed_ratio, 1, 1), (speed_ratio, 1, 1))))
        self.query, self.key, self.value = (
            nn.ModuleDict({name: nn.Conv1d(hidden, hidden, 1) for name in ('rgb', 'pose')})
            for _ in range(3))
        self.back = nn.ModuleDict(dict(
            rgb=nn.Conv1d(hidden, rgb_channels, 1), pose=nn.Conv1d(hidden, pose_channels, 1)))
        self.init_weights()

    def init_weights(self) -> None:
        """Start as the identity."""
        for parameter in self.back.parameters():
            nn.init.zeros_(parameter)

    def forward(self, rgb: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Weight both.

        Args:
            rgb (Tensor): ``(B, rgb_channels, T, H, W)``.
            pose (Tensor): ``(B, pose_channels, k T, H', W')``.

        Returns:
            tuple[Tensor]: Both, of the same shapes.
        """
        shared = {}
        for name, x in (('rgb', rgb), ('pose', pose)):
            x = x.mean(dim=(3, 4), keepdim=True)  # a 1x1 convolution may as well come after it
            shared[name] = self.to_shared[name](x).flatten(2)  # (B, D, T)
        outcome = {}
        for name, other in (('rgb', 'pose'), ('pose', 'rgb')):
            query = self.query[name](shared[name])
            key, value = self.key[other](shared[other]), self.value[other](shared[other])
            weight = (query @ key.transpose(1, 2) / query.shape[2]**.5).softmax(dim=-1)  # (B, D, D)
            outcome[name] = self.back[name](weight @ value)[..., None, None]  # (B, C, T, 1, 1)
        outcome['pose'] = outcome['pose'].repeat_interleave(self.speed_ratio, dim=2)
        return rgb + rgb * outcome['rgb'], pose + pose * outcome['pose']


@MODELS.register_module()
class CrossModalRGBPoseConv3D(RGBPoseConv3D):
    """RGBPoseConv3D with a :class:`ChannelCrossAttention` before each lateral connection.

    The lateral connections take the features as they were before it, as the successor of the
    paper has it in its public code (PCAN, arXiv 2412.14719).

    Args:
        rgb_pathway, pose_pathway (dict): As of MMAction2's ``RGBPoseConv3D``, with the lateral
            connections of its defaults.
        speed_ratio (int): Frames of the pose branch a frame of the RGB branch. Defaults to 4.
        channel_ratio (int): Channels of the RGB branch over those of the pose branch.
            Defaults to 4.
        pretrained (str, optional): Checkpoint of the whole. Defaults to None.

    Raises:
        ValueError: If a lateral connection is missing.
    """

    def __init__(self,
                 rgb_pathway: dict,
                 pose_pathway: dict,
                 speed_ratio: int = 4,
                 channel_ratio: int = 4,
                 pretrained: str | None = None) -> None:
        super().__init__(
            pretrained=pretrained,
            speed_ratio=speed_ratio,
            channel_ratio=channel_ratio,
            rgb_pathway=dict(rgb_pathway),
            pose_pathway=dict(pose_pathway))
        for path, layer in ((self.rgb_path, 2), (self.pose_path, 1), (self.rgb_path, 3),
                            (self.pose_path, 2)):
            if not hasattr(path, f'layer{layer}_lateral'):
                raise ValueError('rgb_pathway needs lateral=True and lateral_activate=(0, 0, 1, '
                                 '1), pose_pathway lateral=True and lateral_activate=(0, 1, 1)')

        def channels(path: ResNet3d, layer: int) -> int:
            return path.base_channels * 2**(layer - 1) * path.block.expansion

        self.attention = nn.ModuleList(
            ChannelCrossAttention(channels(self.rgb_path, layer + 1),
                                  channels(self.pose_path, layer), speed_ratio)
            for layer in (1, 2))

    def init_weights(self) -> None:
        """Initialise both branches as MMAction2 does, attention as the identity."""
        super().init_weights()
        for attention in self.attention:
            assert isinstance(attention, ChannelCrossAttention)
            attention.init_weights()

    def forward(self, imgs: Tensor, heatmap_imgs: Tensor) -> tuple[Tensor, Tensor]:
        """Features of both branches.

        Args:
            imgs (Tensor): ``(B, 3, T, H, W)`` normalised frames.
            heatmap_imgs (Tensor): ``(B, V, k T, H / 4, W / 4)`` heat-maps.

        Returns:
            tuple[Tensor]: Of the RGB and of the pose branch, ``(B, C, T', H', W')`` each.

        Raises:
            ValueError: If there are not ``speed_ratio`` heat-maps a frame.
        """
        if heatmap_imgs.shape[2] != self.speed_ratio * imgs.shape[2]:
            raise ValueError(f'there are {heatmap_imgs.shape[2]} heat-maps for {imgs.shape[2]} '
                             f'frames, but speed_ratio is {self.speed_ratio}: set clip_len of '
                             'MMSharedSampleFrames')
        rgb = self.rgb_path.layer1(self.rgb_path.maxpool(self.rgb_path.conv1(imgs)))
        pose = self.pose_path.maxpool(self.pose_path.conv1(heatmap_imgs))
        for layer, attention in enumerate(self.attention, start=1):
            rgb = getattr(self.rgb_path, f'layer{layer + 1}')(rgb)
            pose = getattr(self.pose_path, f'layer{layer}')(pose)
            to_rgb = getattr(self.rgb_path, f'layer{layer + 1}_lateral')(pose)
            to_pose = getattr(self.pose_path, f'layer{layer}_lateral')(rgb)
            rgb, pose = attention(rgb, pose)
            rgb, pose = torch.cat((rgb, to_rgb), dim=1), torch.cat((pose, to_pose), dim=1)
        return self.rgb_path.layer4(rgb), self.pose_path.layer3(pose)
