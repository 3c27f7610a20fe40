"""No Chromium outlives what started it, and none leaves files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .conftest import TINY

if TYPE_CHECKING:
    from collections.abc import Callable

_OPEN = """
import time
from yuyi.export.javascript.page import opened
with opened("about:blank"):
    time.sleep(600)
"""


def browsers(temporary: Path) -> list[str]:
    """Processes of a Chromium with its profile there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if f"={temporary}/yuyi-".encode() in told:
            found.append(process.name)
    return found


def wait_for(so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_chromium_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", _OPEN], env=environment, start_new_session=True)
    wait_for(lambda: len(browsers(tmp_path)) > 3)
    process.kill()
    process.wait()
    wait_for(lambda: not browsers(tmp_path))


def test_an_export_that_is_told_to_end_leaves_nothing(modules: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "yuyi", "export", str(TINY / "bert-zh"), "-o", "out", "--to", "onnx"]
    command += ["--javascript", str(modules.resolve())]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: len(browsers(temporary)) > 3)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error.strip()) == (143, "stopped; nothing was half-written")
    assert browsers(temporary) == []
    # onnxruntime keeps a file of its own among temporary ones.
    left = {path.name for path in (*tmp_path.iterdir(), *temporary.iterdir())}
    assert left - {".ses"} == {"temporary"}
