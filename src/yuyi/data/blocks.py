"""The blocks of cleaned documents, as they lie on disk between `clean` and `pairs`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yuyi.records import read_records, write_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Link:
    """A link in a block.

    Attributes:
        text: what is shown.
        target: where it leads, as it stands in the document: an address, or a path relative to the document.
    """

    text: str
    target: str


@dataclass(frozen=True, slots=True)
class CleanBlock:
    """One block of a document, its text cleaned.

    Attributes:
        document: row of its document in the part of `documents` that has the name of this part.
        kind: `heading`, `paragraph`, `list_item`, `quote`, `table` or `code`.
        level: of a heading, 1 for the highest; 0 for other kinds.
        text: its cleaned text; of a table a line a row, cells joined by ` | `.
        lang: `zh`, `en` or `other`; empty where nothing in it tells.
        script: `simplified` or `traditional` where Chinese characters tell; else empty.
        start: offset of its first character in the document's text.
        end: one past its last.
        part: number of the document's part that it lies in, or -1.
        links: in order.
        common: of a heading: whether it stands over many sections of its source and says little alone.
        drop: why it should not be used, such as `licence`, `navigation` or `recurring`; empty where it may.
    """

    document: int
    kind: str
    level: int
    text: str
    lang: str
    script: str
    start: int
    end: int
    part: int = -1
    links: tuple[Link, ...] = field(default=(), metadata={"rows": Link})
    common: bool = False
    drop: str = ""


def write_blocks(path: Path, blocks: Iterable[CleanBlock]) -> int:
    """Number of rows written to a Parquet file, as `records.write_records` writes it."""
    return write_records(path, blocks, CleanBlock)


def read_blocks(path: Path) -> Iterator[CleanBlock]:
    """Each block of a Parquet file, as `records.read_records` reads it: documents one after another."""
    return read_records(path, CleanBlock)
