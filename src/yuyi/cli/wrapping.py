"""Lines broken for a terminal: between Chinese characters, two cells wide, and between English words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from rich.text import Text

# Characters before and after which a line may break: ideographs, kana, full-width forms and their signs.
_WIDE = r"\u2e80-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"
# Signs that do not begin a line, and signs that do not end one.
_CLOSING = r"，。！？；：、）〕】》〉」』”’…—～·％"
_OPENING = r"（〔【《〈「『“‘"
# What stays together on a line: spaces, a Chinese character with its signs, a run of anything else.
_UNIT = re.compile(
    rf"\s+|[{_OPENING}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPENING}{_CLOSING}]+)[{_CLOSING}]*|[{_OPENING}{_CLOSING}]+"
)


def wrap(text: Text, width: int) -> list[Text]:
    """The lines of `text` in its styles, each at most `width` cells wide; spaces at a break are dropped."""
    lines: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        for part in line.divide(_breaks(line.plain, width)):
            part.rstrip()
            lines.append(part)
    return lines


def _breaks(line: str, width: int) -> list[int]:
    """Offsets at which a line is broken."""
    breaks: list[int] = []
    room = width
    for unit in _UNIT.finditer(line):
        cells = cell_len(unit[0])
        if cells <= room or unit[0].isspace():
            room -= cells  # Spaces may hang over the edge: they are dropped there.
            continue
        if unit.start():
            breaks.append(unit.start())
        room = width
        for at in range(unit.start(), unit.end()):
            cells = cell_len(line[at])
            if cells > room:
                breaks.append(at)
                room = width
            room -= cells
    return breaks
