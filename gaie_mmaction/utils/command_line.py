"""What the command lines of the tools have in common."""
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import DictAction

__all__ = ['Namespace', 'add_model', 'at_least_one', 'exit_on', 'tool_parser']


def tool_parser(description: str | None, epilog: str | None = None) -> ArgumentParser:
    """A parser that keeps the lines of its texts and takes no abbreviated options."""
    return ArgumentParser(description=description, epilog=epilog, allow_abbrev=False,
                          formatter_class=RawDescriptionHelpFormatter)


def add_model(parser: ArgumentParser, config: str = 'config of the model') -> None:
    """Add the arguments that name a model: its config, its checkpoint and ``--cfg-options``."""
    parser.add_argument('config', help=config)
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='config overrides')


def at_least_one(text: str) -> int:
    """Type of an argument: an integer from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f'must be an integer of at least 1, but got {text}')
    return int(text)


@contextmanager
def exit_on(*errors: type[Exception]) -> Iterator[None]:
    """End the tool with the message of such an error in place of a traceback."""
    try:
        yield
    except errors as error:
        sys.exit(str(error))
