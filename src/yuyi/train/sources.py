"""The rows that training draws from, tokenised: one source for each collection and kind of pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from yuyi.text.plan import select, spans
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Column:
    """The texts of one side of a source; the arrays may be mapped from disk.

    Attributes:
        tokens: without special tokens, a prompt's first, uncut but for the longest that training reads.
        keys: (texts,) int64, equal where the texts are equal, whatever the column or the source.
    """

    tokens: TokenBatch
    keys: Integers

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: Integers) -> Column:
        """The texts `rows`, in that order."""
        return Column(select(self.tokens, rows), self.keys[rows])


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
            negatives; empty where there are none.
    """

    name: str
    kind: str
    queries: Column
    documents: Column
    labels: NDArray[np.float32]
    negatives: Column
    negative_offsets: Integers
    scores: NDArray[np.float32]

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

    def first_negatives(self, rows: Integers, most: int) -> tuple[Integers, Integers]:
        """Numbers of the first `most` negatives of each of `rows`, and for each its place in `rows`."""
        starts = self.negative_offsets[rows]
        counts = np.minimum(self.negative_offsets[rows + 1] - starts, most)
        return spans(starts, counts), np.repeat(np.arange(len(rows)), counts)


_NO_KEYS = np.zeros(0, dtype=np.int64)
