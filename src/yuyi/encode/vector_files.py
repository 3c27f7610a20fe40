"""Vectors to disk as they are made: a `.npy` matrix, or the rows of a Parquet file with one column more."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from yuyi.artifacts import publish_file
from yuyi.errors import InputError
from yuyi.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

SUFFIXES = (".npy", ".parquet")
EMBEDDING = "embedding"


class Write(Protocol):
    """Appends to a file of vectors."""

    def __call__(self, vectors: NDArray[np.float32], columns: Any = None) -> None:
        """Append (rows, dim) vectors; Parquet needs the rows' other columns, a pyarrow `RecordBatch`, too."""


@contextlib.contextmanager
def vector_file(path: Path, dim: int) -> Iterator[Write]:
    """A function that appends vectors; `path` appears when the block ends without an error.

    Args:
        path: ends in `.npy` for a (rows, dim) float32 matrix, or in `.parquet` for the given columns and
            `embedding`, a list of `dim` float32 values.
        dim: length of a vector.

    Raises:
        InputError: the ending is another, the place cannot be written, or the disk is full.
        MissingExtra: Parquet is written and pyarrow is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"{path}: vectors are written as {' or '.join(SUFFIXES)}. Choose one of these endings."
        )
    form = _npy if path.suffix == ".npy" else _parquet
    with publish_file(path) as temporary, form(temporary, dim) as write:
        yield write


@contextlib.contextmanager
def _npy(path: Path, dim: int) -> Iterator[Write]:
    rows = 0
    with path.open("wb") as file:
        start = _write_header(file, rows, dim)

        def write(vectors: NDArray[np.float32], columns: Any = None) -> None:
            nonlocal rows
            file.write(np.ascontiguousarray(vectors).data)
            rows += len(vectors)

        yield write
        file.seek(0)
        if _write_header(file, rows, dim) != start:
            raise AssertionError("numpy wrote a longer header for more rows")


def _write_header(file: BinaryIO, rows: int, dim: int) -> int:
    """The position after the header; numpy leaves room in it for the number of rows to grow."""
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)})
    return file.tell()


@contextlib.contextmanager
def _parquet(path: Path, dim: int) -> Iterator[Write]:
    require("parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None

    def write(vectors: NDArray[np.float32], columns: Any = None) -> None:
        nonlocal writer
        if EMBEDDING in columns.schema.names:
            raise InputError(
                f"{EMBEDDING}: the input has a column of this name already. Rename it, or write .npy."
            )
        values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dim)
        batch = pa.RecordBatch.from_arrays(
            [*columns.columns, values], names=[*columns.schema.names, EMBEDDING]
        )
        writer = writer or pq.ParquetWriter(path, batch.schema, use_dictionary=columns.schema.names)
        writer.write_batch(batch)

    try:
        yield write
    finally:
        if writer:
            writer.close()
