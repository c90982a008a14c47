"""Tools in this process, as a command line starts them."""
import collections
import contextlib
import io
import runpy
import sys

import pytest
from launching import ROOT
from mmengine.registry import DefaultScope


def run_tool(tool, *arguments):
    """Run ``tools/<tool>``; returns its exit code or error message (None: success), and stdout."""
    output, code = io.StringIO(), None
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        # a fresh process has no scope but the one that the tool sets
        patch.setattr(DefaultScope, '_instance_dict', collections.OrderedDict())
        patch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        try:
            runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        except SystemExit as end:
            code = end.code
    return code, output.getvalue()
