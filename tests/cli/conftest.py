"""The command line, driven as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

TINY = Path(__file__).parent.parent / "tiny" / "static"


class Run(Protocol):
    def __call__(self, *arguments: str | Path, stdin: bytes = b"", **environment: str) -> Result: ...


class Result:
    """What a process left: exit code, and both outputs as text."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    @property
    def error(self) -> str:
        """The message of a refusal, after checking that it is one line without a traceback."""
        assert self.code == 2, self.err
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        return lines[0].removeprefix("error: ")


@pytest.fixture
def yuyi(tmp_path: Path) -> Run:
    """Runs `python -m yuyi` in the folder `tmp_path`, 80 columns wide."""

    def run(*arguments: str | Path, stdin: bytes = b"", **environment: str) -> Result:
        command = [sys.executable, "-m", "yuyi", *map(str, arguments)]
        # One core each, as tests run side by side.
        settings = {**os.environ, "COLUMNS": "80", "YUYI_CORES": "1", **environment}
        return Result(
            subprocess.run(command, input=stdin, capture_output=True, cwd=tmp_path, env=settings, check=False)
        )

    return run
