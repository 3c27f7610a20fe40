"""How near the vectors of a form are to those of its model, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


def cosines(a: Vectors, b: Vectors) -> NDArray[np.float64]:
    """(rows,) float64, the cosine of each row of `a` with that row of `b`, both cut to the shorter length.

    Two zero vectors, as a token table gives an empty text, are the same: 1. What is no number gives none.

    Args:
        a: (rows, dim).
        b: (rows, another dim).
    """
    dim = min(a.shape[1], b.shape[1])
    x, y = _unit(a[:, :dim]), _unit(b[:, :dim])
    both_zero = ~(x.any(axis=1) | y.any(axis=1))
    found: NDArray[np.float64] = np.where(both_zero, 1.0, (x * y).sum(axis=1))
    return found.clip(-1.0, 1.0)


def nearest(queries: Vectors, passages: Vectors, count: int) -> NDArray[np.int64]:
    """(queries, count) int64, rows of the passages with the largest cosines; of equals the first."""
    scores = _unit(queries) @ _unit(passages).T
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def overlap(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Mean share of the rows named in a line of `a` that the same line of `b` names, too."""
    return float((a[:, :, None] == b[:, None, :]).any(axis=2).mean())


def spearman(values: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Rank correlation; equal values share the mean of their ranks. 0 where one side is all equal."""
    from scipy.stats import spearmanr  # Seconds to import.

    return float(spearmanr(values, truth).statistic) if np.ptp(values) and np.ptp(truth) else 0.0


def _unit(vectors: Vectors) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths != 0)
    return unit
