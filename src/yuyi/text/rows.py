"""Texts from the tables people have: lines, JSONL, CSV, Parquet; in blocks, so that memory stays small."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yuyi.errors import InputError
from yuyi.records import read_batches, read_columns
from yuyi.text.decode import reading
from yuyi.text.lines import LONGEST_LINE, count_lines, decode_lines, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    # A text, and the row it stands in by name of column.
    Row = tuple[str, dict[str, Any]]

STANDARD_INPUT = "-"
SUFFIXES = (".txt", ".jsonl", ".csv", ".tsv", ".parquet")

# A block ends at whichever comes first; both keep it in a few tens of megabytes, long lines included.
_ROWS = 16_384
_CHARACTERS = 1 << 22


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a table, in order.

    Attributes:
        texts: the text of each row; empty where it has none.
        rows: the rows whole: a pyarrow `RecordBatch` from Parquet, a list of dictionaries from everything
            else; None unless they were asked for.
    """

    texts: list[str]
    rows: Any = None


def read_texts(
    source: str,
    column: str = "text",
    *,
    whole_rows: bool = False,
    most_rows: int = _ROWS,
    most_characters: int = _CHARACTERS,
) -> Iterator[Block]:
    """The rows of a table in blocks, which begin and end at the same rows whenever it is read.

    Args:
        source: a `.txt` file (each line a text), a `.jsonl` file, a `.csv` or `.tsv` file whose first line
            names the columns, a `.parquet` file, or `-` for lines from standard input.
        column: which key or column of JSONL, CSV and Parquet holds the text.
        whole_rows: whether the blocks carry every column of their rows too.
        most_rows: a block ends after this many rows, or
        most_characters: with the row that brings its texts to this many characters.

    Raises:
        InputError: the source is missing, damaged, of an unknown kind, or lacks the column.
        MissingExtra: Parquet is read and pyarrow is not installed.
    """
    suffix = _kind(source)
    path = Path(source)
    if suffix == ".parquet":
        yield from _parquet_blocks(path, column, whole_rows, most_rows, most_characters)
    elif suffix == ".jsonl":
        yield from as_blocks(_jsonl_rows(path, column), whole_rows, most_rows, most_characters)
    elif suffix in (".csv", ".tsv"):
        rows = _csv_rows(path, column, "," if suffix == ".csv" else "\t")
        yield from as_blocks(rows, whole_rows, most_rows, most_characters)
    else:
        yield from as_blocks(_line_rows(source), whole_rows, most_rows, most_characters)


def as_blocks(
    rows: Iterable[Row],
    whole_rows: bool = False,
    most_rows: int = _ROWS,
    most_characters: int = _CHARACTERS,
) -> Iterator[Block]:
    """Texts and their rows in blocks, as `read_texts` gives them."""
    texts: list[str] = []
    whole: list[dict[str, Any]] = []
    characters = 0
    for text, row in rows:
        texts.append(text)
        if whole_rows:
            whole.append(row)
        characters += len(text)
        if len(texts) >= most_rows or characters >= most_characters:
            yield Block(texts, whole if whole_rows else None)
            texts, whole, characters = [], [], 0
    if texts:
        yield Block(texts, whole if whole_rows else None)


def count_rows(source: str) -> int | None:
    """About how many rows a table has, without decoding it; None for standard input.

    Lines are counted, so a CSV file with line ends inside its fields, or with blank lines, has fewer.
    """
    if source == STANDARD_INPUT:
        return None
    suffix = _kind(source)
    if suffix == ".parquet":
        return read_columns(Path(source))[1]
    return max(0, count_lines(Path(source)) - (suffix in (".csv", ".tsv")))


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


def _kind(source: str) -> str:
    suffix = Path(source).suffix.lower()
    if source != STANDARD_INPUT and suffix not in SUFFIXES:
        raise InputError(
            f"{source}: its kind is not known by its name. Name a file that ends in {', '.join(SUFFIXES)}, "
            "or - for lines from standard input."
        )
    return suffix


def _line_rows(source: str) -> Iterator[Row]:
    lines = standard_input_lines() if source == STANDARD_INPUT else read_lines(Path(source))
    for line in lines:
        yield line, {"text": line}


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each object of a JSONL file and the number of its line, from 1; blank lines are passed over.

    Raises:
        InputError: the file is missing or no text, or a line is no JSON object or holds half a character.
    """
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
        if ("\\ud" in line or "\\uD" in line) and not is_whole(json.dumps(row, ensure_ascii=False)):
            raise InputError(f"{path}: line {number} holds half a character (\\ud...). Remove it.")
        yield number, row


def read_fields(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The fields of each row of a CSV file and the number of its last line; the first row names the columns.

    Empty rows are passed over.

    Raises:
        InputError: the file is missing or no text, its quotes do not match, or a row has not as many fields
            as the first.
    """
    # Python's own limit is 128 KB, less than many a document; without one an open quote takes all memory.
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader((line + "\n" for line in read_lines(path)), delimiter=delimiter, strict=True)
    width = None
    try:
        for fields in reader:
            if not fields:
                continue
            width = width or len(fields)
            if len(fields) != width:
                raise InputError(
                    f"{path}: line {reader.line_num} has {len(fields)} fields, the first line {width}. "
                    "Put quotes around a field that holds the delimiter."
                )
            yield reader.line_num, fields
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num} is not CSV ({error}). Mend its quotes.") from error


def _jsonl_rows(path: Path, column: str) -> Iterator[Row]:
    for number, row in read_objects(path):
        if column not in row:
            raise InputError(
                f"{path}: line {number} has no key {column}; it has {', '.join(row) or 'none'}. "
                "Name one of these."
            )
        text = "" if row[column] is None else row[column]
        if not isinstance(text, str):
            raise InputError(f"{path}: line {number} has {text!r:.40} under {column}, which is not a text.")
        yield text, row


def _csv_rows(path: Path, column: str, delimiter: str) -> Iterator[Row]:
    rows = (fields for _, fields in read_fields(path, delimiter))
    names = next(rows, None)
    if names is None:
        return
    if names.count(column) != 1:
        times = (
            f"the column {column} {names.count(column)} times" if column in names else f"no column {column}"
        )
        raise InputError(
            f"{path}: its first line names {times}; it has {', '.join(names)}. Name one of these."
        )
    for fields in rows:
        row = dict(zip(names, fields, strict=True))
        yield row[column], row


def _parquet_blocks(
    path: Path, column: str, whole_rows: bool, most_rows: int, most_characters: int
) -> Iterator[Block]:
    for batch in read_batches(path, [column], every_column=whole_rows, rows=most_rows):
        texts = [text or "" for text in batch.column(column).to_pylist()]
        if not all(isinstance(text, str) for text in texts):
            kind = batch.schema.field(column).type
            raise InputError(f"{path}: column {column} holds {kind}, not text. Name another column.")
        start = characters = 0
        for end, text in enumerate(texts, 1):
            characters += len(text)
            if characters >= most_characters or end == len(texts):
                yield Block(texts[start:end], batch.slice(start, end - start) if whole_rows else None)
                start, characters = end, 0
