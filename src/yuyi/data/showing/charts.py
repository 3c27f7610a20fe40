"""The report's charts as PNG files, for slides and other reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.artifacts import publish_file
from yuyi.data.showing.statistics import LENGTH_EDGES, find_statistics
from yuyi.errors import InputError
from yuyi.extras import require
from yuyi.fonts import chart_fonts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from yuyi.data.folder import DataFolder
    from yuyi.data.showing.statistics import Statistics

_KEPT, _LOST, _INK = "#23806a", "#d8cfc2", "#667075"
# Names beyond these many are left to the page.
_SHOWN = 40


def write_charts(folder: DataFolder, statistics: Statistics | None = None) -> list[Path]:
    """The paths of `charts/sources.png`, `rules.png`, `reasons.png` and `lengths.png`, after writing them.

    Chinese names need a font that has them; without one they are drawn as empty boxes.

    Args:
        folder: holds finished `pairs`, and whatever other steps were done.
        statistics: of the folder; None to find them.

    Raises:
        InputError: there are no pairs, or the charts cannot be written.
        MissingExtra: matplotlib is not installed.
    """
    require("report")
    found = statistics or find_statistics(folder, samples=0)
    place = folder.path / "charts"
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{place}: cannot be written ({error.strerror}). Make room or name another."
        ) from error
    reasons = {each.reason: (each.pairs, each.alone) for each in found.reasons}
    figures = {
        "sources": _bars("Pairs by source", {k: (t.made, t.kept) for k, t in found.sources.items()}),
        "rules": _bars("Pairs by rule", {k: (t.made, t.kept) for k, t in found.rules.items()}),
        "reasons": _bars("Pairs marked by reason", reasons, ("for other reasons too", "for this one alone")),
        "lengths": _lengths(found),
    }
    paths = []
    for name, figure in figures.items():
        path = place / f"{name}.png"
        with publish_file(path) as temporary:
            figure.savefig(temporary, dpi=150, format="png", metadata={"Software": None})
        paths.append(path)
    return paths


def _figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """A figure and its axes, without any state of matplotlib's own being touched."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for each in axes:
        each.spines[["top", "right", "left"]].set_visible(False)
        each.tick_params(colors=_INK, length=0)
    return figure, axes


def _bars(title: str, numbers: dict[str, tuple[int, int]], names: Sequence[str] = ("dropped", "kept")) -> Any:
    """A bar for each name: of the whole, the second number in colour and the rest in grey."""
    from matplotlib.ticker import FuncFormatter

    shown = dict(list(numbers.items())[:_SHOWN])
    figure, (axes,) = _figure(9, 1.3 + 0.3 * max(len(shown), 2))
    whole = np.array([each[0] for each in shown.values()], float)
    part = np.array([each[1] for each in shown.values()], float)
    places = np.arange(len(shown))
    axes.barh(places, part, color=_KEPT, label=names[1], height=0.7)
    axes.barh(places, whole - part, left=part, color=_LOST, label=names[0], height=0.7)
    for place, (all_, some) in zip(places, shown.values(), strict=True):
        axes.annotate(
            f" {all_:,} · {some / max(all_, 1):.0%}", (all_, place), va="center", fontsize=8, color=_INK
        )
    axes.set_yticks(
        places, [name.replace("$", r"\$") for name in shown], fontfamily=chart_fonts(), color="black"
    )
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, max(whole.max(initial=1), 1) * 1.15)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    more = f" (the largest {_SHOWN} of {len(numbers):,})" if len(numbers) > _SHOWN else ""
    axes.set_title(title + more, loc="left", fontweight="bold")
    axes.legend(frameon=False, loc="lower right")
    return figure


def _lengths(statistics: Statistics) -> Any:
    figure, axes = _figure(11, 4, 2)
    for each, (side, (dropped, kept)) in zip(axes, statistics.lengths.items(), strict=True):
        there = np.flatnonzero(dropped + kept)
        last = int(there[-1]) + 1 if len(there) else 2
        edges = np.append(LENGTH_EDGES, LENGTH_EDGES[-1] * 2)
        width = np.diff(edges)[:last]
        each.bar(edges[:last], kept[:last], width, align="edge", color=_KEPT, label="kept")
        each.bar(edges[:last], dropped[:last], width, kept[:last], align="edge", color=_LOST, label="dropped")
        each.set_xscale("log", base=2)
        each.set_ylim(bottom=0)
        each.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        each.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        each.set_title(f"Tokens of {side}", loc="left", fontweight="bold")
        each.legend(frameon=False)
    return figure
