"""Charts of scores as inline SVG; `page.css` beside this file has their colours, for light and dark.

Charts in cells of tables hold no text and stretch with the cell; the others are drawn for their own size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from yuyi.page import safe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The style sheet has so many colours; further columns begin anew.
COLOURS = 8

_WIDTH = 1000
_PANEL_WIDTH, _PANEL_HEIGHT, _MARGIN = 260, 150, 26


def bar(value: float, place: int) -> str:
    """A bar of a score in percent, as long as its share of 100, in the colour of the column at `place`.

    A score below 0 has no bar, and says so where a pointer rests on it.
    """
    width = min(max(value, 0.0), 100.0) / 100 * _WIDTH
    title = f"<title>{value:.2f}: below 0</title>" if value < 0 else ""
    return (
        f'<svg viewBox="0 0 {_WIDTH} 10" height="10" preserveAspectRatio="none" role="img" '
        f'aria-label="{value:.2f}">{title}<rect class="rest" width="{_WIDTH}" height="10"/>'
        f'<rect class="c{place % COLOURS}" width="{width:.1f}" height="10"/></svg>'
    )


def interval(value: float, ends: tuple[float, float] | None, largest: float, *, real: bool) -> str:
    """A difference as a tick on its interval, with a line at 0 in the middle.

    Args:
        value: the difference.
        ends: of its interval; None where it has none.
        largest: what reaches to the end of the axis, on either side.
        real: whether it is drawn in colour.
    """

    def at(number: float) -> float:
        share = min(max(number / (largest or 1.0), -1.0), 1.0)
        return _WIDTH / 2 * (1 + 0.98 * share)

    colour = ("above" if value > 0 else "below") if real else "unsure"
    shapes = f'<rect class="zero" x="{_WIDTH / 2 - 1:.0f}" width="2" height="16"/>'
    if ends:
        low, high = map(at, ends)
        shapes += (
            f'<rect class="{colour}" opacity="0.45" x="{low:.1f}" y="6" width="{max(high - low, 2):.1f}" '
            'height="4"/>'
        )
    shapes += f'<rect class="{colour}" x="{at(value) - 4:.1f}" y="2" width="8" height="12"/>'
    return (
        f'<svg viewBox="0 0 {_WIDTH} 16" height="16" preserveAspectRatio="none" role="img" '
        f'aria-label="{value:+.2f}">{shapes}</svg>'
    )


def over_dimensions(
    title: str, about: str, lines: Mapping[str, Mapping[int, float]], places: Sequence[int]
) -> str:
    """Scores against the dimension of the vectors, on a logarithmic axis; a line for each name.

    Args:
        title: what the scores are of.
        about: what stands below the title.
        lines: score in percent by dimension.
        places: the colour of each line.
    """
    dims = sorted({dim for line in lines.values() for dim in line})
    scores = [score for line in lines.values() for score in line.values()]
    low, high = math.floor(min(scores) - 0.5), math.ceil(max(scores) + 0.5)
    width, height = _PANEL_WIDTH - 2 * _MARGIN, _PANEL_HEIGHT - 2 * _MARGIN

    def spot(dim: int, score: float) -> tuple[float, float]:
        across = math.log(dim / dims[0]) / (math.log(dims[-1] / dims[0]) or 1.0)
        return _MARGIN + across * width, _MARGIN + (high - score) / (high - low) * height

    shapes = [
        f'<line class="axis" x1="{_MARGIN}" x2="{_MARGIN + width}" y1="{y}" y2="{y}"/>'
        for y in (_MARGIN, _MARGIN + height)
    ]
    shapes += [
        f'<text x="{_MARGIN - 4}" y="{y + 4}" text-anchor="end">{score}</text>'
        for score, y in ((high, _MARGIN), (low, _MARGIN + height))
    ]
    shapes += [
        f'<text x="{spot(dim, low)[0]:.1f}" y="{_PANEL_HEIGHT - 8}" text-anchor="middle">{dim}</text>'
        for dim in _apart(dims)
    ]
    for (name, line), place in zip(lines.items(), places, strict=True):
        spots = [(*spot(dim, score), dim, score) for dim, score in sorted(line.items())]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in spots)
        shapes.append(f'<polyline class="line c{place % COLOURS}" points="{path}"/>')
        shapes += [
            f'<circle class="c{place % COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{safe(name)}, '
            f"{dim}: {score:.2f}</title></circle>"
            for x, y, dim, score in spots
        ]
    return (
        f'<figure><figcaption>{safe(title)}<br><span class="dim">{safe(about)}</span></figcaption>'
        f'<svg viewBox="0 0 {_PANEL_WIDTH} {_PANEL_HEIGHT}" role="img" '
        f'aria-label="{safe(title)} over dimensions">{"".join(shapes)}</svg></figure>'
    )


def _apart(dims: Sequence[int]) -> list[int]:
    """The dimensions whose names have room on the axis, the largest and the smallest always."""
    span = math.log(dims[-1] / dims[0]) or 1.0
    found = [dims[-1]]
    for dim in reversed(dims[:-1]):
        room = math.log(found[-1] / dim) / span
        if room > 0.14 and (dim == dims[0] or math.log(dim / dims[0]) / span > 0.14):
            found.append(dim)
    return found
