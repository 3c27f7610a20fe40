"""Texts from the tables people have: lines, JSONL, Parquet; in blocks, so that memory stays small."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yuyi.errors import InputError
from yuyi.extras import require
from yuyi.records import read_batches
from yuyi.text.decode import reading
from yuyi.text.lines import decode_lines, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STANDARD_INPUT = "-"
SUFFIXES = (".txt", ".jsonl", ".parquet")

# A block ends at whichever comes first; both keep it in a few tens of megabytes, long lines included.
_ROWS = 16_384
_CHARACTERS = 1 << 22


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a table, in order.

    Attributes:
        texts: the text of each row; empty where it has none.
        columns: the rows as pyarrow `RecordBatch`, whole; None unless they were asked for.
    """

    texts: list[str]
    columns: Any = None


def read_texts(source: str, column: str = "text", *, whole_rows: bool = False) -> Iterator[Block]:
    """The rows of a table in blocks of at most 16,384.

    Args:
        source: a `.txt` file (each line a text), a `.jsonl` file, a `.parquet` file, or `-` for lines from
            standard input.
        column: which key or column of JSONL and Parquet holds the text.
        whole_rows: whether the blocks carry every column of their rows too.

    Raises:
        InputError: the source is missing, damaged, of an unknown kind, or lacks the column.
        MissingExtra: Parquet is read or whole rows are asked for, and pyarrow is not installed.
    """
    suffix = Path(source).suffix.lower()
    if source != STANDARD_INPUT and suffix not in SUFFIXES:
        raise InputError(
            f"{source}: its kind is not known by its name. Name a file that ends in {', '.join(SUFFIXES)}, "
            "or - for lines from standard input."
        )
    if suffix == ".parquet":
        yield from _parquet_blocks(Path(source), column, whole_rows)
        return
    rows = _jsonl_rows(Path(source), column) if suffix == ".jsonl" else _line_rows(source)
    schema = None
    for group in _grouped(rows):
        block = Block([text for text, _ in group])
        if whole_rows:
            columns = _as_batch(source, [row for _, row in group], schema)
            schema = columns.schema
            block = Block(block.texts, columns)
        yield block


def standard_input_lines() -> Iterator[str]:
    """Each line that arrives on standard input.

    Raises:
        InputError: what arrives is binary or in no known encoding.
    """
    with reading("standard input"):
        yield from decode_lines(sys.stdin.buffer)


def is_whole(text: str) -> bool:
    """Whether a text can be written as UTF-8; JSON and Python can name half a character, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _line_rows(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = standard_input_lines() if source == STANDARD_INPUT else read_lines(Path(source))
    for line in lines:
        yield line, {"text": line}


def _jsonl_rows(path: Path, column: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}: line {number} is not JSON ({error}). Mend or remove the line."
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {number} is not a JSON object. Give one {{...}} a line.")
        if column not in row:
            raise InputError(
                f"{path}: line {number} has no key {column}; it has {', '.join(row) or 'none'}. "
                "Name one of these."
            )
        text = "" if row[column] is None else row[column]
        if not isinstance(text, str):
            raise InputError(f"{path}: line {number} has {text!r:.40} under {column}, which is not a text.")
        if "\\ud" in line.lower() and not is_whole(text):
            raise InputError(f"{path}: line {number} holds half a character (\\ud...). Remove it.")
        yield text, row


def _grouped(rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    group: list[tuple[str, dict[str, Any]]] = []
    characters = 0
    for row in rows:
        group.append(row)
        characters += len(row[0])
        if len(group) == _ROWS or characters >= _CHARACTERS:
            yield group
            group = []
            characters = 0
    if group:
        yield group


def _as_batch(source: str, rows: list[dict[str, Any]], schema: Any) -> Any:
    """The rows as a pyarrow `RecordBatch` of `schema`, or of their own where there is none yet."""
    require("parquet")
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name in row)
    unknown = names.keys() - (schema.names if schema else names)
    if unknown:
        raise InputError(
            f"{source}: the key {min(unknown)} is not in the first {_ROWS} lines, which decide the columns. "
            "Give each line the same keys, or write .npy."
        )
    try:
        columns = {name: [row.get(name) for row in rows] for name in (schema.names if schema else names)}
        return pa.RecordBatch.from_pydict(columns, schema=schema)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        raise InputError(
            f"{source}: a key holds values of different kinds ({error}). Make them alike, or write .npy."
        ) from error


def _parquet_blocks(path: Path, column: str, whole_rows: bool) -> Iterator[Block]:
    for batch in read_batches(path, [column], every_column=whole_rows, rows=_ROWS):
        texts = [text or "" for text in batch.column(column).to_pylist()]
        if not all(isinstance(text, str) for text in texts):
            kind = batch.schema.field(column).type
            raise InputError(f"{path}: column {column} holds {kind}, not text. Name another column.")
        yield Block(texts, batch if whole_rows else None)
