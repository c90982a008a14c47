"""Published figures; none of them is measured here."""
from dataclasses import dataclass

# "Enhancing Micro-gesture Classification via Global-Aware Importance Estimation in Vision
# Transformer", CEUR-WS Vol-4168, paper 6
TABLE_2, TABLE_3 = 'GAIE paper, Table 2', 'GAIE paper, Table 3'


@dataclass(frozen=True)
class PublishedAccuracy:
    """Top-1 in percent on the challenge's test part, with the source's digits.

    ``config`` is the stem of the config that is the same model here, if there is one.
    """
    system: str
    modality: str
    top1: str
    source: str
    config: str | None = None


@dataclass(frozen=True)
class PublishedCost:
    """10^9 multiply-adds in the paper's convention and ms on an RTX 4090, one 16x224x224 view."""
    system: str
    gmacs: str
    latency: str
    source: str
    config: str


ACCURACIES = (
    PublishedAccuracy('ST-GCN', 'skeleton', '46.38', TABLE_2),
    PublishedAccuracy('AAGCN', 'skeleton', '54.73', TABLE_2),
    PublishedAccuracy('PoseC3D', 'skeleton', '61.11', TABLE_2),
    PublishedAccuracy('TSM', 'RGB', '58.77', TABLE_2, 'tsm_r50_imigue'),
    PublishedAccuracy('TSM', 'RGB', '61.10', "iMiGUE's own page", 'tsm_r50_imigue'),
    PublishedAccuracy('VideoSwin', 'RGB', '61.73', TABLE_2, 'videoswin_base_imigue'),
    PublishedAccuracy('ViViT', 'RGB', '67.84', TABLE_2, 'vivit_vitb_imigue'),
    PublishedAccuracy('VCLIP', 'RGB + skeleton', '68.90', TABLE_2),
    PublishedAccuracy('M2HEN', 'RGB + skeleton', '70.19', TABLE_2),
    PublishedAccuracy('Ensemble Mode', 'RGB + skeleton', '70.25', TABLE_2),
    PublishedAccuracy('GAIE', 'RGB', '68.70', TABLE_2, 'gaie_vitb_imigue'),
    PublishedAccuracy('MM-Gesture', 'six modalities', '73.213', 'arXiv 2507.08344'),
    PublishedAccuracy('XInsight', 'RGB', '69.224', 'arXiv 2606.09261'),
    PublishedAccuracy('XInsight, ensemble', 'several', '74.419', 'arXiv 2606.09261'),
)
COSTS = (
    PublishedCost('ViViT', '101.848', '21.96', TABLE_3, 'vivit_vitb_imigue'),
    PublishedCost('GAIE', '65.820', '13.74', TABLE_3, 'gaie_vitb_imigue'),
)


def marked(figure: str) -> str:
    """A figure that cannot be taken for a measured one: ``68.70 (published)``."""
    return f'{figure} (published)'
