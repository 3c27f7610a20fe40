"""A count on standard error for work that takes over a second."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE_SECONDS = 1.0


@contextlib.contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of rows just done; it shows their total and rate after a second.

    Nothing is shown when `quiet`, or when standard error is not a terminal.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda rows: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,} rows"), TimeElapsedColumn())
    display = Progress(*columns, console=Console(stderr=True), transient=True)
    task = display.add_task(what, total=None)
    begin = time.monotonic()

    def done(rows: int) -> None:
        display.advance(task, rows)
        if not display.live.is_started and time.monotonic() - begin > _PATIENCE_SECONDS:
            display.start()

    try:
        yield done
    finally:
        if display.live.is_started:
            display.stop()
