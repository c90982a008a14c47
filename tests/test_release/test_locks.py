"""The folder that a run writes to is closed to others; of prepare_imigue.py see test_prepare."""
from functools import partial

import pytest
from filelock import FileLock
from running import run_tool

from gaie_mmaction.release import flow, ma52, smg
from gaie_mmaction.utils.files import locked_folder


@pytest.mark.parametrize('tool, module, source', [
    ('make_flow', flow, 'clips.txt'), ('prepare_ma52', ma52, ''), ('prepare_smg', smg, '')])
def test_second_run_at_once_is_refused(tmp_path, monkeypatch, tool, module, source):
    """It would take the first one's unfinished files for those of a killed run."""
    monkeypatch.setattr(module, 'locked_folder', partial(locked_folder, timeout=.1))
    (tmp_path / 'clips.txt').write_text('v.mp4 7\n')
    out = tmp_path / 'out'
    out.mkdir()
    with FileLock(out / '.lock'):
        (out / '.v.mp4.x.partial').touch()
        code, _ = run_tool(f'data/{tool}.py', tmp_path / source, '--out', out)
    assert f'another process writes into {out} and holds' in code
    assert {path.name for path in out.rglob('*') if path.is_file()} == {'.lock', '.v.mp4.x.partial'}
