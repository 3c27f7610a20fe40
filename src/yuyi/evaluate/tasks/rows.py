"""The rows of a test set, read and checked: what cannot be scored is refused with its file and row.

Files are Parquet, whose rows are counted from 0, or JSONL, whose lines are counted from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yuyi.errors import InputError
from yuyi.evaluate.tasks.kinds import CLASSIFICATION, MAY_LACK, OPTIONAL, SPLIT, TRAIN
from yuyi.records import read_batches, read_columns
from yuyi.text.rows import read_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from yuyi.evaluate.tasks.kinds import Content
    from yuyi.evaluate.tasks.manifest import LocalTask

FILE_ENDINGS = (".parquet", ".jsonl")

_LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of a file.

    Attributes:
        file: where they are from.
        columns: the values of each, by mteb's name.
        names: what the file calls each.
        numbers: which row or line of the file each row is.
    """

    file: Path
    columns: dict[str, list[Any]]
    names: Mapping[str, str]
    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def place(self, row: int) -> str:
        """Which row or line of the file a row is."""
        return _place(self.file, self.numbers[row])

    def fault(self, row: int, problem: str) -> InputError:
        """The error that says what is wrong with a row."""
        return _fault(self.file, self.numbers[row], problem)

    def select(self, rows: Sequence[int]) -> Table:
        """The given rows, in that order, without the column that tells splits apart."""
        columns = {
            name: [values[row] for row in rows] for name, values in self.columns.items() if name != SPLIT
        }
        return Table(self.file, columns, self.names, [self.numbers[row] for row in rows])


def file_columns(file: Path) -> tuple[str, ...]:
    """Names of a file's columns; for JSONL those of its first line.

    Raises:
        InputError: the file is missing, damaged, of another kind, or has no rows.
    """
    if file.suffix == ".parquet":
        columns, rows = read_columns(file)
    elif file.suffix == ".jsonl":
        first = next(read_objects(file), None)
        columns, rows = (tuple(first[1]), 1) if first else ((), 0)
    else:
        raise InputError(f"{file}: not a {' or '.join(FILE_ENDINGS)} file. Convert it to one of these.")
    if not rows:
        raise InputError(f"{file}: has no rows, so there is nothing to score. Remove it or fill it.")
    return columns


def count_rows(found: LocalTask, folder: Path) -> int:
    """How many rows, or queries, a task scores.

    Raises:
        InputError: its file cannot be read, or has no rows for a split.
    """
    if not isinstance(found.files, str):
        file = folder / found.files.queries
    else:
        file = folder / found.files
        if _has_splits(found):
            names = {SPLIT: found.column(SPLIT)}
            parts = _by_split(found, read_table(file, {SPLIT: "text"}, names))
            return sum(len(parts[split]) for split in found.scored)
    return read_columns(file)[1] if file.suffix == ".parquet" else sum(1 for _ in read_objects(file))


def read_splits(found: LocalTask, folder: Path) -> dict[str, Table]:
    """The rows of a task of one file, by split; those that a classification learns from too.

    Raises:
        InputError: as `read_table` says; or a split has no rows.
    """
    file, columns = folder / str(found.files), found.kind.columns
    split: dict[str, Content] = {SPLIT: "text"} if _has_splits(found) else {}
    names = {name: found.column(name) for name in (*columns, SPLIT)}
    table = read_table(file, {**columns, **split}, names, found.labels)
    parts = _by_split(found, table) if split else {found.scored[0]: table}
    if found.train:
        parts[TRAIN] = read_table(folder / found.train, columns, names)
    return parts


def read_parts(found: LocalTask, folder: Path) -> dict[str, Table]:
    """The tables of a task of several files, by part.

    Raises:
        InputError: as `read_table` says.
    """
    tables = {}
    for part, path in found.paths.items():
        columns, optional = found.kind.parts[part], OPTIONAL.get(part, {})
        names = {name: found.column(name, part) for name in (*columns, *optional)}
        table = tables[part] = read_table(folder / path, {**columns, **optional}, names)
        for name in optional:
            if not any(table.columns[name]):
                del table.columns[name]
    return tables


def _has_splits(found: LocalTask) -> bool:
    """Whether the rows of a file are told apart by its column `split`."""
    return bool(found.splits) or (found.kind is CLASSIFICATION and not found.train)


def _by_split(found: LocalTask, table: Table) -> dict[str, Table]:
    learned = (TRAIN,) if found.kind is CLASSIFICATION and not found.train else ()
    rows: dict[str, list[int]] = {split: [] for split in (*learned, *found.scored)}
    for row, split in enumerate(table.columns[SPLIT]):
        if split in rows:
            rows[split].append(row)
        elif not found.splits:  # Nobody has said that others may be there.
            known = " and ".join(rows)
            raise InputError(
                f"{table.file}: {table.place(row)} has {table.names[SPLIT]} {split!r}; known are {known}. "
                "Rename it."
            )
    for split, places in rows.items():
        if not places:
            raise InputError(
                f"{table.file}: no row has the {table.names[SPLIT]} {split}; "
                f"{' and '.join(rows)} {'are' if len(rows) > 1 else 'is'} needed. Add rows."
            )
    return {split: table.select(places) for split, places in rows.items()}


def read_table(
    file: Path,
    contents: Mapping[str, Content],
    names: Mapping[str, str],
    labels: Mapping[Any, int] | None = None,
) -> Table:
    """The columns of a file, every cell checked.

    Args:
        file: Parquet or JSONL.
        contents: what the wanted columns hold, by mteb's name; a file, or a line of it, may lack a title.
        names: what the file calls them.
        labels: what stands for labels that are neither 0 nor 1.

    Raises:
        InputError: the file cannot be read, lacks a column or has no rows, or a cell is empty or holds
            something else; the message names its row.
    """
    found = file_columns(file)
    wanted = [names[name] for name, content in contents.items() if content not in MAY_LACK]
    if not set(wanted) <= set(found):
        raise InputError(
            f"{file}: needs the columns {', '.join(wanted)}; it has {', '.join(found)}. "
            "Rename them, or say under `columns` in tasks.yaml what they are called."
        )
    read = _read_parquet if file.suffix == ".parquet" else _read_jsonl
    table = read(file, names, contents)
    for name, content in contents.items():
        table.columns[name] = _checked(table, name, content, labels or {})
    return table


def _read_parquet(file: Path, names: Mapping[str, str], contents: Mapping[str, Content]) -> Table:
    found = file_columns(file)
    there = [name for name in contents if names[name] in found]
    columns: dict[str, list[Any]] = {name: [] for name in there}
    for batch in read_batches(file, list(dict.fromkeys(names[name] for name in there))):
        for name, values in columns.items():
            values += batch.column(names[name]).to_pylist()
    rows = len(columns[there[0]])
    return Table(file, {name: columns.get(name, [None] * rows) for name in contents}, names, range(rows))


def _read_jsonl(file: Path, names: Mapping[str, str], contents: Mapping[str, Content]) -> Table:
    columns: dict[str, list[Any]] = {name: [] for name in contents}
    numbers = []
    for number, row in read_objects(file):
        numbers.append(number)
        for name, values in columns.items():
            if names[name] not in row and contents[name] not in MAY_LACK:
                raise _fault(file, number, f"has no {names[name]}; it has {', '.join(row) or 'nothing'}")
            values.append(row.get(names[name]))
    return Table(file, columns, names, numbers)


def _place(file: Path, number: int) -> str:
    return f"{'line' if file.suffix == '.jsonl' else 'row'} {number}"


def _fault(file: Path, number: int, problem: str) -> InputError:
    return InputError(f"{file}: {_place(file, number)} {problem}. Mend or drop the row.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not value.isspace() and value != ""


def _is_number(value: Any) -> bool:
    # Neither NaN nor infinity is between any two numbers, nor is an integer too long for a float.
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def _is_id(value: Any) -> bool:
    return (isinstance(value, str) and value != "") or (
        isinstance(value, int) and not isinstance(value, bool)
    )


def _is_label(value: Any) -> bool:
    return isinstance(value, bool) or _is_text(value) or _is_number(value)


def _list_of(good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and value != [] and all(map(good, value))


def _as_it_is(value: Any) -> Any:
    return value


# For each content: what is allowed, how to say so, and what becomes of it.
_CONTENTS: dict[Content, tuple[Callable[[Any], bool], str, Callable[[Any], Any]]] = {
    "text": (_is_text, "text", _as_it_is),
    "title": (
        lambda value: value is None or isinstance(value, str),
        "text or nothing",
        lambda value: value or "",
    ),
    "texts": (_list_of(_is_text), "a list of texts", _as_it_is),
    "id": (_is_id, "an identifier", str),
    "ids": (_list_of(_is_id), "a list of identifiers", lambda value: [str(one) for one in value]),
    "number": (_is_number, "a number", float),
    "numbers": (_list_of(_is_number), "a list of numbers", _as_it_is),
    "relevance": (lambda value: _is_number(value) and value == int(value), "a whole number", int),
    "label": (_is_label, "a label", _as_it_is),
    "same or not": (lambda value: _is_label(value) and value in (0, 1), "1 (same) or 0 (different)", int),
}


def _checked(table: Table, name: str, content: Content, labels: Mapping[Any, int]) -> list[Any]:
    good, wanted, clean = _CONTENTS[content]
    values = table.columns[name]
    if labels and content == "same or not":
        values = [_labelled(table, row, value, labels) for row, value in enumerate(values)]
    for row, value in enumerate(values):
        if not good(value):
            hint = " (say under `labels` in tasks.yaml which is which)" if content == "same or not" else ""
            raise table.fault(row, f"has {table.names[name]} {value!r:.80}, not {wanted}{hint}")
    return [clean(value) for value in values]


def _labelled(table: Table, row: int, value: Any, labels: Mapping[Any, int]) -> int:
    if isinstance(value, list | dict) or value not in labels:
        known = ", ".join(map(repr, labels))
        raise table.fault(
            row, f"has {table.names['label']} {value!r:.80}; `labels` in tasks.yaml has {known}"
        )
    return labels[value]
