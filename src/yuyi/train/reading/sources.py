"""The rows that training draws from, tokenised: one source for each collection and kind of pair."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.errors import InputError
from yuyi.text.plan import select, spans
from yuyi.train.reading.pair_files import place_of, read_again
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


def text_key(text: str) -> int:
    """A 64-bit number that is equal for equal texts, the same in every process."""
    return int.from_bytes(
        blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little", signed=True
    )


EMPTY_KEY = text_key("")
"""The key of no text, as of the document of a row that is a single text."""


@dataclass(frozen=True, slots=True)
class Column:
    """The texts of one side of a source; the arrays may be mapped from disk.

    Attributes:
        tokens: without special tokens, a prompt's first, uncut but for the longest that training reads.
        keys: (texts,) int64, equal where the texts are equal, whatever the column, the source or the prompt.
    """

    tokens: TokenBatch
    keys: Integers

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: Integers) -> Column:
        """The texts `rows`, in that order."""
        return Column(select(self.tokens, rows), self.keys[rows])


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the rows of a source stand.

    Attributes:
        files: that rows were read from.
        file: (rows,) int32, number of each row's file.
        row: (rows,) int64, number of the row in it: of Parquet from 0, of JSONL that of the line from 1.
    """

    files: tuple[Path, ...]
    file: NDArray[np.int32]
    row: Integers

    def take(self, rows: Integers) -> Origins:
        """Where the rows `rows` stand, in that order."""
        return Origins(self.files, self.file[rows], self.row[rows])


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one collection and kind.

    Attributes:
        name: of the collection.
        kind: what the two texts of a pair are to each other.
        queries: every `text_a`.
        documents: every `text_b`; the queries again where a row is a single text.
        labels: (rows,) float32, NaN where a pair has none.
        negatives: the hard negatives of all rows one after another, best first in each row.
        negative_offsets: (rows + 1,) int64; row `i` owns negatives `negative_offsets[i]` to the next.
        scores: (rows + negatives,) float32, a teacher's scores: of each row's document, then of the
            negatives, so that negative `n` has `scores[rows + n]`; empty where there are none.
        origins: where the rows stand; None for rows that came from no file.
    """

    name: str
    kind: str
    queries: Column
    documents: Column
    labels: NDArray[np.float32]
    negatives: Column
    negative_offsets: Integers
    scores: NDArray[np.float32]
    origins: Origins | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @staticmethod
    def of(
        name: str, kind: str, queries: Column, documents: Column, labels: NDArray[np.float32] | None = None
    ) -> Source:
        """A source without hard negatives and scores."""
        rows = len(queries)
        return Source(
            name,
            kind,
            queries,
            documents,
            np.full(rows, np.nan, dtype=np.float32) if labels is None else labels,
            Column(TokenBatch(np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64)), _NO_KEYS),
            np.zeros(rows + 1, dtype=np.int64),
            np.zeros(0, dtype=np.float32),
        )

    @property
    def lengths(self) -> Integers:
        """(rows,) int64, tokens of each row: of its query, its document and all its negatives."""
        ends = self.negatives.tokens.offsets[self.negative_offsets]
        return self.queries.tokens.lengths + self.documents.tokens.lengths + ends[1:] - ends[:-1]

    def first_negatives(self, rows: Integers, most: int) -> tuple[Integers, Integers]:
        """Numbers of the first `most` negatives of each of `rows`, and for each its place in `rows`."""
        starts = self.negative_offsets[rows]
        counts = np.minimum(self.negative_offsets[rows + 1] - starts, most)
        return spans(starts, counts), np.repeat(np.arange(len(rows)), counts)

    def where(self, row: int) -> str:
        """The file of a row and its number there, for messages."""
        if self.origins is None:
            return f"source {self.name}: row {row}"
        return place_of(self.origins.files[self.origins.file[row]], int(self.origins.row[row]))

    def show(self, rows: Integers) -> list[dict[str, Any]]:
        """Each of `rows` as text, read from its file again: `file`, `row`, `text_a`, `text_b`, `negatives`.

        Raises:
            InputError: the rows came from no file, or it has changed since.
        """
        if self.origins is None:
            raise InputError(f"source {self.name}: was read from no file, so its rows cannot be shown.")
        wanted = self.origins.take(rows)
        found = {
            (number, each): texts
            for number in np.unique(wanted.file).tolist()
            for each, texts in read_again(
                wanted.files[number], wanted.row[wanted.file == number], self.kind
            ).items()
        }
        return [
            {
                "file": str(wanted.files[number]),
                "row": each,
                **self._matching(int(row), found.get((number, each), [])),
            }
            for row, number, each in zip(
                rows.tolist(), wanted.file.tolist(), wanted.row.tolist(), strict=True
            )
        ]

    def show_if_there(self, rows: Integers) -> list[dict[str, Any]]:
        """As `show`; empty where the rows came from no file, or it has changed since."""
        try:
            return self.show(rows)
        except InputError:
            return []

    def _matching(self, row: int, candidates: list[dict[str, Any]]) -> dict[str, Any]:
        """The texts that row `row` was made of; a line with several positives is several rows."""
        for texts in candidates:
            keys = (text_key(texts["text_a"]), text_key(texts["text_b"]))
            if keys == (self.queries.keys[row], self.documents.keys[row]):
                return texts
        raise InputError(f"{self.where(row)} is not what training read. The file was changed; put it back.")


_NO_KEYS = np.zeros(0, dtype=np.int64)
