"""What the tables of the page share: the key to the colours of bars, and shares in percent."""

from __future__ import annotations


def key(kept: str = "kept 保留", lost: str = "dropped 剔除") -> str:
    """What the two colours of a bar mean."""
    return f'<div class="key"><span class="kept">{kept}</span><span>{lost}</span></div>'


def percent(part: int, whole: int) -> str:
    """The share of a part as HTML, with one decimal; a dash of nothing."""
    if 0 < part < 0.0005 * whole:
        return "&lt;0.1%"
    return f"{part / whole:.1%}" if whole else "–"
