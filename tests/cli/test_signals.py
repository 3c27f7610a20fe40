"""The command line told to end by a signal: in order, with nothing half-written left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TINY = Path(__file__).parent.parent / "tiny"
EXPORT = ["export", str(TINY / "bert-zh"), "-o", "out", "--to", "onnx", "--force"]


def start(folder: Path, *before: str) -> subprocess.Popen[str]:
    """An export over `out`, which holds another one, that has begun to write."""
    (folder / "out").mkdir()
    (folder / "out" / "parity.json").write_text("{}", encoding="utf-8")
    command = [*before, sys.executable, "-m", "yuyi", *EXPORT]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(folder.glob(".out.*/onnx")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_all_as_it_was(tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = start(tmp_path)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error.strip()) == (code, "stopped; nothing was half-written")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "parity.json"]


def test_nohup_goes_on(tmp_path: Path) -> None:
    process = start(tmp_path, "nohup")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert (tmp_path / "out" / "onnx" / "model.onnx").is_file()
