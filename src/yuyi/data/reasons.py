"""Why pairs are not used: the marks on each, and those on the document that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from yuyi.data.folder import DataFolder
from yuyi.errors import InputError
from yuyi.records import DOCUMENT_PREFIX, Mark, read_batches, read_marks

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_MARK_COLUMNS = ("row", "reason", "value")
_DOCUMENT_COLUMNS = ("source", "doc_id", "lang")
# By source and name of a document, its mark in each language that it is there in, or None.
_ByName: TypeAlias = "dict[tuple[str, str], dict[str, Mark | None]]"


@dataclass(frozen=True, slots=True)
class PartReasons:
    """The marks of one part of pairs, in arrays.

    Attributes:
        names: reasons that occur, sorted; one that two steps give occurs twice.
        steps: the step that gave each, such as `marks/filters`.
        rows: row of the marked pair, one number a mark.
        codes: the mark's reason, as a number of `names`.
        values: the number that decided.
    """

    names: tuple[str, ...]
    steps: tuple[str, ...]
    rows: NDArray[np.int64]
    codes: NDArray[np.int64]
    values: NDArray[np.float64]

    def without(self, ignored: frozenset[str]) -> PartReasons:
        """The marks with other reasons than these."""
        if not ignored.intersection(self.names):
            return self
        kept = ~np.isin(self.codes, [code for code, name in enumerate(self.names) if name in ignored])
        return PartReasons(self.names, self.steps, self.rows[kept], self.codes[kept], self.values[kept])


class Reasons:
    """The marks of all steps that marked the pairs of a folder, or their documents.

    Args:
        folder: where the steps were done; `pairs` must be there.
        without: steps that are left out, and may be out of date.

    Raises:
        InputError: there are no pairs, or marks were made from something else than is there now.
    """

    def __init__(self, folder: DataFolder, *, without: Collection[str] = ()) -> None:
        folder.need("pairs")
        self._folder = folder
        self.on_pairs = folder.mark_steps(without=without)
        self.on_documents = folder.mark_steps(on="documents", without=without)

    def digests(self) -> dict[str, str]:
        """The digest of every step that marked something, by its name."""
        return {step: self._folder.need(step).digest for step in (*self.on_pairs, *self.on_documents)}

    def rows(self, part: str) -> set[int]:
        """Numbers of the rows of a part of pairs that are marked, or whose document is."""
        return set(self.of_part(part).rows.tolist())

    def of_part(self, part: str) -> PartReasons:
        """The marks of a part of pairs.

        Raises:
            InputError: a file of marks is missing or damaged.
        """
        found: list[tuple[str, Any, Any, Any]] = []
        for step in self.on_pairs:
            file = part_file(self._folder, step, part)
            for batch in read_batches(file, _MARK_COLUMNS) if file else ():
                rows, reasons, values = (
                    batch.column(name).to_numpy(zero_copy_only=False) for name in _MARK_COLUMNS
                )
                found.append((step, rows, reasons, values))
        for step in self.on_documents:
            for row, mark in self._inherited(part, step):
                found.append((step, [row], [mark.reason], [mark.value]))
        both = [(reason, step) for step, _, reasons, _ in found for reason in reasons]
        names = sorted(set(both))
        numbers = {name: code for code, name in enumerate(names)}
        return PartReasons(
            tuple(reason for reason, _ in names),
            tuple(step for _, step in names),
            np.concatenate([np.zeros(0, np.int64), *(rows for _, rows, _, _ in found)]),
            np.array([numbers[each] for each in both], np.int64),
            np.concatenate([np.zeros(0), *(values for *_, values in found)]),
        )

    def marks(self, part: str, rows: Container[int]) -> dict[int, list[Mark]]:
        """The marks on some rows of a part of pairs, with ids and notes.

        Raises:
            InputError: a file of marks is missing or damaged.
        """
        found: dict[int, list[Mark]] = {}
        for step in self.on_pairs:
            file = part_file(self._folder, step, part)
            for mark in read_marks(file) if file else ():
                if mark.row in rows:
                    found.setdefault(mark.row, []).append(mark)
        for step in self.on_documents:
            for row, mark in self._inherited(part, step):
                if row in rows:
                    found.setdefault(row, []).append(mark)
        return found

    def _inherited(self, part: str, step: str) -> Iterator[tuple[int, Mark]]:
        """The row of each pair one of whose documents is marked, and the mark, as one of the pair."""
        made = self._folder.need(step).fingerprint
        here = _named(self._folder, step, part, _marked_names(self._folder, step, part))
        pairs = self._folder.path / "pairs" / f"{part}.parquet"
        columns = ("source", "lang", "doc_id", "doc_a")
        for row, (source, lang, doc_id, doc_a) in enumerate(_rows_of(pairs, columns)):
            name, mark = doc_id, _mark_of(here.get((source, doc_id)), lang) if doc_id else None
            if mark is None and doc_a:
                # It may lie in another part, such as the translation of a document.
                name = doc_a
                mark = _mark_of(_everywhere(self._folder.path, step, made).get((source, doc_a)), lang)
            if mark is not None:
                yield row, Mark(row, name, DOCUMENT_PREFIX + mark.reason, mark.value, mark.note)


def part_file(folder: DataFolder, step: str, part: str) -> Path | None:
    """The file of a step for a part of pairs; None where the step says that it wrote none.

    Raises:
        InputError: the step wrote one, and it is gone.
    """
    record = folder.record(step)
    if record is None or f"{part}.parquet" not in record.parts:
        return None
    file = folder.path / step / f"{part}.parquet"
    if not file.exists():
        raise InputError(
            f"{file}: is missing, though {step} wrote it. Copy it back, or remove {file.parent} and make it "
            "again."
        )
    return file


def _marked_names(folder: DataFolder, step: str, part: str) -> set[tuple[str, str]]:
    """Source and name of the marked documents of a part."""
    marks = part_file(folder, step, part)
    rows = {mark.row for mark in read_marks(marks)} if marks else set()
    documents = part_file(folder, "documents", part)
    if not rows or documents is None:
        return set()
    return {
        (source, doc_id)
        for row, (source, doc_id) in enumerate(_rows_of(documents, _DOCUMENT_COLUMNS[:2]))
        if row in rows
    }


def _named(folder: DataFolder, step: str, part: str, names: set[tuple[str, str]]) -> _ByName:
    """The documents of a part with these names, in every language, with their marks.

    A document has its name and language together; that of a pair may be of a block in another language.
    """
    documents = part_file(folder, "documents", part)
    if not names or documents is None:
        return {}
    marks = part_file(folder, step, part)
    marked = {mark.row: mark for mark in read_marks(marks)} if marks else {}
    found: _ByName = {}
    for row, (source, doc_id, lang) in enumerate(_rows_of(documents, _DOCUMENT_COLUMNS)):
        if (source, doc_id) in names:
            found.setdefault((source, doc_id), {})[lang] = marked.get(row)
    return found


@lru_cache(maxsize=1)
def _everywhere(path: Path, step: str, made: str) -> _ByName:
    """The documents of all parts that have the name of a marked one; `made` tells these marks from others."""
    folder = DataFolder(path)
    parts = list(folder.parts("documents"))
    names = {name for part in parts for name in _marked_names(folder, step, part)}
    found: _ByName = {}
    for part in parts:
        for name, langs in _named(folder, step, part, names).items():
            marks = found.setdefault(name, {})
            marks |= {lang: mark for lang, mark in langs.items() if mark or lang not in marks}
    return found


def _mark_of(langs: dict[str, Mark | None] | None, lang: str) -> Mark | None:
    """The mark of the document that a pair in `lang` was made from, out of all documents of its name."""
    if not langs:
        return None
    meant = [langs[each] for each in lang.split("-") if each in langs] or list(langs.values())
    return next((mark for mark in meant if mark), None)


def _rows_of(path: Any, columns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for batch in read_batches(path, columns):
        yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
