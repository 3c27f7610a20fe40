"""The curves of a run as a picture: losses, probes, learning rate, gradient, speed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import publish_file
from yuyi.errors import InputError
from yuyi.extras import require
from yuyi.fonts import chart_fonts
from yuyi.train.running.monitor import numbers_of, read_journal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from yuyi.train.running.monitor import Entry

    Curve = tuple[list[int], list[float]]

_COLOURS = ("#23806a", "#b8612b", "#4a6fa5", "#8a5a9e", "#a3872a", "#667075")
_INK = "#667075"


def draw_curves(journal: Path, path: Path) -> None:
    """Write the curves of a journal as PNG: losses, learning rate, gradient, speed, and probes if any.

    Raises:
        InputError: the journal has no lines of training, or the file cannot be written.
        MissingExtra: matplotlib is not installed.
    """
    require("report")
    from matplotlib.figure import Figure

    entries = [entry for entry in read_journal(journal) if "at" in entry]
    if not entries:
        raise InputError(f"{journal}: no steps were logged. Train first.")
    panels = {
        "Loss": _curves(entries, "loss/"),
        "Probe": _curves(entries, "probe/"),
        "Learning rate": _curves(entries, "rate"),
        "Gradient norm": _curves(entries, "norm"),
        "Tokens per second": _curves(entries, "tokens_per_second"),
    }
    drawn = {title: curves for title, curves in panels.items() if curves}
    begins = {entry["stage"]: entry["at"] - entry["step"] for entry in reversed(entries)}
    figure = Figure(figsize=(11, 2.4 * ((len(drawn) + 1) // 2)), layout="constrained")
    grid = figure.subplots((len(drawn) + 1) // 2, 2, squeeze=False).ravel()
    for axes, (title, curves) in zip(grid, drawn.items(), strict=False):
        # Probes ask the same in every stage; other numbers begin anew.
        _draw(axes, title, curves, begins, parted=title != "Probe")
        axes.set_xlim(0, entries[-1]["at"])
    _name_stages(grid[0], begins)
    for axes in grid[len(drawn) :]:
        axes.set_visible(False)
    with publish_file(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png", metadata={"Software": None})


def _curves(entries: Sequence[Entry], wanted: str) -> dict[str, Curve]:
    """Steps and values of each number whose name is or begins with `wanted`."""
    curves: dict[str, Curve] = {}
    for entry in entries:
        for name, value in numbers_of(entry).items():
            if name.startswith(wanted):
                steps, values = curves.setdefault(name.removeprefix(wanted), ([], []))
                steps.append(entry["at"])
                values.append(value)
    return curves


def _draw(
    axes: Any, title: str, curves: Mapping[str, Curve], begins: Mapping[str, int], *, parted: bool
) -> None:
    """One panel, with a thin line where a stage begins, and there a gap in the curves if they are parted."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#d5d9dc")
    axes.tick_params(colors=_INK, length=0)
    axes.grid(axis="y", color="#eceeef", linewidth=0.8)
    axes.set_axisbelow(True)
    for number, (name, (steps, values)) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        marker = "o" if len(steps) < 30 else None
        drawn = _parted(steps, values, begins.values()) if parted else (steps, values)
        axes.plot(*drawn, color=colour, linewidth=1.4, marker=marker, markersize=2.5, label=name)
    for begin in begins.values():
        if begin:
            axes.axvline(begin, color=_INK, linewidth=0.6, linestyle=":")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
    axes.set_title(title, loc="left", fontweight="bold", fontsize=10)
    if list(curves) != [""]:
        axes.legend(frameon=False, prop={"family": chart_fonts(), "size": 8}, labelcolor=_INK)


def _parted(steps: Sequence[int], values: Sequence[float], begins: Collection[int]) -> Curve:
    """The curve with a gap wherever a stage begins."""
    parted: Curve = [], []
    for place, (step, value) in enumerate(zip(steps, values, strict=True)):
        if place and any(steps[place - 1] <= begin < step for begin in begins):
            parted[0].append(step)
            parted[1].append(math.nan)
        parted[0].append(step)
        parted[1].append(value)
    return parted


def _name_stages(axes: Any, begins: Mapping[str, int]) -> None:
    for stage, begin in begins.items():
        axes.annotate(
            stage,
            (begin, 1.0),
            (3, -2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=_INK,
            fontfamily=chart_fonts(),
        )
