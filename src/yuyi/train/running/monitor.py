"""Where a run's log lines go: always a file, other places when asked.

A log line is a dictionary, as `StageRun.entry` makes it: `stage`, `step` of `of`, the same counted over all
stages as `at` of `total`, `seconds` since this process began the stage and `seconds_left`, mean `loss` by
task, `rate`, mean `norm` of the gradient, `examples_per_second`, `tokens_per_second`. Steps that float16 left
out have no norm and are counted as `skipped`. Where there was a probe its scores are `probe`, with patience
beside the `best` score of the stage so far, the weights that it began with included.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import publish_file
from yuyi.errors import InputError
from yuyi.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Entry = dict[str, Any]
    Log = Callable[[Entry], None]


class Journal:
    """A file with a line of JSON for each log line."""

    def __init__(self, path: Path) -> None:
        """Take the file, which need not exist."""
        self._path = path

    def begin(self, at: int) -> None:
        """Drop the lines of steps behind `at`, counted over all stages; they will come again.

        Raises:
            InputError: the file cannot be written.
        """
        if not self._path.exists():
            return
        kept = [entry for entry in read_journal(self._path) if entry.get("at", 0) <= at]
        with publish_file(self._path) as temporary:
            temporary.write_bytes(b"".join(map(_line, kept)))

    def __call__(self, entry: Entry) -> None:
        """Append a line; it is written at one go, so a killed run leaves no half of it but the last.

        Raises:
            InputError: the file cannot be written.
        """
        line = _line(entry)
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                if os.write(handle, line) < len(line):
                    raise OSError("No space left on device")
            finally:
                os.close(handle)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{self._path}: cannot be written ({reason}). Make room.") from error


def read_journal(path: Path) -> list[Entry]:
    """Every whole line of a journal; the end of a line that a killed run began is left out."""
    return list(_whole_lines(path.read_bytes()))


def _whole_lines(content: bytes) -> Iterator[Entry]:
    for line in content.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _line(entry: Entry) -> bytes:
    return (json.dumps(entry, ensure_ascii=False) + "\n").encode()


def tell(*logs: Log | None) -> Log:
    """One log that passes each line to all of these."""
    wanted = [log for log in logs if log is not None]

    def all_of_them(entry: Entry) -> None:
        for log in wanted:
            log(entry)

    return all_of_them


def tensorboard_log(folder: Path) -> Log:
    """A log that TensorBoard shows: `tensorboard --logdir FOLDER`.

    What a killed run wrote beyond its last checkpoint is hidden when the run goes on.

    Args:
        folder: where its event files go.

    Raises:
        MissingExtra: tensorboard is not installed.
    """
    require("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writers: list[Any] = []

    def log(entry: Entry) -> None:
        if not writers:
            writers.append(SummaryWriter(str(folder), purge_step=entry["at"]))
        for name, value in numbers_of(entry).items():
            writers[0].add_scalar(name, value, entry["at"])
        writers[0].flush()

    return log


def trackio_log(project: str, name: str, settings: Entry | None = None) -> Log:
    """A log that trackio shows: `trackio show --project PROJECT`.

    A run that goes on keeps its name; what a killed one did behind its last checkpoint is there twice.

    Args:
        project: of trackio.
        name: of the run.
        settings: what decided the run, to be shown beside it.

    Raises:
        MissingExtra: trackio is not installed.
    """
    require("trackio")
    import trackio

    with redirect_stdout(sys.stderr):  # It says where it can be seen.
        trackio.init(project=project, name=name, config=settings, resume="allow")

    def log(entry: Entry) -> None:
        with redirect_stdout(sys.stderr):
            trackio.log(numbers_of(entry), step=entry["at"])
            if not entry["seconds_left"]:
                trackio.finish()

    return log


def numbers_of(entry: Entry) -> dict[str, float]:
    """The numbers of a log line that make a curve, by name, such as `loss/contrast` and `probe/score`."""
    plain = ("rate", "norm", "skipped", "examples_per_second", "tokens_per_second")
    found = {name: float(entry[name]) for name in plain if name in entry}
    for group in ("loss", "probe"):
        found |= {f"{group}/{name}": float(value) for name, value in entry.get(group, {}).items()}
    return found
