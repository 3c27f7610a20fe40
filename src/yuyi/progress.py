"""One display of progress at a time, on standard error: how much is done, how fast, how long it will take."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress

# Shorter work is over before anybody has read a display.
_PATIENCE_SECONDS = 2.0

_display = threading.Lock()


class Done(Protocol):
    """To be called after each piece of work, from any thread."""

    def __call__(self, texts: int, tokens: int = 0) -> None:
        """Count some more texts and their tokens as done."""
        ...


@contextlib.contextmanager
def progress(what: str, *, total: int | None = None, shown: bool | None = None) -> Iterator[Done]:
    """A function to call with the number of texts, and of their tokens, that were just done.

    Nothing is drawn while another display is, or while one is unwanted: work within work counts in the outer
    one alone.

    Args:
        what: the work, as a word in -ing.
        total: number of texts in all, when known; then the time left is shown.
        shown: draw at once, or never; None draws after two seconds if standard error is a terminal.
    """
    if (shown is None and not sys.stderr.isatty()) or not _display.acquire(blocking=False):
        yield _ignore
        return
    try:
        if shown is False:
            yield _ignore
            return
        with contextlib.ExitStack() as stack:
            yield _drawing(stack, what, total, patience=_PATIENCE_SECONDS if shown is None else 0.0)
    finally:
        _display.release()


def _ignore(texts: int, tokens: int = 0) -> None:
    pass


def _drawing(stack: contextlib.ExitStack, what: str, total: int | None, patience: float) -> Done:
    """Counts, and draws on what is closed with `stack` once the work has taken `patience` seconds."""
    begin = time.monotonic()
    counts = {"texts": 0, "tokens": 0}
    display: list[Progress] = []
    lock = threading.Lock()

    def done(texts: int, tokens: int = 0) -> None:
        with lock:
            count(texts, tokens)

    def count(texts: int, tokens: int) -> None:
        counts["texts"] += texts
        counts["tokens"] += tokens
        seconds = time.monotonic() - begin
        if not display and seconds >= patience:
            display.append(stack.enter_context(_bar()))
            display[0].add_task(what, total=total)
        if display:
            rate = f"{counts['tokens'] / max(seconds, 1e-9):,.0f} tokens/s" if counts["tokens"] else ""
            display[0].update(display[0].task_ids[0], completed=counts["texts"], description=f"{what} {rate}")

    return done


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=console.is_terminal)
