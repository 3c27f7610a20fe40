"""The rows of a training set: taken from a part, joined with negatives, in the columns that are wanted."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.data.reasons import Reasons, part_file
from yuyi.errors import InputError
from yuyi.records import read_batches, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.data.folder import DataFolder
    from yuyi.data.step import StepRecord
    from yuyi.progress import Done

_ROWS_PER_GROUP = 20_000


def drawn_table(
    folder: DataFolder, part: str, rows: NDArray[np.int32], negatives: int | None, columns: str
) -> Any:
    """The rows of a part of pairs as a pyarrow table, in the order of `rows`.

    Args:
        folder: where the pairs lie.
        part: name of the part.
        rows: numbers of rows; one may occur several times.
        negatives: of a row at most, mined ones, or where none were mined those that the pair came with; None
            for all.
        columns: `yuyi` or `sentence-transformers`.
    """
    import pyarrow as pa

    path = folder.path / "pairs" / f"{part}.parquet"
    table = pa.Table.from_batches(list(read_batches(path, (), every_column=True))).take(pa.array(rows))
    mined = negatives_by_row(folder, part, negatives)
    own = table.column("negatives").to_pylist()
    joined = [(mined.get(int(row)) or given or ())[:negatives] for row, given in zip(rows, own, strict=True)]
    if columns == "sentence-transformers":
        return _named_for_sentence_transformers(table, joined, negatives or 0)
    place = table.column_names.index("negatives")
    return table.set_column(place, "negatives", pa.array(joined, table.schema.field(place).type))


def _named_for_sentence_transformers(table: Any, negatives: list[Any], number: int) -> Any:
    import pyarrow as pa

    named = {"anchor": table.column("text_a"), "positive": table.column("text_b")}
    for place in range(number):
        named[f"negative_{place + 1}"] = pa.array([texts[place] for texts in negatives], pa.string())
    return pa.table(named)


def current_negatives(folder: DataFolder) -> StepRecord:
    """The record of the hard negatives, which are there.

    Raises:
        InputError: they were mined from other pairs, or before a step marked some of these.
    """
    record = folder.need("negatives")
    since = [step for step in Reasons(folder).digests() if step not in record.inputs]
    if since:
        raise InputError(
            f"{folder.path / 'negatives'}: were mined before {' and '.join(since)} marked pairs, and may "
            f"hold texts of these. Run again: yuyi data mine {shlex.quote(str(folder.path))}"
        )
    return record


def own_negatives(folder: DataFolder, part: str) -> NDArray[np.int64]:
    """(rows,) int64: how many negatives each pair of a part came with."""
    import pyarrow.compute as pc

    path = folder.path / "pairs" / f"{part}.parquet"
    lengths = [np.zeros(0, np.int64)]
    for batch in read_batches(path, ("negatives",)):
        lengths.append(
            pc.fill_null(pc.list_value_length(batch.column("negatives")), 0).to_numpy().astype(np.int64)
        )
    return np.concatenate(lengths)


def negatives_by_row(folder: DataFolder, part: str, number: int | None) -> dict[int, tuple[str, ...]]:
    """The hard negatives of the pairs of a part that have some, the hardest first, by row.

    Args:
        folder: where they lie; without the step `negatives` there are none.
        part: name of the part.
        number: of a pair at most; None for all.

    Raises:
        InputError: their file is missing or damaged.
    """
    path = part_file(folder, "negatives", part) if number != 0 else None
    if path is None:
        return {}
    return {
        row["row"]: tuple(each["text"] for each in row["negatives"][:number])
        for row in read_rows(path, ("row", "negatives"))
        if row["negatives"]
    }


def write_parquet(path: Path, tables: Iterator[Any], on_done: Done) -> None:
    """Write tables of one schema to a Parquet file."""
    import pyarrow.parquet as pq

    first = next(tables)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_table(first, row_group_size=_ROWS_PER_GROUP)
        on_done(first.num_rows)
        for table in tables:
            writer.write_table(table, row_group_size=_ROWS_PER_GROUP)
            on_done(table.num_rows)


def write_jsonl(path: Path, tables: Iterator[Any], on_done: Done) -> None:
    """Write tables to a file of one JSON object a line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for table in tables:
            for batch in table.to_batches(max_chunksize=_ROWS_PER_GROUP):
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())
            on_done(table.num_rows)
