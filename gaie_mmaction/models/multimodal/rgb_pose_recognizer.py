"""Base class of recognizers with one classifier for frames and one for skeletons."""
from typing import Any

import torch
from mmaction.models.recognizers import MMRecognizer3D
from mmaction.utils import SampleList
from torch import Tensor


class RGBPoseRecognizer(MMRecognizer3D):
    """``MMRecognizer3D`` with an ``RGBPoseHead`` that predicts one score per class.

    Upstream predicts a dict of each branch's probabilities, which no metric but its own reads;
    here the prediction is their mean.
    """

    def scores(self, features: tuple) -> dict[str, Tensor]:
        """Logits ``(B, K)`` of the branches ``rgb`` and ``pose``, float32."""
        # the head's training accuracy goes through NumPy, which has no bfloat16
        return {name: score.float() for name, score in self.cls_head(features).items()}

    def loss(self, inputs: dict[str, Tensor], data_samples: SampleList, **kwargs: Any) -> dict:
        """``{rgb,pose}_loss_cls`` and training accuracies of ``(B, views, ...)`` inputs."""
        features, _ = self.extract_feat(inputs)
        return self.cls_head.loss_by_feat(self.scores(features), data_samples)

    def predict(self, inputs: dict[str, Tensor], data_samples: SampleList,
                **kwargs: Any) -> SampleList:
        """Set ``pred_score`` ``(K, )``, the branches' mean probabilities, and ``pred_label``."""
        features, _ = self.extract_feat(inputs, test_mode=True)
        # probabilities, not logits: the scales of the two branches' logits differ
        scores = torch.stack([self.cls_head.predict_by_scores(score, data_samples)
                              for score in self.scores(features).values()]).mean(dim=0)
        for sample, score in zip(data_samples, scores):
            sample.set_pred_score(score).set_pred_label(score.argmax(dim=-1, keepdim=True))
        return data_samples
