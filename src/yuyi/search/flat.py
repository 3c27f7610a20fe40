"""Exact search: every vector is compared, a block at a time, so a mapped file need not fit in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from yuyi.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Vectors per matrix product: 8 MiB at 256 dimensions, and the same again for the scores of 256 queries.
_BLOCK_ROWS = 8_192
_BLOCK_QUERIES = 256


class FlatIndex:
    """Vectors in rows, searched by inner product; for unit vectors that is the cosine.

    Args:
        vectors: (rows, dim) float32, in memory or mapped from a file; kept, not copied. No rows is fine.

    Raises:
        InputError: `vectors` has another shape than (rows, dim).
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
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
        best_scores = np.empty((len(queries), 0), np.float32)
        best_rows = np.empty((len(queries), 0), np.int64)
        if width == 0:
            return best_scores, best_rows
        for start in range(0, len(self), _BLOCK_ROWS):
            scores = queries @ self._vectors[start : start + _BLOCK_ROWS].T
            columns = _best_columns(scores, width)
            best_scores = np.hstack([best_scores, np.take_along_axis(scores, columns, axis=1)])
            best_rows = np.hstack([best_rows, columns + start])
            # What was kept before stands to the left, with lower rows: a stable order keeps ties by row.
            order = np.argsort(-best_scores, axis=1, kind="stable")[:, :width]
            best_scores = np.take_along_axis(best_scores, order, axis=1)
            best_rows = np.take_along_axis(best_rows, order, axis=1)
        return best_scores, best_rows


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
