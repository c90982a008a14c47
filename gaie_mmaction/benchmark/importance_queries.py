"""What an importance from some of the queries changes: kept tokens and accuracy."""
from collections import defaultdict
from collections.abc import Sequence

import pandas as pd
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor

from ..apis.model import load_recognizer
from ..models import GAIENeck
from ..visualization import record_tokens


@torch.no_grad()
def measure_queries(cfg: Config, checkpoint: str, queries: Sequence[int],
                    device: str = 'cpu') -> pd.DataFrame:
    """Run the test clips with all queries and with each number of them.

    Returns one row per number, all queries first, as text: for each merge the share of the tokens
    kept by the exact importance that are kept here too, and the accuracy of the labelled clips, if
    there are any. A model without a ``GAIENeck`` that ranks by attention is a ``ValueError``.
    """
    model, _ = load_recognizer(cfg, checkpoint, device)
    neck = getattr(model.backbone, 'neck', None)
    if not isinstance(neck, GAIENeck) or neck.importance != 'attention':
        raise ValueError(f"{cfg.filename} has no GAIENeck with importance='attention', whose "
                         'importance_queries is measured')
    shares: dict[tuple, list[Tensor]] = defaultdict(list)  # (queries, merge) -> one per clip
    right: dict[int | None, list[bool]] = defaultdict(list)
    for batch in Runner.build_dataloader(cfg.test_dataloader):
        exact: list[Tensor] = []
        for number in (None, *queries):
            neck.importance_queries = number
            with record_tokens(model) as history:
                samples = model.test_step(batch)
            right[number] += [bool(s.pred_score.argmax() == s.gt_label) for s in samples
                              if s.gt_label >= 0]
            kept = [after.position for after in history[1::2]]  # (B, K) of each merge
            exact = exact or kept
            for merge, (own, reference) in enumerate(zip(kept, exact), 1):
                same = (own.unsqueeze(2) == reference.unsqueeze(1)).any(2)  # (B, K)
                shares[number, merge].append(same.float().mean(1))
    merges = sorted({merge for _, merge in shares})
    return pd.DataFrame([{
        'queries': 'all' if number is None else str(number),
        **{f'same kept tokens %, merge {merge}':
           f'{100 * torch.cat(shares[number, merge]).mean():.1f}' for merge in merges},
        **({'Top-1 %': f'{100 * sum(right[number]) / len(right[number]):.2f}'}
           if right[number] else {})}
        for number in (None, *queries)])
