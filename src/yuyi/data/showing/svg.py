"""Small charts as inline SVG; the page's style sheet has their colours, for light and dark."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_WIDTH = 1000
_BARS = 24


def bar(made: int, kept: int, largest: int) -> str:
    """A bar of what was made, the kept part first, as long as its share of `largest`."""
    scale = _WIDTH / max(largest, 1)
    whole, part = max(made * scale, 2.0 if made else 0.0), kept * scale
    return (
        f'<svg viewBox="0 0 {_WIDTH} 14" height="14" preserveAspectRatio="none" role="img" '
        f'aria-label="{kept:,} of {made:,}"><rect class="lost" width="{whole:.1f}" height="14" rx="2"/>'
        f'<rect class="kept" width="{part:.1f}" height="14" rx="2"/></svg>'
    )


def lengths(edges: NDArray[np.int64], dropped: NDArray[np.int64], kept: NDArray[np.int64]) -> str:
    """A histogram with a logarithmic axis: kept below, dropped on top, the bars beginning at `edges`."""
    total = dropped + kept
    there = np.flatnonzero(total)
    if not len(there):
        return '<p class="dim">No lengths are known.</p>'
    first, last = there[0], there[-1] + 1
    width, height = 500, 190
    step, scale = width / (last - first), height / total.max()
    shapes = []
    for place in range(first, last):
        left = (place - first) * step
        for name, count, below in (("kept", kept[place], 0), ("lost", dropped[place], kept[place])):
            if count:
                top = height - (below + count) * scale
                shapes.append(
                    f'<rect class="{name}" x="{left + 0.5:.1f}" y="{top + 14:.1f}" '
                    f'width="{step - 1:.1f}" height="{max(count * scale, 0.5):.1f}">'
                    f"<title>{_range(edges, place)} tokens: {count:,} {_WORDS[name]}</title></rect>"
                )
        if (place - first) % max(1, (last - first) // 9) == 0:
            shapes.append(f'<text x="{left:.1f}" y="{height + 29}">{edges[place]:,}</text>')
    axis = f'<line class="axis" x1="0" x2="{width}" y1="{height + 14}" y2="{height + 14}"/>'
    most = f'<text x="{width}" y="10" text-anchor="end">{total.max():,}</text>'
    return f'<svg viewBox="0 0 {width} {height + 34}" role="img">{"".join(shapes)}{axis}{most}</svg>'


_WORDS = {"kept": "kept", "lost": "dropped"}


def _range(edges: NDArray[np.int64], place: int) -> str:
    if place + 1 == len(edges):
        return f"{edges[place]:,} and more"
    last = edges[place + 1] - 1
    return f"{edges[place]:,}" if last <= edges[place] else f"{edges[place]:,}–{last:,}"


def values(numbers: NDArray[np.float64], limits: Mapping[str, float]) -> str:
    """A histogram of numbers with a line at each limit; one line of text where all are the same.

    The axis ends at the 99th percentile, where further numbers are many times as large.
    """
    numbers = numbers[np.isfinite(numbers)]
    marks = [value for value in limits.values() if np.isfinite(value)]
    if not len(numbers):
        return ""
    low, high = min([float(numbers.min()), *marks]), max([_end(numbers), *marks])
    if low == high or numbers.min() == numbers.max():
        line = ", ".join(f"{escape(name)} {_number(value)}" for name, value in limits.items())
        same = f"always {_number(float(numbers[0]))}"
        return f'<p class="where">value {same}{f" (limit: {line})" if line else ""}</p>'
    bins = _bins(numbers, low, high)
    # Where every number has a bar of its own, a limit stands before that of its number.
    end = high + 1 if bins == round(high - low) + 1 else high
    counts, _ = np.histogram(np.clip(numbers, low, high), bins=bins, range=(low, end))
    width, height = 330, 74
    step = width / len(counts)
    bars = "".join(
        f'<rect class="kept" x="{place * step + 0.5:.1f}" y="{height - tall:.1f}" width="{step - 1:.1f}" '
        f'height="{tall:.1f}"><title>{count:,}</title></rect>'
        for place, count in enumerate(counts)
        if count
        for tall in [max(count * (height - 16) / counts.max(), 1.5)]
    )
    lines = "".join(
        _limit(name, value, (value - low) / (end - low) * width, height, place)
        for place, (name, value) in enumerate(limits.items())
    )
    more = " +" if numbers.max() > high else ""
    return (
        f'<svg viewBox="0 0 {width} {height + 16}" role="img">{bars}'
        f'<line class="axis" x1="0" x2="{width}" y1="{height}" y2="{height}"/>{lines}'
        f'<text x="0" y="{height + 13}">{_number(low)}</text>'
        f'<text x="{width}" y="{height + 13}" text-anchor="end">{_number(high)}{more}</text></svg>'
    )


def _limit(name: str, value: float, x: float, height: int, place: int) -> str:
    side, shift = ("end", -4) if x > 150 else ("start", 4)
    x = min(max(x, 0.75), 329.25)
    return (
        f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{height}"/>'
        f'<text class="limit-text" x="{x + shift:.1f}" y="{10 + 12 * place}" text-anchor="{side}">'
        f"{escape(name)} {_number(value)}</text>"
    )


def _bins(numbers: NDArray[np.float64], low: float, high: float) -> int:
    """As many bars as there are whole numbers, where there are no others and not too many."""
    whole = bool((numbers == np.round(numbers)).all()) and low == round(low) and high == round(high)
    return round(high - low) + 1 if whole and high - low < _BARS else _BARS


def _end(numbers: NDArray[np.float64]) -> float:
    most, usual = float(numbers.max()), float(np.percentile(numbers, 99))
    return usual if usual > 0 and most > 3 * usual else most


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.3g}"


def shares(parts: Sequence[tuple[str, int]]) -> str:
    """One bar that is divided as `parts` are, with their names below."""
    total = sum(count for _, count in parts) or 1
    shapes, left = [], 0.0
    for place, (name, count) in enumerate(parts):
        width = count / total * _WIDTH
        shapes.append(
            f'<rect class="kept" x="{left:.1f}" width="{max(width - 2, 1):.1f}" height="16" rx="2" '
            f'opacity="{max(1 - 0.22 * place, 0.2):.2f}"><title>{escape(name)} {count:,}</title></rect>'
        )
        left += width
    frame = f'viewBox="0 0 {_WIDTH} 16" height="16" preserveAspectRatio="none" role="img"'
    return f"<svg {frame}>{''.join(shapes)}</svg>"
