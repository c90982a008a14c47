"""Where the time of a forward pass goes, by block and part."""
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import pandas as pd
import torch
from torch import Tensor, nn

from ..models.backbones.vit_block import Block
from ..models.necks import TokenReducer, TokenState
from .comparison import Conditions, Point, build_entry, unique_names
from .latency import wait_for
from .steps import inference_step

PARTS = ('attention', 'importance', 'matching', 'merging', 'MLP')
# what the reducers call to choose tokens and their partners; the rest of a reducer is merging
MATCHING = ('select_tokens', 'match_tokens', 'match_bipartite')


def break_down(backbone: nn.Module, step: Callable[[], object], device: torch.device,
               rounds: int, warmup: int) -> list[dict[str, float]]:
    """Median seconds of each of ``PARTS``, one dict per block.

    The importance is the time of attention with it minus that of the same attention without;
    both run in each round, and noise can make it negative. Norms and residual sums belong to no
    part.

    Args:
        backbone (nn.Module): With ``blocks`` of this package's ViT.
        step (Callable): A forward pass through it.
        device (torch.device): Where it runs; a GPU is synchronized at each border.
        rounds (int): Counted passes.
        warmup (int): Passes before them.

    Raises:
        ValueError: If the backbone has no such blocks.
    """
    blocks = list(getattr(backbone, 'blocks', []))
    if not blocks or not all(isinstance(block, Block) for block in blocks):
        raise ValueError('only a GAIEVisionTransformer has the blocks whose time can be broken '
                         f'down, but the backbone is a {type(backbone).__name__}')
    passes = []
    with ExitStack() as stack:
        watch = stack.enter_context(_watched(backbone, blocks, device))
        for number in range(warmup + rounds):
            watch.update({(block, part): 0. for block in range(len(blocks)) for part in PARTS})
            step()
            if number >= warmup:
                passes.append(dict(watch))
    return [{part: statistics.median(one[block, part] for one in passes) for part in PARTS}
            for block in range(len(blocks))]


@contextmanager
def _watched(backbone: nn.Module, blocks: list[Block], device: torch.device) -> Iterator[dict]:
    """Collect the seconds of each (block, part) while inside."""
    seconds: dict[tuple[int, str], float] = {}
    now = dict(block=0)

    def timed(function: Callable, part: str) -> Callable:

        def run(*args: Any, **kwargs: Any) -> Any:
            wait_for(device)
            start = time.perf_counter()
            result = function(*args, **kwargs)
            wait_for(device)
            seconds[now['block'], part] += time.perf_counter() - start
            return result

        return run

    def attention(block: int, forward: Callable) -> Callable:

        def run(x: Tensor, size: Tensor | None = None, needs_importance: bool = False,
                *args: Any) -> Any:
            now['block'] = block
            result = timed(forward, 'attention')(x, size, needs_importance, *args)
            if needs_importance:
                both = seconds[block, 'attention']
                seconds[block, 'attention'] = 0.
                timed(forward, 'attention')(x, size, False, *args)
                seconds[block, 'importance'] = both - seconds[block, 'attention']
            return result

        return run

    def reducer(forward: Callable) -> Callable:

        def run(state: TokenState) -> TokenState:
            block = now['block']
            before = seconds[block, 'matching']
            result = timed(forward, 'merging')(state)
            seconds[block, 'merging'] -= seconds[block, 'matching'] - before
            return result

        return run

    with ExitStack() as stack:
        for number, block in enumerate(blocks):
            _replace(stack, block.attn, 'forward', attention(number, block.attn.forward))
            _replace(stack, block.mlp, 'forward', timed(block.mlp.forward, 'MLP'))
        neck = backbone.neck
        if isinstance(neck, TokenReducer):
            _replace(stack, neck, 'forward', reducer(neck.forward))
            module = sys.modules[type(neck).__module__]
            for name in MATCHING:
                if hasattr(module, name):
                    _replace(stack, module, name, timed(getattr(module, name), 'matching'))
        yield seconds


def _replace(stack: ExitStack, owner: object, name: str, value: Callable) -> None:
    stack.enter_context(mock.patch.object(owner, name, value))


def break_down_models(models: Sequence[tuple[str, str | None]], point: Point,
                      conditions: Conditions, say: Callable[[str], None],
                      cfg_options: dict | None = None) -> pd.DataFrame:
    """Milliseconds of inference; arguments as for :func:`.comparison.compare`.

    Returns:
        pd.DataFrame: Cells as text; one row per model and block, and one for their sum.
    """
    rows = []
    for name, (config, checkpoint) in zip(unique_names(*zip(*models)), models):
        say(f'{name}: {point}')
        entry, model = build_entry(name, config, checkpoint, point, conditions.device, cfg_options)
        step = inference_step(model, entry.shape, point.batch_size, getattr(torch, point.dtype))
        blocks = break_down(model.backbone, step, conditions.device, conditions.rounds,
                            conditions.warmup)
        blocks.append({part: sum(block[part] for block in blocks) for part in PARTS})
        for number, block in enumerate(blocks, 1):
            rows.append({'model': name, 'block': str(number) if number < len(blocks) else 'all',
                         **{part: f'{1e3 * block[part]:.2f}' for part in PARTS}})
    return pd.DataFrame(rows)
