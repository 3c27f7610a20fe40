"""What a training run shows while it goes: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    Entry = dict[str, Any]

# A plain line comes no sooner than this after the one before, unless a stage ends or a probe was taken.
_SECONDS_BETWEEN_LINES = 5.0
_BLOCKS = "▁▂▃▄▅▆▇█"
_CURVE = 32


class View(Protocol):
    """Whom a run tells."""

    def say(self, line: str) -> None:
        """Show a line on what is being done."""
        ...

    def log(self, entry: Entry) -> None:
        """Show a log line, as `yuyi.train.running.monitor` describes it."""
        ...


@contextmanager
def open_view(name: str, *, quiet: bool = False) -> Iterator[View]:
    """A view on standard error, closed with the block.

    Args:
        name: of the model.
        quiet: show nothing.
    """
    console = Console(stderr=True, highlight=False, quiet=quiet)
    if quiet or not console.is_terminal:
        yield PlainView(console)
        return
    from rich.live import Live

    view = LiveView(name, console)
    with Live(get_renderable=view.render, console=console, refresh_per_second=4):
        yield view


class PlainView:
    """A line now and then, for files and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = float("-inf")

    def say(self, line: str) -> None:
        """As `View.say`."""
        self._print(line)

    def log(self, entry: Entry) -> None:
        """As `View.log`; not every line is shown."""
        now = time.monotonic()
        due = now - self._last >= _SECONDS_BETWEEN_LINES
        if due or entry["step"] == entry["of"] or "probe" in entry:
            self._last = now
            self._print(f"  {plain_line(entry)}")

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


class LiveView:
    """Where the run is, how the losses fall, how fast it goes and how good it gets."""

    def __init__(self, name: str, console: Console) -> None:
        self._name = name
        self._console = console
        self._entry: Entry | None = None
        self._said = ""
        self._losses: dict[str, list[float]] = {}
        self._probes: list[tuple[int, float]] = []
        self._heard = time.monotonic()

    def say(self, line: str) -> None:
        """As `View.say`."""
        self._said = line
        self._console.print(Text(line, style="dim"))

    def log(self, entry: Entry) -> None:
        """As `View.log`."""
        if self._entry is not None and self._entry["stage"] != entry["stage"]:
            self._losses = {}
        self._entry, self._heard = entry, time.monotonic()
        for name, value in entry["loss"].items():
            self._losses.setdefault(name, []).append(value)
        if "probe" in entry:
            self._probes.append((entry["at"], entry["probe"]["score"]))

    def render(self) -> RenderableType:
        """The view as it is now."""
        if self._entry is None:
            return Text(f"{self._name}: {self._said}", style="bold")
        entry = self._entry
        left = max(0.0, entry["seconds_left"] - (time.monotonic() - self._heard))
        head = Text.assemble(
            (self._name, "bold"), f"  stage {entry['stage']}", ("  left ", "dim"), clock(left)
        )
        bars = Table.grid(padding=(0, 1), expand=True)
        bars.add_column(style="dim")
        bars.add_column(ratio=1)
        bars.add_column(justify="right")
        for what, done, total in (
            ("stage", entry["step"], entry["of"]),
            ("run", entry["at"], entry["total"]),
        ):
            bars.add_row(what, ProgressBar(total=total, completed=done), f"{done:,}/{total:,}")
        facts = Table.grid(padding=(0, 2))
        facts.add_column(style="dim")
        facts.add_column()
        for name, values in self._losses.items():
            facts.add_row(name, Text.assemble(f"{values[-1]:.4f}  ", (sparkline(values), "green")))
        facts.add_row("speed", speed_line(entry))
        gradient = f"   gradient {entry['norm']:.3g}" if "norm" in entry else ""
        facts.add_row("rate", f"{entry['rate']:.3g}{gradient}")
        if self._probes:
            best_at, best = max(self._probes, key=lambda probe: probe[1])
            scores = [score for _, score in self._probes]
            line = f"{scores[-1]:.4f}  best {best:.4f} at step {best_at:,}  "
            facts.add_row("probe", Text.assemble(line, (sparkline(scores), "green")))
        return Group(head, bars, facts)


def plain_line(entry: Entry) -> str:
    """One line of a log entry: where, losses, speed, time left, and the probe if there was one."""
    losses = "  ".join(f"{name} {value:.4f}" for name, value in entry["loss"].items())
    probe = f"  probe {entry['probe']['score']:.4f}" if "probe" in entry else ""
    where = f"{entry['stage']} {entry['step']:,}/{entry['of']:,}"
    return f"{where}  {losses}{probe}  {speed_line(entry)}  {clock(entry['seconds_left'])} left"


def speed_line(entry: Entry) -> str:
    """Examples and tokens a second."""
    return f"{entry['examples_per_second']:,.0f} examples/s  {entry['tokens_per_second']:,} tokens/s"


def clock(seconds: float) -> str:
    """A time as 1:02:03, with days where there are any."""
    return str(timedelta(seconds=round(seconds)))


def sparkline(values: list[float]) -> str:
    """The last values as blocks of eighths, from their lowest to their highest."""
    shown = values[-_CURVE:]
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(_BLOCKS[min(7, int(8 * (value - low) / span))] for value in shown)
