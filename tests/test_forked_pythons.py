"""A Python that a command starts: all that it is given, in a fork of the command."""

import json
import os
from pathlib import Path

import pytest
from processes import ENVIRONMENT, Fork
from sweeps import TORTURE, end

STARTS = """
import json, os, subprocess, sys

def start(code):
    return subprocess.run(
        [sys.executable, "-u", "-c", code, "argument"],
        cwd=sys.argv[1], env={**os.environ, "OWN": "value"}, capture_output=True, text=True,
    )

told = start('''
import json, os, sys
print(json.dumps([os.getppid(), "torch" in sys.modules, sys.argv, os.environ["OWN"], os.getcwd()]))
sys.exit("the last words")
''')
killed = start("import os; os.kill(os.getpid(), 9)")
ended = [told.returncode, told.stderr, killed.returncode]
print(json.dumps([os.getpid(), json.loads(told.stdout), ended]))
"""


@pytest.mark.skipif(TORTURE, reason="the long version has true workers")
def test_started_python_has_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "starts.py").write_text(STARTS)
    command = [str(tmp_path / "starts.py"), str(tmp_path / "own")]
    code, output = end(Fork(command, cwd=tmp_path, env=os.environ | ENVIRONMENT))
    assert code == 0, output
    pid, told, ended = json.loads(output)
    assert told == [pid, True, ["-c", "argument"], "value", str(tmp_path / "own")]
    assert ended == [1, "the last words\n", -9]
