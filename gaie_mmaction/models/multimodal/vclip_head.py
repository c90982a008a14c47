"""Classes as directions of their names' text features."""
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.models.heads import BaseHead
from mmaction.registry import MODELS
from mmaction.utils import SampleList
from torch import Tensor, nn

from ...datasets.imigue_classes import IMIGUE_CLASSES
from .text_features import read_text_features

INITIAL_SCALE, MAX_SCALE = 1 / 0.07, 100.  # CLIP's


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of softened predictions.

    "Distilling the Knowledge in a Neural Network", arXiv 1503.02531: the mean over the
    batch of ``temperature ** 2 * KL(teacher || student)``.

    Args:
        student, teacher (Tensor): ``(B, K)`` logits; no gradient flows to the teacher.
        temperature (float): Divides both.

    Returns:
        Tensor: A scalar.
    """
    return temperature**2 * F.kl_div(
        (student / temperature).log_softmax(dim=1),
        (teacher.detach() / temperature).log_softmax(dim=1),
        reduction='batchmean', log_target=True)


@MODELS.register_module()
class VCLIPHead(BaseHead):
    """Compare video, pose and both together with the text features of the classes.

    See :class:`VCLIP` for what is the paper's. Either branch's feature is projected to the
    text's space; a transformer layer over the two lets them interact, and the mean of
    its outcome is the joint feature. The logits of each of the three are its cosines to the
    text features times CLIP's learned scale. Losses: a cross-entropy each; the video branch
    learns from the pose branch's softened predictions (``loss_pose_distill``) and from
    how near the names are to each other (``loss_text_distill``, towards the softmax of the
    true name's cosines to all names). Prediction: the joint logits.

    Letters: B batch, K classes, D channels of the text features.

    Args:
        num_classes (int): K.
        in_channels (tuple[int]): Channels of the video and of the pose feature.
        text_features (str): Path of the file of ``tools/data/text_features.py``.
        classes (Sequence[str], optional): K names. Defaults to None, iMiGUE's 32.
        num_heads (int): Of the transformer layer. Defaults to 8.
        distill_temperature (float): Of the pose's predictions. Defaults to 2.
        text_temperature (float): Divides the cosines of names. Defaults to 0.05.
        distill_weight (float): Of both distillation losses. Defaults to 1.
        kwargs: As of MMAction2's ``BaseHead``.

    Raises:
        FileNotFoundError: If there are no text features.
        ValueError: If they are of other classes, or D is no multiple of ``num_heads``.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: tuple[int, int],
                 text_features: str,
                 classes: Sequence[str] | None = None,
                 num_heads: int = 8,
                 distill_temperature: float = 2.,
                 text_temperature: float = 0.05,
                 distill_weight: float = 1.,
                 **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        classes = IMIGUE_CLASSES if classes is None else classes
        if len(classes) != num_classes:
            raise ValueError(f'num_classes is {num_classes}, but there are {len(classes)} names: '
                             'set classes of the head to your own')
        text = torch.from_numpy(read_text_features(text_features, classes))
        channels = text.shape[1]
        if channels % num_heads:
            raise ValueError(f'the text features of {text_features} have {channels} channels, no '
                             f'multiple of num_heads = {num_heads}')
        self.distill_temperature = distill_temperature
        self.text_temperature = text_temperature
        self.distill_weight = distill_weight
        self.register_buffer('text', text)  # (K, D); in the checkpoint too
        self.project_video = nn.Linear(in_channels[0], channels)
        self.project_pose = nn.Linear(in_channels[1], channels)
        self.interaction = nn.TransformerEncoderLayer(
            channels, num_heads, 4 * channels, dropout=0.1, activation='gelu', batch_first=True,
            norm_first=True)
        self.log_scale = nn.Parameter(torch.tensor(INITIAL_SCALE).log())

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any,
                              **kwargs: Any) -> None:
        text = state_dict.get(f'{prefix}text')
        # mmengine would only log it, and go on with random weights
        if text is not None and text.shape != self.text.shape:
            raise ValueError(f'the checkpoint was trained with text features of {tuple(text.shape)}'
                             f' (classes, channels), but those of the config are '
                             f'{tuple(self.text.shape)}: set model.cls_head.text_features to the '
                             'file of the training')
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def logits(self, feats: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Scaled cosines to the classes.

        Args:
            feats (tuple[Tensor]): Video ``(B, C)`` and pose ``(B, C', T, H, W)``.

        Returns:
            dict[str, Tensor]: ``video``, ``pose`` and ``joint``, ``(B, K)`` each.
        """
        video = self.project_video(feats[0])
        pose = self.project_pose(feats[1].mean(dim=(2, 3, 4)))
        joint = self.interaction(torch.stack((video, pose), dim=1)).mean(dim=1)  # (B, 2, D)
        scale = self.log_scale.exp().clamp(max=MAX_SCALE)
        return {name: scale * F.normalize(x, dim=1) @ self.text.t()
                for name, x in (('video', video), ('pose', pose), ('joint', joint))}

    def forward(self, feats: tuple[Tensor, Tensor], **kwargs: Any) -> Tensor:
        """Joint logits ``(B, K)`` of :meth:`logits`' input."""
        return self.logits(feats)['joint']

    def loss(self, feats: tuple[Tensor, Tensor], data_samples: SampleList, **kwargs: Any) -> dict:
        """All losses.

        Args:
            feats (tuple[Tensor]): As of :meth:`logits`.
            data_samples (list[ActionDataSample]): With their labels.

        Returns:
            dict: ``loss_cls`` of the joint logits with the training accuracies,
            ``loss_video``, ``loss_pose``, ``loss_pose_distill`` and ``loss_text_distill``.
        """
        logits = {name: values.float() for name, values in self.logits(feats).items()}
        losses = self.loss_by_feat(logits['joint'], data_samples)
        labels = torch.cat([sample.gt_label for sample in data_samples])
        for name in ('video', 'pose'):
            losses[f'loss_{name}'] = F.cross_entropy(logits[name], labels)
        names = self.text[labels] @ self.text.t() / self.text_temperature  # (B, K)
        losses['loss_pose_distill'] = self.distill_weight * distillation(
            logits['video'], logits['pose'], self.distill_temperature)
        losses['loss_text_distill'] = self.distill_weight * distillation(
            logits['video'], names, 1.)
        return losses
