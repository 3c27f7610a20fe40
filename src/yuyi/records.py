"""The rows that travel between rooms, and their Parquet files.

A document is a whole text; a pair is two texts that belong together (or, with a label, that were judged); a
mark says why a row should not be used. Rooms meet in these files: `data` writes pairs, `train` reads them,
and neither imports the other.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from yuyi.artifacts import publish_file
from yuyi.errors import InputError
from yuyi.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

# Goes before the reason of a mark that is on the document of a pair.
DOCUMENT_PREFIX = "document: "

_ROWS_PER_GROUP = 20_000
_BUFFER_BYTES = 1 << 20

Record = TypeVar("Record")
Role: TypeAlias = Literal[
    "question", "answer", "comment", "duplicate", "summary", "content", "keywords", "original", "translation"
]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a document that plays a role of its own, such as one answer in a thread.

    Attributes:
        role: what it is to the rest.
        start: offset of its first character in the document's text.
        end: one past its last.
        score: votes or likes, or None where nobody counted.
        of: number of the part that it answers, comments on or translates; -1 for the document as a whole.
    """

    role: Role
    start: int
    end: int
    score: float | None = None
    of: int = -1


@dataclass(frozen=True, slots=True)
class Document:
    """A whole text with its headings kept, in Markdown.

    Attributes:
        source: name of the collection it belongs to.
        doc_id: its name within the collection, unique together with `lang`.
        title: its title, or the empty string.
        text: its Markdown.
        lang: `zh`, `en` or another language code.
        parts: the stretches with a role of their own, in order; empty for ordinary prose.
    """

    source: str
    doc_id: str
    title: str
    text: str
    lang: str
    parts: tuple[Part, ...] = field(default=(), metadata={"rows": Part})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that belong together, and where they came from.

    Attributes:
        source: name of the collection.
        kind: what the two are to each other: the rule that found them, or for ready pairs what their source
            says: `qa`, `paraphrase`, `nli`, `sts`, `parallel`, ...
        text_a: the asking side: query, title, heading path, first sentence.
        text_b: the answering side.
        label: the judgment, or None where every row is a positive pair.
        lang: language code, or two joined by a hyphen.
        doc_id: the document that `text_b` was taken from, or the empty string.
        start: first character of what `text_b` was made of in that document's text, or -1.
        end: one past its last character, or -1.
        pair_id: 16 hex digits made of source, kind, document and both texts; empty in files made elsewhere.
        doc_a: the document that `text_a` was taken from, where that is another one; else the empty string.
        start_a: first character of what `text_a` was made of, or -1 where it is put together from several.
        end_a: one past its last character, or -1.
        tokens_a: length of `text_a` in tokens, or -1.
        tokens_b: length of `text_b` in tokens, or -1.
        negatives: texts that resemble `text_b` and do not answer `text_a`.
        lang_b: language of the document `doc_id`, without which a name in two languages is not unique.
        lang_a: language of the document `doc_a`, where there is one.
    """

    source: str
    kind: str
    text_a: str
    text_b: str
    label: float | None
    lang: str
    doc_id: str = ""
    start: int = -1
    end: int = -1
    pair_id: str = ""
    doc_a: str = ""
    start_a: int = -1
    end_a: int = -1
    tokens_a: int = -1
    tokens_b: int = -1
    negatives: tuple[str, ...] = ()
    lang_b: str = ""
    lang_a: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Why a row should not be used. Nothing is deleted: a row may have several marks, or lose them again.

    Attributes:
        row: number of the row in its file of pairs or documents.
        id: the row's `pair_id` or `doc_id`.
        reason: a stable name, such as `too short`.
        value: the number that decided, such as a length, a share or a rank.
        note: what the number alone does not say, such as the row that this one repeats.
    """

    row: int
    id: str
    reason: str
    value: float
    note: str = ""


def write_pairs(path: Path, pairs: Iterable[Pair]) -> int:
    """Number of rows written to a Parquet file, as `write_records` writes it."""
    return write_records(path, pairs, Pair)


def write_documents(path: Path, documents: Iterable[Document]) -> int:
    """Number of rows written to a Parquet file, as `write_records` writes it."""
    return write_records(path, documents, Document)


def write_marks(path: Path, marks: Iterable[Mark]) -> int:
    """Number of rows written to a Parquet file, as `write_records` writes it."""
    return write_records(path, marks, Mark)


def write_records(path: Path, records: Iterable[Any], kind: type) -> int:
    """Number of rows written to a Parquet file, which appears only when all of them are in it.

    Args:
        path: the file.
        records: objects of the class `kind`, streamed.
        kind: a dataclass; each of its attributes is a column. One whose metadata names a dataclass as `rows`
            is a tuple of such objects.

    Raises:
        InputError: the place cannot be written.
        MissingExtra: pyarrow is not installed.
    """
    require("parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(kind)
    values = [(each.name, attrgetter(each.name), each.metadata.get("rows")) for each in fields(kind)]
    waiting = iter(records)
    written = 0
    with publish_file(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        while group := list(islice(waiting, _ROWS_PER_GROUP)):
            columns = {
                name: [_plain(get(row), inner) if inner else get(row) for row in group]
                for name, get, inner in values
            }
            writer.write_table(pa.Table.from_pydict(columns, schema))
            written += len(group)
    return written


def _plain(rows: Sequence[Any], kind: type) -> list[dict[str, Any]]:
    names = [each.name for each in fields(kind)]
    return [{name: getattr(row, name) for name in names} for row in rows]


def _schema(kind: type) -> Any:
    """The pyarrow schema of a dataclass of rows, a column for each of its attributes."""
    import pyarrow as pa

    types = {
        "str": pa.string(),
        "int": pa.int64(),
        "bool": pa.bool_(),
        "float": pa.float64(),
        "float | None": pa.float64(),
        "Role": pa.string(),
        "tuple[str, ...]": pa.list_(pa.string()),
    }
    return pa.schema(
        (each.name, pa.list_(pa.struct(_schema(inner))) if inner else types[str(each.type)])
        for each in fields(kind)
        for inner in (each.metadata.get("rows"),)
    )


def read_records(path: Path, kind: type[Record]) -> Iterator[Record]:
    """Each row of a Parquet file as an object of the dataclass `kind`, in order, streamed.

    Columns of attributes that have a default may be absent.

    Raises:
        InputError: the file is missing, cut off, or lacks a column.
        MissingExtra: pyarrow is not installed.
    """
    each = fields(kind)  # type: ignore[arg-type]
    needed = [one.name for one in each if one.default is MISSING]
    optional = [one.name for one in each if one.default is not MISSING]
    inner = {one.name: one.metadata["rows"] for one in each if "rows" in one.metadata}
    lists = {one.name for one in each if str(one.type).startswith("tuple")} - inner.keys()
    for row in read_rows(path, needed, optional):
        for name in inner.keys() & row.keys():
            row[name] = tuple(inner[name](**values) for values in row[name] or ())
        for name in lists & row.keys():
            row[name] = tuple(row[name] or ())
        yield kind(**row)


def read_pairs(path: Path) -> Iterator[Pair]:
    """Each pair of a Parquet file, as `read_records` reads it; columns of yuyi alone may be absent."""
    return read_records(path, Pair)


def read_documents(path: Path) -> Iterator[Document]:
    """Each document of a Parquet file, as `read_records` reads it; the column `parts` may be absent."""
    return read_records(path, Document)


def read_marks(path: Path) -> Iterator[Mark]:
    """Each mark of a Parquet file, as `read_records` reads it."""
    return read_records(path, Mark)


def read_rows(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Each row of a Parquet file as a dictionary of the named columns, streamed in bounded memory.

    Raises:
        InputError: the file is missing, cut off, or lacks a column of `columns`.
        MissingExtra: pyarrow is not installed.
    """
    for batch in read_batches(path, columns, optional):
        yield from batch.to_pylist()


def read_batches(
    path: Path,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    *,
    every_column: bool = False,
    rows: int = 65_536,
) -> Iterator[Any]:
    """Blocks of at most `rows` rows of a Parquet file, as pyarrow `RecordBatch`.

    They hold the named columns, or every column of the file where `every_column` is true.

    Raises:
        InputError: the file is missing, cut off, or lacks a column of `columns`.
        MissingExtra: pyarrow is not installed.
    """
    with _open_parquet(path) as file:
        import pyarrow as pa

        names = file.schema_arrow.names
        missing = [name for name in columns if name not in names]
        if missing:
            raise InputError(
                f"{path}: has no column {', '.join(missing)}; it has {', '.join(names)}. Name one of these."
            )
        wanted = names if every_column else [*columns, *(name for name in optional if name in names)]
        try:
            yield from file.iter_batches(batch_size=rows, columns=wanted)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{path}: damaged Parquet file ({error}). Write or copy it again.") from error


def read_columns(path: Path) -> tuple[tuple[str, ...], int]:
    """Names of a Parquet file's columns and its number of rows, without reading the rows.

    Raises:
        InputError: the file is missing or cut off.
        MissingExtra: pyarrow is not installed.
    """
    with _open_parquet(path) as file:
        return tuple(file.schema_arrow.names), file.metadata.num_rows


def _open_parquet(path: Path) -> Any:
    """An open pyarrow `ParquetFile`."""
    require("parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # By default the columns of a row group are held whole, and a group may be the whole file.
        return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Check the path.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a whole Parquet file ({error}). Write or copy it again.") from error
