"""Tables as HTML; what stands in their cells is HTML already."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Longer tables begin with this many rows; the others can be opened.
_SHOWN = 25


def head(*cells: tuple[str, str]) -> str:
    """The first row, of titles with the class of their column."""
    return "<tr>" + "".join(f'<th class="{kind}">{title}</th>' for title, kind in cells) + "</tr>"


def table(first: str, rows: Sequence[str]) -> str:
    """A table of rows below the row `first`, of which many are folded away."""
    shown = f"<table>{first}{''.join(rows[:_SHOWN])}</table>"
    if len(rows) > _SHOWN:
        rest = "".join(rows[_SHOWN:])
        shown += (
            f"<details><summary>{len(rows) - _SHOWN:,} more</summary><table>{first}{rest}</table></details>"
        )
    return shown


def key(kept: str = "kept 保留", lost: str = "dropped 剔除") -> str:
    """What the two colours of a bar mean."""
    return f'<div class="key"><span class="kept">{kept}</span><span>{lost}</span></div>'


def percent(part: int, whole: int) -> str:
    """The share of a part as HTML, with one decimal; a dash of nothing."""
    if 0 < part < 0.0005 * whole:
        return "&lt;0.1%"
    return f"{part / whole:.1%}" if whole else "–"
