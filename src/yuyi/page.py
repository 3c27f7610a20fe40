"""A page of HTML that stands alone: its style inside, nothing from elsewhere, no scripts, light and dark.

The page forbids itself scripts and everything from elsewhere, since the texts on it may be strangers'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Longer tables begin with this many rows; the others can be opened.
_SHOWN = 25
# Controls, surrogates, and what turns the direction of writing; tabs and line ends may stay.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page below a heading; `content` is HTML, and one that is empty is left out.

    Attributes:
        key: its anchor.
        title: its heading.
        chinese: the heading in Chinese.
        content: what stands below.
    """

    key: str
    title: str
    chinese: str
    content: str


def page(
    name: str, about: str, top: str, sections: Sequence[Section], *, style: str = "", footer: str
) -> str:
    """The whole page.

    Args:
        name: its title, any text.
        about: HTML of the paragraph below the title.
        top: HTML before the first section.
        sections: linked below the title, in this order.
        style: CSS beside that of all pages.
        footer: HTML of the last line.
    """
    shown = [section for section in sections if section.content]
    links = "".join(f'<a href="#{each.key}">{each.title} {each.chinese}</a>' for each in shown)
    body = "".join(
        f'<h2 id="{each.key}">{each.title}<i lang="zh">{each.chinese}</i></h2>{each.content}'
        for each in shown
    )
    shared = Path(__file__).with_name("page.css").read_text("utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{safe(name)} · yuyi</title><style>{shared}{style}</style></head><body><main>"
        f"<h1>{safe(name)}</h1><p>{about}</p><nav>{links}</nav>{top}{body}"
        f"<footer>{footer}</footer></main></body></html>\n"
    )


def safe(text: str, longest: int = 120) -> str:
    """A stranger's text for HTML: cut, its unseen characters shown, and escaped."""
    cut = text[:longest] + ("…" if len(text) > longest else "")
    return escape(_UNSEEN.sub(lambda match: f"⟨{ord(match[0]):04X}⟩", cut))


def head(*cells: tuple[str, str]) -> str:
    """The first row of a table, of titles with the class of their column; titles are HTML."""
    return "<tr>" + "".join(f'<th class="{kind}">{title}</th>' for title, kind in cells) + "</tr>"


def table(first: str, rows: Sequence[str]) -> str:
    """A table of rows below the row `first`, of which many are folded away; all of them are HTML."""
    shown = f"<table>{first}{''.join(rows[:_SHOWN])}</table>"
    if len(rows) > _SHOWN:
        rest = "".join(rows[_SHOWN:])
        shown += (
            f"<details><summary>{len(rows) - _SHOWN:,} more</summary><table>{first}{rest}</table></details>"
        )
    return shown
