"""Documents out of text, Markdown, reStructuredText and HTML files, one a file but for very long ones."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from yuyi.data.languages import language_of
from yuyi.errors import InputError
from yuyi.records import Document
from yuyi.text.decode import read_text
from yuyi.text.lines import read_lines
from yuyi.text.markdown import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A longer file becomes several documents, so that no file, however large, has to be held.
_WHOLE_BYTES = 12 << 20
_PIECE_CHARACTERS = 4_000_000
# A title stands at the beginning, and the language shows there; looking at the whole text would take longer
# than reading it.
_HEAD_CHARACTERS = 5_000
_STRETCH = 600
_CODE = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1|\Z)|`[^`\n]+`|\]\([^()\n]*\)", re.MULTILINE | re.DOTALL)


def read_text_file(path: Path, *, name: str, source: str, lang: str = "") -> Iterator[Document]:
    """The file as a document, or as several where it is longer than 12 MiB.

    Its title is its first heading, else its name. The pieces of a long file end where a line ends, where
    possible before a heading; their `doc_id` is `name#1`, `name#2`, ...

    Args:
        path: the file.
        name: its `doc_id`.
        source: the collection.
        lang: its language; empty to find it out.

    Raises:
        InputError: the file is missing, no text, in no known encoding, or has a line beyond all measure.
    """
    if path.stat().st_size <= _WHOLE_BYTES:
        text = read_text(path)
        if text.strip():
            yield Document(source, name, _title(text) or path.stem, text, lang or first_language(text))
        return
    title = ""
    for number, text in enumerate(_pieces(read_lines(path)), 1):
        if text.strip():
            title = title or _title(text) or path.stem
            yield Document(source, f"{name}#{number}", title, text, lang or first_language(text))


def read_html_file(path: Path, *, name: str, source: str, lang: str = "") -> Iterator[Document]:
    """The page as a document in Markdown; its title is the page's, else the file's name.

    Args:
        path: the file.
        name: its `doc_id`.
        source: the collection.
        lang: its language; empty to find it out.

    Raises:
        InputError: the file is missing, no text, in no known encoding, or larger than 12 MiB.
    """
    from yuyi.data.readers.html import html_to_markdown

    size = path.stat().st_size
    if size > _WHOLE_BYTES:
        raise InputError(
            f"{path}: has {size >> 20} MiB, and a page may have {_WHOLE_BYTES >> 20}. Split the file."
        )
    title, text = html_to_markdown(read_text(path))
    if text.strip():
        yield Document(source, name, title.strip() or path.stem, text, lang or first_language(text))


def first_language(text: str) -> str:
    """`zh`, `en` or `other`: what most stretches of the beginning of a text are in; `en` where none tells."""
    # Code reads as English, and so does a licence that stands before a Chinese text.
    head = _CODE.sub(" ", text[:_HEAD_CHARACTERS])
    found = (language_of(head[start : start + _STRETCH]) for start in range(0, len(head), _STRETCH))
    ((lang, _),) = Counter(filter(None, found)).most_common(1) or [("en", 0)]
    return lang


def _title(text: str) -> str:
    return next((block.text for block in parse(text[:_HEAD_CHARACTERS]) if block.kind == "heading"), "")


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    """Stretches of at most 4 million characters, or one line where that is longer."""
    piece: list[str] = []
    characters = 0
    for line in lines:
        full = characters + len(line) > _PIECE_CHARACTERS
        if piece and (full or (line.startswith("#") and characters > _PIECE_CHARACTERS // 2)):
            yield "".join(piece)
            piece, characters = [], 0
        piece += (line, "\n")
        characters += len(line) + 1
    if piece:
        yield "".join(piece)
