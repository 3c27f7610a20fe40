"""Why pairs are not used: the marks on each, and those on the document that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.records import Mark, read_batches, read_marks

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from numpy.typing import NDArray

    from yuyi.data.folder import DataFolder

# Goes before the reason of a mark that is on the document of a pair.
DOCUMENT_PREFIX = "document: "
_MARK_COLUMNS = ("row", "reason", "value")
_DOCUMENT_COLUMNS = ("source", "doc_id", "lang")


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

    Raises:
        InputError: there are no pairs, or marks belong to other pairs or documents than are there now.
    """

    def __init__(self, folder: DataFolder) -> None:
        folder.need("pairs")
        self._folder = folder
        self.on_pairs = folder.mark_steps()
        self.on_documents = folder.mark_steps(on="documents")

    def digests(self) -> dict[str, str]:
        """The digest of every step that marked something, by its name."""
        return {step: self._folder.need(step).digest for step in (*self.on_pairs, *self.on_documents)}

    def of_part(self, part: str) -> PartReasons:
        """The marks of a part of pairs."""
        found: list[tuple[str, Any, Any, Any]] = []
        for step in self.on_pairs:
            file = self._folder.path / step / f"{part}.parquet"
            for batch in read_batches(file, _MARK_COLUMNS) if file.exists() else ():
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
        """The marks on some rows of a part of pairs, with ids and notes."""
        found: dict[int, list[Mark]] = {}
        for step in self.on_pairs:
            file = self._folder.path / step / f"{part}.parquet"
            for mark in read_marks(file) if file.exists() else ():
                if mark.row in rows:
                    found.setdefault(mark.row, []).append(mark)
        for step in self.on_documents:
            for row, mark in self._inherited(part, step):
                if row in rows:
                    found.setdefault(row, []).append(mark)
        return found

    def _inherited(self, part: str, step: str) -> Iterator[tuple[int, Mark]]:
        """The row of each pair whose document is marked, and the mark, as one of the pair."""
        marked = {mark.row: mark for mark in self._folder.marks(part, (step,))}
        documents = self._folder.path / "documents" / f"{part}.parquet"
        if not marked or not documents.exists():
            return
        # A document has its name and language together; that of a pair may be of a block in another language.
        by_name: dict[tuple[str, str], dict[str, Mark | None]] = {}
        for row, (source, doc_id, lang) in enumerate(_rows_of(documents, _DOCUMENT_COLUMNS)):
            by_name.setdefault((source, doc_id), {})[lang] = marked.get(row)
        suspects = {name: langs for name, langs in by_name.items() if any(langs.values())}
        pairs = self._folder.path / "pairs" / f"{part}.parquet"
        for row, (source, lang, *names) in enumerate(_rows_of(pairs, ("source", "lang", "doc_id", "doc_a"))):
            for name in dict.fromkeys(names):
                mark = _mark_of(suspects.get((source, name)), lang) if name else None
                if mark is not None:
                    yield row, Mark(row, name, DOCUMENT_PREFIX + mark.reason, mark.value, mark.note)
                    break


def _mark_of(langs: dict[str, Mark | None] | None, lang: str) -> Mark | None:
    """The mark of the document that a pair in `lang` was made from, out of all documents of its name."""
    if not langs:
        return None
    meant = [langs[each] for each in lang.split("-") if each in langs] or list(langs.values())
    return next((mark for mark in meant if mark), None)


def _rows_of(path: Any, columns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for batch in read_batches(path, columns):
        yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
