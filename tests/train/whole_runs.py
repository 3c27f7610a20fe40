"""Runs from a settings file to a model, and what they tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yuyi.train.run import run_training
from yuyi.train.settings import read_train_config

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.train.running.monitor import Entry


class Stopped(Exception):
    """The run is stopped as by Ctrl-C."""


class Heard:
    """Keeps what a run tells; stops it at a step, if asked to."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.lines: list[str] = []
        self.entries: list[Entry] = []
        self._stop_at = stop_at

    def say(self, line: str) -> None:
        self.lines.append(line)

    def log(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry["at"] == self._stop_at:
            raise Stopped


def run(file: Path, out: str = "out", heard: Heard | None = None, **options: Any) -> Path:
    return run_training(read_train_config(file), file.parent / out, heard or Heard(), **options)
