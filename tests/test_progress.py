from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

from yuyi.progress import progress

if TYPE_CHECKING:
    import pytest

# Work of three steps; how long a step takes, and what is asked of the display, stands for {}.
CODE = """
import time
from yuyi.progress import progress
with progress("testing", total=3, shown={shown}) as done:
    for _ in range(3):
        time.sleep({seconds})
        done(1, 500)
"""


def at_a_terminal(seconds: float, shown: bool | None = None) -> str:
    """What work of three steps writes to standard error when that is a terminal."""
    ours, theirs = pty.openpty()
    code = CODE.format(seconds=seconds, shown=shown)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=environment)
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 4096):
            written += piece
    except OSError:  # How Linux says that the other end is closed.
        pass
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


def test_long_work_shows_itself_at_a_terminal() -> None:
    written = at_a_terminal(1.1)
    assert "testing" in written
    assert "tokens/s" in written
    assert "3/3" in written


def test_short_or_silenced_work_does_not() -> None:
    assert at_a_terminal(0.0) == ""
    assert at_a_terminal(0.8, shown=False) == ""
    assert "testing" in at_a_terminal(0.0, shown=True)


def test_one_display_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("outer", total=2, shown=True) as outer:
        with progress("inner", shown=True) as inner:
            inner(5)
        outer(2)
    written = capsys.readouterr().err
    assert "outer" in written
    assert "2/2" in written
    assert "inner" not in written
    with progress("next", shown=True) as done:
        done(1)
    assert "next" in capsys.readouterr().err


def test_nothing_is_drawn_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("testing", total=1) as done:
        done(1)
    assert capsys.readouterr().err == ""
