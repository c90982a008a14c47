"""Rules of the code base that a linter does not check."""
import ast
import re
import statistics
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = sorted((ROOT / 'gaie_mmaction').rglob('*.py'))
TOOLS = sorted((ROOT / 'tools').rglob('*.py'))
# upstream's constructors, and those that a pickle calls with whatever it holds
FOREIGN_CALLS = ('compat.py', 'utils/safe_pickle.py')
MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.Call)


def list_functions(paths):
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f'{path.relative_to(ROOT)}:{node.lineno} {node.name}', node


def count_lines(path):
    return len(path.read_text(encoding='utf-8').splitlines())


def count_comments(path):
    """Comments for readers: those for linters and type checkers do not count."""
    with open(path, 'rb') as file:
        return sum(token.type == tokenize.COMMENT
                   and not re.match(r'#\s*(noqa|type:|isort|pragma|pylint|!)', token.string)
                   for token in tokenize.tokenize(file.readline))


def test_constructors_name_their_arguments():
    """A misspelled config key is an error instead of being swallowed."""
    paths = [path for path in PACKAGE if not path.as_posix().endswith(FOREIGN_CALLS)]
    open_ended = [place for place, node in list_functions(paths)
                  if node.name == '__init__' and (node.args.vararg or node.args.kwarg)]
    assert open_ended == []


def test_defaults_are_immutable():
    shared = [place for place, node in list_functions(PACKAGE + TOOLS)
              for default in (*node.args.defaults, *node.args.kw_defaults)
              if isinstance(default, MUTABLE)]
    assert shared == []


def test_files_are_short():
    long = {str(path.relative_to(ROOT)): count_lines(path) for path in PACKAGE + TOOLS
            if count_lines(path) > 450}
    assert long == {}


def test_tools_are_thin():
    """What they do lives in the package, where a notebook can call it."""
    assert statistics.median(count_lines(path) for path in TOOLS) <= 80


@pytest.mark.parametrize('folder', ['ops', 'models'])
def test_comments_say_why(folder):
    """At least 4 comments per 100 lines where the decisions of the method fall."""
    paths = sorted((ROOT / 'gaie_mmaction' / folder).rglob('*.py'))
    assert 100 * sum(map(count_comments, paths)) / sum(map(count_lines, paths)) >= 4
