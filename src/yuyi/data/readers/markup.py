"""Pieces of Markdown, written so that `text.markdown` reads back what they were made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARKUP = re.compile(
    r"[\\`*]|<(?=[a-zA-Z/!?])|&(?=#?\w{1,32};)|(?<![^\W_])_|_(?![^\W_])|\[(?=[^\[\]]{0,200}\][(:\[])"
)
_MAYBE_MARKUP = re.compile(r"[\\`*<&_\[]")
_STARTS = "#>=-~|"
_LINE_START = re.compile(r"^(?=#{1,6}(?:\s|$)|##|>|=+\s*$|-+\s*$|~~~|\|)", re.MULTILINE)
_BRACKET = re.compile(r"(?<!\\)[\[\]]")
_BACKTICKS = re.compile("`+")
_SPACE = re.compile(r"\s+")
_MOST_COLUMNS = 50


class Cell(NamedTuple):
    """A cell of a table: what it says, and over how many columns and rows it reaches."""

    text: str
    across: int = 1
    down: int = 1


def escape(text: str) -> str:
    """The text with a backslash before what would read as markup inside a line."""
    return _MARKUP.sub(_escaped, text) if _MAYBE_MARKUP.search(text) else text


def escape_starts(text: str) -> str:
    """The text with a backslash before what at the start of a line would read as heading, quote or ruler."""
    if text[:1] not in _STARTS and "\n" not in text:
        return text
    return _LINE_START.sub(r"\\", text)


def link(text: str, target: str) -> str:
    """A link.

    Args:
        text: what is shown, on one line, escaped.
        target: where it leads; may hold spaces.
    """
    target = _SPACE.sub(" ", target.strip()).replace("<", "%3C").replace(">", "%3E")
    enclosed = f"<{target}>" if any(char in target for char in " ()") else target
    return f"[{_BRACKET.sub(_escaped, text)}]({enclosed})"


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[0]}"


def term(words: str) -> str:
    """A term, with what stands between it and its explanation: a colon, full-width after Chinese."""
    words = words.strip()
    if words.endswith((":", "：")):
        return f"{words} " if words.endswith(":") else words
    return f"{words}：" if words[-1:] > "\u2e80" else f"{words}: "


def code_span(content: str) -> str:
    """Code inside a line; its white space becomes single spaces."""
    content = " ".join(content.split())
    if not content:
        return ""
    fence = "`" * (1 + _longest_backticks(content))
    space = " " if content.startswith("`") or content.endswith("`") else ""
    return f"{fence}{space}{content}{space}{fence}"


def code_block(content: str, language: str = "") -> str:
    """A block of code between fences that it does not hold itself."""
    fence = "`" * max(3, 1 + _longest_backticks(content))
    return f"{fence}{language}\n{content}\n{fence}"


def _longest_backticks(content: str) -> int:
    return max(map(len, _BACKTICKS.findall(content)), default=0)


def table(rows: Iterable[Iterable[Cell]]) -> str:
    """A table whose first row is its head; one that has a single column becomes paragraphs.

    A cell that reaches down is repeated in each row, so that every row can be read alone; one that reaches
    across stands in its first column.
    """
    filled = [row for row in _filled(rows) if any(row)]
    width = max(map(len, filled), default=0)
    if width < 2:
        return "\n\n".join(row[0] for row in filled)
    lines = [f"| {' | '.join([*row, *[''] * (width - len(row))])} |" for row in filled]
    return "\n".join([lines[0], f"|{' --- |' * width}", *lines[1:]])


def _filled(rows: Iterable[Iterable[Cell]]) -> Iterable[list[str]]:
    reaching: dict[int, tuple[int, str]] = {}  # by column: rows still to come, and what they say
    for cells in rows:
        row: list[str] = []
        for cell in cells:
            _fill(row, reaching)
            text = " ".join(cell.text.split()).replace("|", "\\|")
            if cell.down > 1:
                reaching[len(row)] = (cell.down - 1, text)
            row += [text, *[""] * (min(cell.across, _MOST_COLUMNS) - 1)]
        _fill(row, reaching)
        yield row


def _fill(row: list[str], reaching: dict[int, tuple[int, str]]) -> None:
    """Append the cells that reach down into this row at its end."""
    while len(row) in reaching:
        left, text = reaching.pop(len(row))
        if left > 1:
            reaching[len(row)] = (left - 1, text)
        row.append(text)
