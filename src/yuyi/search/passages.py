"""Texts cut into passages: a glance long, never across a heading, inside a sentence only if it must be."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.search.query import Passage
from yuyi.search.scan import MARKUP_SUFFIXES
from yuyi.text.markdown import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Characters. Below 200 a piece of a paragraph says too little; above 500 it no longer fits a screen.
_SHORTEST_PIECE = 200
_LONGEST = 500

# Where a long paragraph may be cut, the best places first: after a sentence, after a clause, at a space.
# The line ends of prose mean nothing; those of code, tables and plain text are as good as a sentence's.
_PROSE_ENDS = tuple(
    re.compile(pattern)
    for pattern in (r"[。！？!?；;…]+[”’\"'」』）)】]*\s*|\.\s+", r"[，、：,:]\s*", r"\s+")
)
_LINE_ENDS = (re.compile(rf"{_PROSE_ENDS[0].pattern}|\n+"), *_PROSE_ENDS[1:])
# A line end between two characters that are written without spaces.
_WIDE_LINE_END = re.compile(r"(?<=[\u2e80-\u9fff\uff00-\uff60])\n(?=[\u2e80-\u9fff\uff00-\uff60])")
# Lines that hold something, one after another.
_PARAGRAPH = re.compile(r"\S[^\n]*(?:\n[^\S\n]*\S[^\n]*)*")


def cut_file(path: str, text: str) -> list[Passage]:
    """The passages of a file, in order; its name says whether it is Markdown or plain text."""
    return cut_markdown(text) if Path(path).suffix.lower() in MARKUP_SUFFIXES else cut_plain(text)


def cut_markdown(text: str) -> list[Passage]:
    """The passages of a Markdown or reStructuredText document, in order."""
    line_starts = _line_starts(text)
    pieces: list[Passage] = []
    blocks = parse(text)
    for block, following in zip_longest(blocks, blocks[1:]):
        if block.kind == "heading" and following is not None and block.text in following.path:
            continue  # It is in the path of what follows; a heading without a body stands for itself.
        path = tuple(" ".join(heading.split()) for heading in block.path)
        line = bisect_right(line_starts, block.start)
        pieces.extend(_cut(block.text, path, line, is_prose=block.kind not in ("code", "table")))
    return list(_join(pieces))


def cut_plain(text: str) -> list[Passage]:
    """The passages of a text without markup, whose paragraphs are parted by blank lines, in order."""
    line_starts = _line_starts(text)
    pieces: list[Passage] = []
    for match in _PARAGRAPH.finditer(text):
        pieces.extend(_cut(match[0].rstrip(), (), bisect_right(line_starts, match.start()), is_prose=False))
    return list(_join(pieces))


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _cut(text: str, path: tuple[str, ...], line: int, *, is_prose: bool) -> Iterator[Passage]:
    """Pieces of a paragraph, each at most `_LONGEST` characters and all of about one length."""
    ends = _PROSE_ENDS if is_prose else _LINE_ENDS
    start = 0
    while start < len(text):
        end = _best_end(text, start, ends)
        piece = text[start:end]
        if shown := piece.strip():
            yield Passage(_unwrap(shown) if is_prose else shown, path, line)
        line += piece.count("\n")
        start = end


def _best_end(text: str, start: int, patterns: Iterable[re.Pattern[str]]) -> int:
    """Where the piece that begins at `start` should end, so that what is left divides evenly."""
    left = len(text) - start
    if left <= _LONGEST:
        return len(text)
    goal = start + left // -(-left // _LONGEST)
    low, high = start + _SHORTEST_PIECE, start + _LONGEST
    for pattern in patterns:
        ends = [match.end() for match in pattern.finditer(text, low, high)]
        if ends:
            return min(ends, key=lambda end: abs(end - goal))
    return high


def _unwrap(text: str) -> str:
    """Prose on one line: the terminal that shows it has a width of its own."""
    return _WIDE_LINE_END.sub("", text).replace("\n", " ")


def _join(pieces: Iterable[Passage]) -> Iterator[Passage]:
    """Neighbours under one heading, put together as long as they stay short."""
    waiting: Passage | None = None
    for piece in pieces:
        if waiting is None:
            waiting = piece
        elif waiting.path == piece.path and len(waiting.text) + 1 + len(piece.text) <= _LONGEST:
            waiting = Passage(f"{waiting.text}\n{piece.text}", piece.path, waiting.line)
        else:
            yield waiting
            waiting = piece
    if waiting is not None:
        yield waiting
