"""Texts and their translations: two files line by line, tables without a head line, and TMX."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from yuyi.data.readers.skipped import Skipped
from yuyi.data.readers.text_files import first_language
from yuyi.data.readers.threads import Thread
from yuyi.data.readers.xml import stream_xml
from yuyi.errors import InputError
from yuyi.text.lines import read_lines
from yuyi.text.rows import read_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from yuyi.records import Document

# Lines of one document: enough that a row is not mostly its own overhead, few enough to be read by people.
_LINES = 200

Aligned = tuple[str, str]


def read_parallel(
    paths: Sequence[Path], *, name: str, source: str, lang: str = ""
) -> Iterator[Document | Skipped]:
    """Documents of up to 200 texts, each followed by its translation as parts of those roles.

    Args:
        paths: two files whose lines belong together, or one TSV, CSV or TMX file. Of a table without a head
            line the first column is the original, the second its translation; of TMX the first two
            languages of each unit.
        name: what `doc_id` begins with; the number of the first line follows.
        source: the collection.
        lang: of both, as `en-zh`; empty to find it out.

    Raises:
        InputError: a file is missing, damaged, or has more lines than the other.
    """
    group: list[Aligned] = []
    first = 1
    for number, pair in enumerate(_aligned(paths), 1):
        said = [bool(text.strip()) for text in pair]
        if all(said):
            first = first if group else number
            group.append(pair)
        elif any(said):
            yield Skipped(name, "line without translation")
        if len(group) == _LINES:
            yield _document(group, source, f"{name}#{first}", lang)
            group = []
    if group:
        yield _document(group, source, f"{name}#{first}", lang)


def _document(pairs: list[Aligned], source: str, doc_id: str, lang: str = "") -> Document:
    thread = Thread("")
    for text, translation in pairs:
        thread.add("translation", translation, of=thread.add("original", text))
    document = thread.document(source, doc_id)
    assert document is not None  # No text among them is empty.
    langs = dict.fromkeys(first_language(" ".join(texts)) for texts in zip(*pairs, strict=True))
    return replace(document, lang=lang or "-".join(langs))


def _aligned(paths: Sequence[Path]) -> Iterator[Aligned]:
    if len(paths) == 2:
        return _two_files(*paths)
    (path,) = paths
    if path.suffix.lower() == ".tmx":
        return _translation_units(path)
    return _two_columns(path)


def _two_files(one: Path, other: Path) -> Iterator[Aligned]:
    # Lines of which some are missing do not belong together from the beginning, so they are counted first.
    lines = {path: sum(1 for _ in read_lines(path)) for path in (one, other)}
    short, long = sorted(lines, key=lambda path: lines[path])
    if lines[short] < lines[long]:
        raise InputError(
            f"{short}: ends after line {lines[short]}, and {long} goes on. Give two files whose "
            "lines belong together."
        )
    yield from zip(read_lines(one), read_lines(other), strict=True)


def _two_columns(path: Path) -> Iterator[Aligned]:
    # A quote in a TSV file of sentences is a quote.
    if path.suffix.lower() == ".csv":
        rows = ((line, fields) for line, fields in read_fields(path, ","))
    else:
        rows = ((line, text.split("\t")) for line, text in enumerate(read_lines(path), 1) if text.strip())
    for line, fields in rows:
        if len(fields) < 2:
            raise InputError(
                f"{path}: line {line} has one column, and a text and its translation are two. Mend the line."
            )
        yield fields[0], fields[1]


def _translation_units(path: Path) -> Iterator[Aligned]:
    units = _Units()
    for _ in stream_xml(path, "tmx", units):
        yield from units.take()


class _Units:
    """The first two texts of each translation unit of TMX."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._pieces: list[str] | None = None
        self._found: list[Aligned] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "seg":
            self._pieces = []

    def data(self, text: str) -> None:
        if self._pieces is not None:
            self._pieces.append(text)

    def end(self, name: str) -> None:
        if name == "seg" and self._pieces is not None:
            self._texts.append(" ".join("".join(self._pieces).split()))
            self._pieces = None
        elif name == "tu":
            if self._texts:
                self._found.append((self._texts[0], self._texts[1] if len(self._texts) > 1 else ""))
            self._texts = []

    def take(self) -> list[Aligned]:
        """The units that have ended since the last call."""
        found, self._found = self._found, []
        return found
