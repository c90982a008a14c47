"""RGB frames and skeleton heatmaps, classified by cosines to text features of the class names.

Shapes: B batch, K classes, C and C' channels of video and pose, D channels of the text features.
"""
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.models.heads import BaseHead
from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType, OptSampleList, SampleList
from torch import Tensor, nn

from ...datasets.imigue_classes import IMIGUE_CLASSES
from .text_features import read_text_features

INITIAL_SCALE, MAX_SCALE = 1 / 0.07, 100.  # CLIP's


@MODELS.register_module()
class VCLIP(BaseRecognizer):
    """"A multimodal micro-gesture classification model based on CLIP", MiGA-IJCAI 2024.

    CEUR-WS Vol-3848; published top-1 on iMiGUE 68.90. From its public descriptions: distillation
    from CLIP, pose as 3D heatmaps, text features of the class names, interaction of modalities.
    Ours: a video backbone (GAIE-ViT in the config) instead of CLIP's image encoder, PoseC3D as
    the pose branch, CLIP through precomputed, frozen text features only; projections, interaction
    and losses as in :class:`VCLIPHead`.

    Args:
        backbone (dict): Config of the video backbone, with ``(B, C)`` features.
        pose_backbone (dict): Config of the heatmap backbone, with ``(B, C', T, H, W)`` features.
        cls_head (dict): Config of a :class:`VCLIPHead`.
        data_preprocessor (dict, optional): Same as ``BaseRecognizer``. Defaults to None.
    """

    def __init__(self, *, backbone: dict, pose_backbone: dict, cls_head: dict,
                 data_preprocessor: OptConfigType = None) -> None:
        super().__init__(backbone, cls_head, data_preprocessor=data_preprocessor)
        self.pose_backbone = MODELS.build(pose_backbone)

    def extract_feat(self, inputs: dict[str, Tensor], stage: str = 'backbone',
                     data_samples: OptSampleList = None, test_mode: bool = False) -> tuple:
        """Features of both branches, or with ``stage='head'`` the joint logits.

        Of ``imgs`` ``(B, views, 3, T, H, W)`` and ``heatmap_imgs`` ``(B, views, V, T', H', W')``.
        """
        features = (self.backbone(inputs['imgs'].flatten(0, 1)),
                    self.pose_backbone(inputs['heatmap_imgs'].flatten(0, 1)))
        return (self.cls_head(features) if stage == 'head' else features), {}


@MODELS.register_module()
class VCLIPHead(BaseHead):
    """Compare video, pose and joint features with the text features of the classes.

    Our design; :class:`VCLIP` says what is the paper's. Each branch is projected to the text
    space, one transformer layer lets the two interact, and the mean of its outputs is the joint
    feature. Logits are cosines to the text features times CLIP's learned scale. Losses: one
    cross-entropy per feature, and the video branch is distilled from the pose branch and from the
    softmax of the cosines between the class names. The prediction is that of the joint feature.

    Args:
        num_classes, topk, average_clips: Same as ``BaseHead``.
        in_channels (tuple[int]): Number of channels of the video and of the pose features.
        text_features (str): File written by ``tools/data/text_features.py``.
        classes (Sequence[str], optional): K names. Defaults to None, iMiGUE's 32.
        num_heads (int): Number of heads of the transformer layer. Defaults to 8.
        distill_temperature (float): Temperature of the distillation from pose. Defaults to 2.
        text_temperature (float): Temperature of the cosines between names. Defaults to 0.05.
        distill_weight (float): Weight of both distillation losses. Defaults to 1.

    Raises:
        FileNotFoundError: If there are no text features.
        ValueError: If they are of other classes, or D is not a multiple of ``num_heads``.
    """

    def __init__(self, num_classes: int, in_channels: tuple[int, int], text_features: str,
                 classes: Sequence[str] | None = None, num_heads: int = 8,
                 distill_temperature: float = 2., text_temperature: float = 0.05,
                 distill_weight: float = 1., topk: int | tuple[int, ...] = (1, 5),
                 average_clips: str | None = None) -> None:
        super().__init__(num_classes, in_channels, topk=topk, average_clips=average_clips)
        classes = IMIGUE_CLASSES if classes is None else classes
        if len(classes) != num_classes:
            raise ValueError(f'num_classes is {num_classes}, but there are {len(classes)} names: '
                             'set classes of the head to your own')
        text = torch.from_numpy(read_text_features(text_features, classes))
        channels = text.shape[1]
        if channels % num_heads:
            raise ValueError(f'the text features of {text_features} have {channels} channels, not '
                             f'a multiple of num_heads = {num_heads}')
        self.distill_temperature = distill_temperature
        self.text_temperature = text_temperature
        self.distill_weight = distill_weight
        # (K, D), saved in the checkpoint: the projections are of no use with other text features
        self.register_buffer('text', text)
        self.project_video = nn.Linear(in_channels[0], channels)
        self.project_pose = nn.Linear(in_channels[1], channels)
        self.interaction = nn.TransformerEncoderLayer(
            channels, num_heads, 4 * channels, dropout=0.1, activation='gelu', batch_first=True,
            norm_first=True)
        # the logarithm keeps the scale positive, as in CLIP
        self.log_scale = nn.Parameter(torch.tensor(INITIAL_SCALE).log())

    def _load_from_state_dict(
            self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        text = state_dict.get(f'{prefix}text')
        # mmengine would only log the mismatch and go on with random weights
        if text is not None and text.shape != self.text.shape:
            raise ValueError(
                f'the checkpoint was trained with text features of {tuple(text.shape)} (classes, '
                f'channels), but those of the config are {tuple(self.text.shape)}: set '
                'model.cls_head.text_features to the file used in training')
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def logits(self, feats: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Logits ``(B, K)`` of ``video``, ``pose`` and ``joint``.

        ``feats`` are those of video ``(B, C)`` and pose ``(B, C', T, H, W)``.
        """
        video = self.project_video(feats[0])
        pose = self.project_pose(feats[1].mean(dim=(2, 3, 4)))
        joint = self.interaction(torch.stack((video, pose), dim=1)).mean(dim=1)  # (B, 2, D)
        # CLIP's bound: a larger scale makes training unstable
        scale = self.log_scale.exp().clamp(max=MAX_SCALE)
        return {name: scale * F.normalize(x, dim=1) @ self.text.t()
                for name, x in (('video', video), ('pose', pose), ('joint', joint))}

    def forward(self, feats: tuple[Tensor, Tensor], **kwargs: Any) -> Tensor:
        """Joint logits ``(B, K)``; see :meth:`logits`."""
        return self.logits(feats)['joint']

    def loss(self, feats: tuple[Tensor, Tensor], data_samples: SampleList, **kwargs: Any) -> dict:
        """``loss_cls`` and accuracies (joint), ``loss_{video,pose,pose_distill,text_distill}``."""
        # float32: the training accuracy goes through NumPy, which has no bfloat16
        logits = {name: values.float() for name, values in self.logits(feats).items()}
        losses = self.loss_by_feat(logits['joint'], data_samples)
        labels = torch.cat([sample.gt_label for sample in data_samples])
        # without losses of their own, the joint loss could leave one branch untrained
        for name in ('video', 'pose'):
            losses[f'loss_{name}'] = F.cross_entropy(logits[name], labels)
        names = self.text[labels] @ self.text.t() / self.text_temperature  # (B, K)
        losses['loss_pose_distill'] = self.distill_weight * distillation(
            logits['video'], logits['pose'], self.distill_temperature)
        losses['loss_text_distill'] = self.distill_weight * distillation(
            logits['video'], names, 1.)
        return losses


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Batch mean of ``temperature ** 2 * KL(teacher || student)`` of ``(B, K)`` logits."""
    # arXiv 1503.02531; the factor keeps gradients independent of the temperature
    return temperature**2 * F.kl_div(
        (student / temperature).log_softmax(dim=1),
        (teacher.detach() / temperature).log_softmax(dim=1),
        reduction='batchmean', log_target=True)
