"""Published figures, and the paper's tables with ours beside them. None is measured here."""
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from .comparison import Conditions, Result

# "Enhancing Micro-gesture Classification via Global-Aware Importance Estimation in Vision
# Transformer", CEUR-WS Vol-4168, paper 6
TABLE_2, TABLE_3 = 'GAIE paper, Table 2', 'GAIE paper, Table 3'
# system, modality, Top-1 in % on the challenge's test part with the source's digits, source, and
# the stem of the config here that is the same model
ACCURACIES = (
    ('ST-GCN', 'skeleton', '46.38', TABLE_2, None),
    ('AAGCN', 'skeleton', '54.73', TABLE_2, None),
    ('PoseC3D', 'skeleton', '61.11', TABLE_2, None),
    ('TSM', 'RGB', '58.77', TABLE_2, 'tsm_r50_imigue'),
    ('TSM', 'RGB', '61.10', "iMiGUE's own page", 'tsm_r50_imigue'),
    ('VideoSwin', 'RGB', '61.73', TABLE_2, 'videoswin_base_imigue'),
    ('ViViT', 'RGB', '67.84', TABLE_2, 'vivit_vitb_imigue'),
    ('VCLIP', 'RGB + skeleton', '68.90', TABLE_2, None),
    ('M2HEN', 'RGB + skeleton', '70.19', TABLE_2, None),
    ('Ensemble Mode', 'RGB + skeleton', '70.25', TABLE_2, None),
    ('GAIE', 'RGB', '68.70', TABLE_2, 'gaie_vitb_imigue'),
    ('MM-Gesture', 'six modalities', '73.213', 'arXiv 2507.08344', None),
    ('XInsight', 'RGB', '69.224', 'arXiv 2606.09261', None),
    ('XInsight, ensemble', 'several', '74.419', 'arXiv 2606.09261', None),
)
# system, 10^9 multiply-adds of one 16x224x224 view in the paper's convention, ms on an RTX 4090,
# and the config
COSTS = (('ViViT', '101.848', '21.96', 'vivit_vitb_imigue'),
         ('GAIE', '65.820', '13.74', 'gaie_vitb_imigue'))


def published_tables(results: Sequence[Result], conditions: Conditions) -> dict[str, pd.DataFrame]:
    """The paper's Tables 2 and 3 by title; every published figure says so in its cell.

    Ours stand in columns of their own: those of the first point, matched by the config's name.
    """
    ours = {Path(result.config).stem: result for result in reversed(results)
            if result.point == results[0].point}
    accuracy, cost = [], []
    for system, modality, figure, source, config in ACCURACIES:
        metrics = ours[config].metrics if config in ours else None
        accuracy.append({
            'system': system, 'modality': modality, 'published Top-1 %': f'{figure} (published)',
            'our Top-1 %': f'{100 * metrics["acc/top1"]:.2f}' if metrics else '-',
            'source of the published': source})
    for system, gmacs, latency, config in COSTS:
        mine = ours.get(config)
        paper, true, ms = '---' if mine is None else (
            f'{mine.complexity.paper_macs / 1e9:.3f}', f'{mine.complexity.true_macs / 1e9:.3f}',
            f'{1e3 * mine.inference.median:.2f}')
        cost.append({'system': system, 'published GMACs': f'{gmacs} (published)',
                     'our GMACs paper': paper, 'our GMACs true': true,
                     'published latency ms': f'{latency} (published)', 'our latency ms': ms,
                     'source of the published': TABLE_3})
    return {'Table 2 of the GAIE paper, and figures from elsewhere: Top-1 on the test part of '
            'iMiGUE. Ours: on the clips named above': pd.DataFrame(accuracy),
            'Table 3 of the GAIE paper: one view, latency on an RTX 4090. Ours: on '
            f'{conditions.names()["device"]}, {results[0].point}': pd.DataFrame(cost)}
