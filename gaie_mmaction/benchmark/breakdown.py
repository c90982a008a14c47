"""Where the time of a forward pass goes, by block and part."""
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
from torch import Tensor, nn

from ..models.backbones.vit_block import Block
from ..models.necks import TokenReducer, TokenState
from .comparison import Conditions, Model, Point, build_model, unique_names
from .latency import wait_for
from .steps import inference_step

PARTS = ('attention', 'importance', 'matching', 'merging', 'MLP')
# what the reducers call to choose tokens and their partners; the rest of a reducer is merging
MATCHING = ('select_tokens', 'match_tokens', 'match_bipartite')


def break_down(backbone: nn.Module, step: Callable[[], object], device: torch.device,
               rounds: int, warmup: int) -> list[dict[str, float]]:
    """Median seconds of each of ``PARTS`` in ``step``, a forward pass; one dict per block.

    The importance is the time of attention with it minus that of the same attention without;
    noise can make it negative. Norms and residual sums belong to no part.
    """
    blocks = list(getattr(backbone, 'blocks', []))
    if not blocks or not all(isinstance(block, Block) for block in blocks):
        raise ValueError('only a GAIEVisionTransformer has the blocks whose time can be broken '
                         f'down, but the backbone is a {type(backbone).__name__}')
    watch, passes = _Watch(device), []
    replaced: list[tuple[Any, str, Callable]] = []  # object, name of its function, what wraps it
    for number, block in enumerate(blocks):
        replaced += [(block.attn, 'forward', partial(watch.attend, number)),
                     (block.mlp, 'forward', partial(watch.run, 'MLP'))]
    if isinstance(neck := backbone.neck, TokenReducer):
        module = sys.modules[type(neck).__module__]
        replaced += [(neck, 'forward', watch.reduce), *(
            (module, name, partial(watch.run, 'matching'))
            for name in MATCHING if hasattr(module, name))]
    with ExitStack() as stack:
        for owner, name, run in replaced:
            stack.enter_context(patch.object(owner, name, partial(run, getattr(owner, name))))
        for _ in range(warmup + rounds):
            watch.seconds = defaultdict(float)
            step()
            passes.append(watch.seconds)
    return [{part: statistics.median(one[block, part] for one in passes[warmup:])
             for part in PARTS} for block in range(len(blocks))]


class _Watch:
    """Runs functions and adds their seconds to (block, part)."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.block = device, 0
        self.seconds: dict[tuple[int, str], float] = defaultdict(float)

    def run(self, part: str, function: Callable, *args: Any, **kwargs: Any) -> Any:
        wait_for(self.device)
        start = time.perf_counter()
        result = function(*args, **kwargs)
        wait_for(self.device)
        self.seconds[self.block, part] += time.perf_counter() - start
        return result

    def attend(self, block: int, forward: Callable, x: Tensor, attend: partial | None = None,
               *args: Any) -> Any:
        self.block = block
        result = self.run('attention', forward, x, attend, *args)
        if attend is not None and attend.keywords['needs_importance']:
            both = self.seconds.pop((block, 'attention'))
            self.run('attention', forward, x, partial(attend, needs_importance=False), *args)
            self.seconds[block, 'importance'] = both - self.seconds[block, 'attention']
        return result

    def reduce(self, forward: Callable, state: TokenState) -> TokenState:
        before = self.seconds[self.block, 'matching']
        result = self.run('merging', forward, state)
        self.seconds[self.block, 'merging'] -= self.seconds[self.block, 'matching'] - before
        return result


def break_down_models(models: Sequence[Model], point: Point, conditions: Conditions,
                      cfg_options: dict | None = None) -> pd.DataFrame:
    """Milliseconds of inference as text, one row per model and block and one for their sum."""
    rows = []
    for name, model in zip(unique_names(*zip(*models)), models):
        _, recognizer, shape = build_model(model, point, cfg_options)
        step = inference_step(recognizer.to(conditions.device), shape, point.batch_size,
                              getattr(torch, point.dtype))
        blocks = break_down(recognizer.backbone, step, conditions.device, conditions.rounds,
                            conditions.warmup)
        total = {part: sum(block[part] for block in blocks) for part in PARTS}
        rows += [{'model': name, 'block': str(number),
                  **{part: f'{1e3 * block[part]:.2f}' for part in PARTS}}
                 for number, block in [*enumerate(blocks, 1), ('all', total)]]
    return pd.DataFrame(rows)
