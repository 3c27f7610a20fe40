"""Vectors to disk as they are made: a `.npy` matrix, or the rows of Parquet or JSONL with one column more."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from yuyi.artifacts import publish_file
from yuyi.errors import InputError
from yuyi.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import DTypeLike, NDArray

SUFFIXES = (".npy", ".parquet", ".jsonl")
EMBEDDING = "embedding"


class Write(Protocol):
    """Appends to a file of vectors."""

    def __call__(self, vectors: NDArray[Any], rows: Any = None) -> None:
        """Append (rows, width) vectors.

        Parquet and JSONL need the rows' other columns too: a list of dictionaries or a pyarrow `RecordBatch`.
        """


def check_suffix(path: Path) -> None:
    """Return when the path ends as a file of vectors may.

    Raises:
        InputError: it does not.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"{path}: vectors are written as {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}. "
            "Choose one of these endings."
        )


@contextlib.contextmanager
def vector_file(
    path: Path, width: int, dtype: DTypeLike = np.float32, scale: float | None = None
) -> Iterator[Write]:
    """A function that appends vectors; `path` appears when the block ends without an error.

    Args:
        path: ends in `.npy` for a (rows, width) matrix, in `.parquet` or `.jsonl` for the given columns and
            `embedding`, a list of `width` numbers.
        width: number of values in a vector.
        dtype: their type.
        scale: what one step of an int8 value means; Parquet keeps it as `yuyi.scale` in its metadata.

    Raises:
        InputError: the ending is another, the place cannot be written, the disk is full, or the rows do not
            fit the kind of file.
        MissingExtra: Parquet is written and pyarrow is not installed.
    """
    check_suffix(path)
    forms: dict[str, Callable[[Path, int, np.dtype[Any]], AbstractContextManager[Write]]] = {
        ".npy": _npy,
        ".parquet": partial(_parquet, scale=scale),
        ".jsonl": _jsonl,
    }
    form = forms[path.suffix]
    with publish_file(path) as temporary, form(temporary, width, np.dtype(dtype)) as write:
        yield write


@contextlib.contextmanager
def _npy(path: Path, width: int, dtype: np.dtype[Any]) -> Iterator[Write]:
    count = 0
    with path.open("wb") as file:
        start = _write_header(file, (count, width), dtype)

        def write(vectors: NDArray[Any], rows: Any = None) -> None:
            nonlocal count
            file.write(np.ascontiguousarray(vectors).data)
            count += len(vectors)

        yield write
        file.seek(0)
        if _write_header(file, (count, width), dtype) != start:
            raise AssertionError("numpy wrote a longer header for more rows")


def _write_header(file: BinaryIO, shape: tuple[int, int], dtype: np.dtype[Any]) -> int:
    """The position after the header; numpy leaves room in it for the number of rows to grow."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()


@contextlib.contextmanager
def _parquet(path: Path, width: int, dtype: np.dtype[Any], scale: float | None) -> Iterator[Write]:
    require("parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = None if scale is None else {"yuyi.scale": repr(scale)}
    schema: Any = None
    writer: Any = None

    def write(vectors: NDArray[Any], rows: Any = None) -> None:
        nonlocal schema, writer
        batch = _record_batch(rows, schema) if isinstance(rows, list) else rows
        schema = batch.schema
        _check_free(schema.names)
        values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), width)
        batch = pa.RecordBatch.from_arrays([*batch.columns, values], names=[*schema.names, EMBEDDING])
        batch = batch.replace_schema_metadata(metadata)
        writer = writer or pq.ParquetWriter(path, batch.schema, use_dictionary=schema.names)
        writer.write_batch(batch)

    try:
        yield write
    finally:
        if writer:
            writer.close()


def _record_batch(rows: list[dict[str, Any]], schema: Any) -> Any:
    """The rows as a pyarrow `RecordBatch` of `schema`, or of their own where there is none yet."""
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name in row)
    unknown = names.keys() - (schema.names if schema else names)
    if unknown:
        raise InputError(
            f"the key {min(unknown)} is in none of the first rows, which decide the columns. Give each row "
            "the same keys, or write .npy or .jsonl."
        )
    try:
        columns = {name: [row.get(name) for row in rows] for name in (schema.names if schema else names)}
        return pa.RecordBatch.from_pydict(columns, schema=schema)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        raise InputError(
            f"a key holds values of different kinds ({error}). Make them alike, or write .npy or .jsonl."
        ) from error


@contextlib.contextmanager
def _jsonl(path: Path, width: int, dtype: np.dtype[Any]) -> Iterator[Write]:
    # Nine significant digits are what it takes to read the same float32 back.
    numbers = ", ".join(["%.9g" if dtype.kind == "f" else "%d"] * width)
    with path.open("w", encoding="utf-8") as file:

        def write(vectors: NDArray[Any], rows: Any = None) -> None:
            records = rows if isinstance(rows, list) else rows.to_pylist()
            for row, vector in zip(records, vectors.tolist(), strict=True):
                _check_free(row)
                line = json.dumps({**row, EMBEDDING: []}, ensure_ascii=False, default=_as_json)
                file.write(f"{line[:-2]}{numbers % tuple(vector)}]}}\n")

        yield write


def _as_json(value: Any) -> Any:
    """Dates and times as ISO text; JSON has no kind of its own for them."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise InputError(f"{value!r:.40}: JSON has no form for a value of this kind. Write .parquet or .npy.")


def _check_free(names: Any) -> None:
    if EMBEDDING in names:
        raise InputError(
            f"{EMBEDDING}: the input has a column of this name already. Rename it, or write .npy."
        )
