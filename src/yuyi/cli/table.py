"""The input of a verb that reads many texts: a file, the passages of a folder, or standard input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import hash_json
from yuyi.text.rows import STANDARD_INPUT, as_blocks, count_rows, read_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yuyi.text.rows import Block


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to read.

    Attributes:
        source: where they come from, as the user named it.
        blocks: gives the rows in blocks of so many rows or characters at most, cut alike each time.
        identity: what changes when the input does, as JSON values; None where it cannot be read twice.
        count: gives the number of rows, about; None where only reading tells.
    """

    source: str
    blocks: Callable[[int, int], Iterator[Block]]
    identity: Any
    count: Callable[[], int | None]


def open_table(source: str, column: str, *, whole_rows: bool, skip: Callable[[str], None]) -> Table:
    """The rows of `source`; a folder's are the passages of its Markdown and text files.

    Args:
        source: what `read_texts` takes, or a folder.
        column: which key or column holds the text.
        whole_rows: whether blocks carry every column.
        skip: called with a line for each file of a folder that is left out.
    """
    path = Path(source)
    if source != STANDARD_INPUT and path.is_dir():
        return _open_folder(source, whole_rows, skip)

    def blocks(most_rows: int, most_characters: int) -> Iterator[Block]:
        return read_texts(
            source, column, whole_rows=whole_rows, most_rows=most_rows, most_characters=most_characters
        )

    if source == STANDARD_INPUT or not path.is_file():
        return Table(source, blocks, None, _unknown)
    status = path.stat()
    identity = [str(path.absolute()), status.st_size, status.st_mtime_ns]
    return Table(source, blocks, identity, lambda: count_rows(source))


def _open_folder(source: str, whole_rows: bool, skip: Callable[[str], None]) -> Table:
    from yuyi.search.rows import read_passages
    from yuyi.search.scan import scan

    found = scan([source])

    def blocks(most_rows: int, most_characters: int) -> Iterator[Block]:
        return as_blocks(read_passages(found, skip), whole_rows, most_rows, most_characters)

    files = hash_json([[file.path, file.size, file.mtime_ns] for file in found.files])
    return Table(source, blocks, files, _unknown)


def _unknown() -> None:
    """The number of rows of what only reading can count."""
