"""Where the time of a forward pass goes, by block and part."""
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..models.backbones.vit_block import Block
from ..models.necks import TokenReducer, TokenState
from .latency import wait_for
from .text_table import TextTable

PARTS = ('attention', 'importance', 'matching', 'merging', 'MLP')
# what the reducers call to choose tokens and their partners; the rest of a reducer is merging
MATCHING = ('select_tokens', 'match_tokens', 'match_bipartite')


def break_down(backbone: nn.Module, step: Callable[[], object], device: torch.device,
               rounds: int, warmup: int) -> list[dict[str, float]]:
    """Median time of each part of each block.

    The importance is what attention with it takes longer than the same attention without,
    both run in each round; noise can make it negative. Norms and residual sums belong to
    no part.

    Args:
        backbone (nn.Module): With ``blocks`` of this package's ViT.
        step (Callable): A forward pass through it.
        device (torch.device): Where it runs; a GPU is waited for at each border.
        rounds (int): Counted passes.
        warmup (int): Passes before them.

    Returns:
        list[dict[str, float]]: By block, seconds of each of ``PARTS``.

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
    """Add up, while inside, the seconds of (block, part)."""
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
    """Set an attribute until the stack is left."""
    own = vars(owner)
    if name in own:
        stack.callback(setattr, owner, name, own[name])
    else:
        stack.callback(delattr, owner, name)
    setattr(owner, name, value)


def breakdown_table(names: list[str], blocks: list[list[dict[str, float]]]) -> TextTable:
    """One line a model and block, and one for their sum.

    Args:
        names (list[str]): Of the models.
        blocks (list[list[dict]]): Of each, what :func:`break_down` gave.

    Returns:
        TextTable: Milliseconds.
    """
    rows = []
    for name, parts in zip(names, blocks, strict=True):
        for number, one in enumerate(parts, 1):
            rows.append((name, str(number), *(f'{1e3 * one[part]:.2f}' for part in PARTS)))
        rows.append((name, 'all', *(f'{1e3 * sum(one[part] for one in parts):.2f}'
                                    for part in PARTS)))
    return TextTable('Milliseconds by block', ('model', 'block', *PARTS), rows, words=('model', ))
