"""What all tools have in common."""
import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize('path', [ROOT / 'gaie_mmaction/utils/command_line.py',
                                  *sorted((ROOT / 'tools').rglob('*.py'))],
                         ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_abbreviated_options(path):
    """``--out`` would be taken for ``--out-dir``, and a typing error for any option."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        name = node.func if isinstance(node, ast.Call) else None
        if isinstance(name, (ast.Name, ast.Attribute)) and ast.unparse(name).endswith(
                ('ArgumentParser', 'add_parser')):
            values = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert values.get('allow_abbrev') == 'False', f'{path}, line {node.lineno}'
