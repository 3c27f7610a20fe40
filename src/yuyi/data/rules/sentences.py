"""Sentences of Chinese and English text."""

from __future__ import annotations

import re
from itertools import pairwise

# What may stand between a sentence's last mark and its end.
_CLOSING = "”’」』）)\\]】》\"'*_"
_END = re.compile(rf"(?:[。！？!?]+|…{{1,2}}|[.．]+)[{_CLOSING}]*|；|\n")
# A full stop after these ends no sentence.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(（“\"])(?:e\.g|i\.e|etc|cf|vs|al|approx|dept|est|fig|figs|inc|ltd|co|corp|no|nos|vol|vols"
    r"|pp?|ch|sec|eq"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mr|mrs|ms|dr|prof|sr|jr|st|gen|rev|u\.s|u\.k|a\.m|p\.m"
    r"|[a-z]|(?:[a-z]\.)+[a-z]|\d{1,2})$",
    re.IGNORECASE,
)
_LOOKBACK = 12


def sentences(text: str) -> list[str]:
    """The sentences of a text in order; joined they are the text again.

    Chinese ends at `。！？；` and `……`, with the quotes and brackets that close after them; English at `.!?`
    before a space, not after an abbreviation, an initial or a number that counts, and not within `3.14`.

    >>> sentences("他说：“走吧。”然后走了。")
    ['他说：“走吧。”', '然后走了。']
    >>> sentences("See e.g. Fig. 3 of v1.2. It is new.")
    ['See e.g. Fig. 3 of v1.2. ', 'It is new.']
    """
    cuts = [0]
    for match in _END.finditer(text):
        if _ends_sentence(text, match):
            end = match.end()
            while end < len(text) and text[end] == " ":
                end += 1
            cuts.append(end)
    cuts.append(len(text))
    return [text[start:end] for start, end in pairwise(cuts) if start < end]


def last_end(text: str, least: int) -> int:
    """Where the last sentence of a text ends, if at the offset `least` or later; else -1."""
    ends = [match.end() for match in _END.finditer(text) if _ends_sentence(text, match)]
    return ends[-1] if ends and ends[-1] >= least else -1


def has_sentence(text: str) -> bool:
    """Whether a text is more than a command, a name or a row of names."""
    return any(_ends_sentence(text, match) for match in _END.finditer(text))


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    mark, end = match[0], match.end()
    following = text[end : end + 1]
    if mark[0] in "!?":
        # In code, addresses and names (`a != b`, `Yahoo!`) no space or ideograph follows.
        if following.isspace():
            # What goes on in lower case goes on after a quotation.
            return not text[end + 1 : end + 2].islower()
        return not following or not following.isascii()
    if mark[0] in "“”’\"'":
        return False
    if mark[0] != ".":
        return True
    if following and not following.isspace():
        return not following.isascii() and following.isalnum() and len(mark) > 1
    if len(mark.rstrip(_CLOSING)) > 1:
        # Dots that go on in lower case are a pause.
        return not text[end + 1 : end + 2].islower()
    return _ABBREVIATION.search(text, max(0, match.start() - _LOOKBACK), match.start()) is None
