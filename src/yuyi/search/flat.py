"""Exact search: every vector is compared, a block at a time, so a mapped file need not fit in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from yuyi.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Vectors and queries per matrix product: at 256 dimensions 4 MiB of vectors, and 16 MiB of scores.
_BLOCK_ROWS = 4_096
_BLOCK_QUERIES = 1_024


class FlatIndex:
    """Vectors in rows, searched by inner product; for unit vectors that is the cosine.

    Args:
        vectors: (rows, dim) float32 or whole numbers, in memory or mapped from a file; kept, not copied. No
            rows is fine.

    Raises:
        InputError: `vectors` has another shape than (rows, dim).
    """

    def __init__(self, vectors: NDArray[np.float32 | np.int16]) -> None:
        if vectors.ndim != 2:
            raise InputError(
                f"vectors of shape {vectors.shape}: an index needs (rows, dim). Give one row a text."
            )
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._vectors)

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The best `k` rows of each query, best first; rows of equal score in their own order.

        Args:
            queries: (queries, dim) float32.
            k: rows wanted; an index with fewer gives all it has.

        Returns:
            Scores (queries, min(k, rows)) float32, and their rows, int64 of the same shape.

        Raises:
            InputError: `queries` are not of the index's dimension, or `k` is negative.
        """
        if queries.ndim != 2 or queries.shape[1] != self._vectors.shape[1]:
            raise InputError(
                f"queries of shape {queries.shape}: this index holds vectors of "
                f"{self._vectors.shape[1]} dimensions. Encode both with one model."
            )
        if k < 0:
            raise InputError(f"k = {k}: a number of rows is 0 or more.")
        width = min(k, len(self))
        scores = np.empty((len(queries), width), np.float32)
        rows = np.empty((len(queries), width), np.int64)
        for start in range(0, len(queries), _BLOCK_QUERIES):
            part = slice(start, start + _BLOCK_QUERIES)
            scores[part], rows[part] = self._search_block(queries[part], width)
        return scores, rows

    def _search_block(
        self, queries: NDArray[np.float32], width: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if width == 0:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        first = max(width, _BLOCK_ROWS)
        scores = queries @ self._block(0, first).T
        columns = _best_columns(scores, width)
        best = _Best(np.take_along_axis(scores, columns, axis=1), columns)
        for start in range(first, len(self), _BLOCK_ROWS):
            best.offer(queries @ self._block(start, start + _BLOCK_ROWS).T, start)
        return best.sorted()

    def _block(self, start: int, stop: int) -> NDArray[np.float32]:
        return self._vectors[start:stop].astype(np.float32, copy=False)


class _Best:
    """The best rows of each query so far.

    What is offered later has higher rows and must score above the lowest that is kept, so nearly nothing of a
    block is looked at; what passes waits until there is enough to be worth sorting.

    Args:
        scores: (queries, width), of the first block.
        rows: of the same shape, ascending.
    """

    def __init__(self, scores: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        self._scores, self._rows = scores, rows
        self._least = scores.min(axis=1, keepdims=True)
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]] = []
        self._count = 0

    def offer(self, scores: NDArray[np.float32], start: int) -> None:
        """Consider a block of scores, (queries, rows), whose rows count from `start`."""
        places = np.flatnonzero(scores > self._least)
        self._waiting.append(
            (places // scores.shape[1], scores.ravel()[places], places % scores.shape[1] + start)
        )
        self._count += len(places)
        if self._count > self._scores.size:
            self._settle()

    def sorted(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and rows, best first, of equals the lower row first."""
        self._settle()
        return self._scores, self._rows

    def _settle(self) -> None:
        queries, width = self._scores.shape
        kept_before = (np.repeat(np.arange(queries), width), self._scores.ravel(), self._rows.ravel())
        pieces = zip(kept_before, *self._waiting, strict=True)
        query, scores, rows = (np.concatenate(piece) for piece in pieces)
        order = np.lexsort((rows, -scores, query))
        starts = np.searchsorted(query[order], np.arange(queries))
        kept = order[starts[:, None] + np.arange(width)]
        self._scores, self._rows = scores[kept], rows[kept]
        self._least = self._scores[:, -1:]
        self._waiting, self._count = [], 0


def _best_columns(scores: NDArray[np.float32], width: int) -> NDArray[np.int64]:
    """(rows, min(width, columns)) int64: in each row the best columns, ascending; of equals the first."""
    if width >= scores.shape[1]:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    threshold = np.partition(scores, -width, axis=1)[:, -width, None]
    above = scores > threshold
    # A partition picks any of the equals; counting them from the left picks the first ones.
    level = scores == threshold
    room = width - above.sum(axis=1, keepdims=True)
    chosen = above | (level & (np.cumsum(level, axis=1) <= room))
    return np.nonzero(chosen)[1].reshape(len(scores), width)
