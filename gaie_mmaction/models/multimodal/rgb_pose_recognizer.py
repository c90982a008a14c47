"""What networks with a classifier for frames and one for skeletons share."""
from typing import Any

import torch
from mmaction.models.recognizers import MMRecognizer3D
from mmaction.utils import SampleList
from torch import Tensor


class RGBPoseRecognizer(MMRecognizer3D):
    """MMAction2's ``MMRecognizer3D`` with a ``RGBPoseHead``, that predicts one score a class.

    The host's prediction is a dict of both branches' probabilities, which its own metric alone
    understands; here it is their mean.
    """

    def scores(self, features: tuple) -> dict[str, Tensor]:
        """Logits ``(B, K)`` of ``rgb`` and ``pose``, float32.

        In mixed precision too: the head's training accuracy goes through NumPy, which has no
        bfloat16.
        """
        return {name: score.float() for name, score in self.cls_head(features).items()}

    def loss(self, inputs: dict[str, Tensor], data_samples: SampleList, **kwargs: Any) -> dict:
        """Losses of a batch.

        Args:
            inputs (dict[str, Tensor]): By modality, ``(B, views, ...)``.
            data_samples (list[ActionDataSample]): With their labels.

        Returns:
            dict: ``rgb_loss_cls``, ``pose_loss_cls`` and the training accuracies.
        """
        features, _ = self.extract_feat(inputs)
        return self.cls_head.loss_by_feat(self.scores(features), data_samples)

    def predict(self, inputs: dict[str, Tensor], data_samples: SampleList,
                **kwargs: Any) -> SampleList:
        """Mean of the branches' probabilities.

        Args:
            inputs (dict[str, Tensor]): As of :meth:`loss`.
            data_samples (list[ActionDataSample]): The clips.

        Returns:
            list[ActionDataSample]: With ``pred_score`` ``(K,)`` and ``pred_label``.
        """
        features, _ = self.extract_feat(inputs, test_mode=True)
        scores = torch.stack([self.cls_head.predict_by_scores(score, data_samples)
                              for score in self.scores(features).values()]).mean(dim=0)
        for sample, score in zip(data_samples, scores):
            sample.set_pred_score(score).set_pred_label(score.argmax(dim=-1, keepdim=True))
        return data_samples
