"""The rows that travel between rooms, and their Parquet files.

A document is a whole text; a pair is two texts that belong together (or, with a label, that were judged).
Rooms meet in these files: `data` writes pairs, `train` reads them, and neither imports the other.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import publish_file
from yuyi.errors import InputError
from yuyi.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_ROWS_PER_GROUP = 50_000


@dataclass(frozen=True, slots=True)
class Document:
    """A whole text with its headings kept, in Markdown.

    Attributes:
        source: name of the collection it belongs to.
        doc_id: its name within the collection, unique together with `lang`.
        title: its title, or the empty string.
        text: its Markdown.
        lang: `zh`, `en` or another language code.
    """

    source: str
    doc_id: str
    title: str
    text: str
    lang: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that belong together, and where they came from.

    Attributes:
        source: name of the collection.
        kind: what the two are to each other: `title_body`, `qa`, `paraphrase`, `nli`, `sts`, `parallel`, ...
        text_a: the asking side: query, title, heading path, first sentence.
        text_b: the answering side.
        label: the judgment, or None where every row is a positive pair.
        lang: language code, or two joined by a hyphen.
        doc_id: the document it was taken from, or the empty string.
        start: first character of `text_b` in that document's text, or -1.
        end: one past its last character, or -1.
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


def write_pairs(path: Path, pairs: Iterable[Pair]) -> int:
    """Number of rows written to a Parquet file, which appears only when all of them are in it.

    Raises:
        InputError: the place cannot be written.
        MissingExtra: pyarrow is not installed.
    """
    require("parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"label": pa.float64(), "start": pa.int64(), "end": pa.int64()}
    schema = pa.schema([(field.name, types.get(field.name, pa.string())) for field in fields(Pair)])
    rows = 0
    with publish_file(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        group: list[dict[str, Any]] = []
        for pair in pairs:
            group.append(asdict(pair))
            if len(group) == _ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(group, schema))
                rows += len(group)
                group = []
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema))
            rows += len(group)
    return rows


def read_pairs(path: Path) -> Iterator[Pair]:
    """Each pair of a Parquet file, in order; columns that only yuyi writes may be absent.

    Raises:
        InputError: the file is missing, cut off, or lacks a column.
    """
    needed = ("source", "kind", "text_a", "text_b", "label", "lang")
    for row in read_rows(path, needed, optional=("doc_id", "start", "end")):
        yield Pair(**row)


def read_documents(path: Path) -> Iterator[Document]:
    """Each document of a Parquet file, in order.

    Raises:
        InputError: the file is missing, cut off, or lacks a column.
    """
    for row in read_rows(path, tuple(field.name for field in fields(Document))):
        yield Document(**row)


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
        return pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Check the path.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a whole Parquet file ({error}). Write or copy it again.") from error
