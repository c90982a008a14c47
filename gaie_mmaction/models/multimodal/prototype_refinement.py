"""Prototypes of classes, and the samples that are mistaken for another class."""
import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmengine.model import BaseModule
from torch import Tensor, nn


class PrototypeRefinement(BaseModule):
    """Contrast samples with class prototypes, ambiguous ones with more weight.

    "Prototype Learning for Micro-gesture Classification", arXiv 2408.03097, whose module is
    that of "Learning Discriminative Representations for Skeleton Based Action Recognition",
    CVPR 2023 (FR-Head), section 3.3. Of each class k a batch gives three sets: samples of k
    that are recognised (they move the prototype of k), samples of k that are missed, and samples
    of other classes that are taken for k. With the cosine s of a sample's projected feature
    to each prototype, and p the probability of its class y, the logits of two cross-entropies are
    s / t, where that of y is changed to::

        (s[y] + a (1 - p) (cos(f, missed[y]) - 1)) / t
        (s[y] - a (1 - p) (cos(f, taken[y]) + 1)) / t

    An uncertain sample is so pulled towards those of its class that are missed, and pushed from
    those that are mistaken for its class. A class without such samples in the batch has no such
    term. The loss is the mean over the batch of the sum of both.

    Chosen where the papers leave it open: prototypes and the two centres are targets,
    through which no gradient flows; a prototype starts at a random point, and processes of a
    distributed run share what moves it.

    Letters: B batch, C input channels, D projected channels, K classes.

    Args:
        in_channels (int): C.
        num_classes (int): K.
        channels (int): D. Defaults to 256.
        momentum (float): Share of the old prototype, in [0, 1). Defaults to 0.9.
        temperature (float): t above, positive. Defaults to 0.125.
        alpha (float): a above. Defaults to 0.125.

    Raises:
        ValueError: If ``momentum`` or ``temperature`` is out of bounds.
    """

    def __init__(self,
                 in_channels: int,
                 num_classes: int,
                 channels: int = 256,
                 momentum: float = 0.9,
                 temperature: float = 0.125,
                 alpha: float = 0.125) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must be in [0, 1), but got {momentum}')
        if temperature <= 0:
            raise ValueError(f'temperature must be positive, but got {temperature}')
        self.momentum = momentum
        self.temperature = temperature
        self.alpha = alpha
        self.project = nn.Linear(in_channels, channels)
        self.register_buffer('prototypes', torch.randn(num_classes, channels))

    def forward(self, features: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        """Move the prototypes (in training) and compute the loss.

        Args:
            features (Tensor): ``(B, C)``.
            scores (Tensor): ``(B, K)`` logits of the classifier.
            labels (Tensor): ``(B,)`` int64.

        Returns:
            Tensor: The loss, a scalar.
        """
        features = self.project(features).to(self.prototypes)  # (B, C) -> (B, D)
        # cosines are divided by a small temperature: no half precision from here on
        with torch.autocast(features.device.type, enabled=False):
            return self._contrast(features, scores.to(self.prototypes), labels)

    def _contrast(self, features: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        targets = features.detach()
        probability = scores.detach().softmax(dim=1)
        true = F.one_hot(labels, len(self.prototypes)).to(features)  # (B, K)
        predicted = F.one_hot(scores.argmax(dim=1), len(self.prototypes)).to(features)
        if self.training:
            self._move(targets, true * predicted)
        unit = F.normalize(features, dim=1)
        cosine = unit @ F.normalize(self.prototypes, dim=1).t()  # (B, K)
        doubt = self.alpha * (1 - probability.gather(1, labels[:, None]))  # (B, 1)
        losses = []
        for members, sign in ((true * (1 - predicted), 1), (predicted * (1 - true), -1)):
            centres = F.normalize(members.t() @ targets, dim=1)[labels]  # (K, D) -> (B, D)
            there = members.any(dim=0)[labels].to(unit)[:, None]  # (B, 1)
            near = sign * (unit * centres).sum(dim=1, keepdim=True) - 1
            losses.append(F.cross_entropy(
                (cosine + true * doubt * there * near) / self.temperature, labels))
        return losses[0] + losses[1]

    @torch.no_grad()
    def _move(self, features: Tensor, hits: Tensor) -> None:
        """Move the prototypes of recognised samples towards their mean."""
        number, total = hits.sum(dim=0)[:, None], hits.t() @ features  # (K, 1), (K, D)
        all_reduce(number)
        all_reduce(total)
        mean = total / number.clamp(min=1)
        new = self.momentum * self.prototypes + (1 - self.momentum) * mean
        self.prototypes.copy_(torch.where(number > 0, new, self.prototypes))
