"""Cosines between embeddings, and sums over the ragged candidates of each row."""

from __future__ import annotations

import torch
from torch import Tensor

_ZERO_LENGTH = 1e-12


def unit(vectors: Tensor) -> Tensor:
    """(n, dim) the directions of `vectors`; zeros, without gradient, for those of length zero."""
    vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / lengths.masked_fill(lengths <= _ZERO_LENGTH, float("inf"))


def cosines(left: Tensor, right: Tensor, temperature: float = 1.0) -> Tensor:
    """(n, m) cosine of each row of `left` (n, dim) with each row of `right` (m, dim), over `temperature`."""
    return (unit(left) / temperature) @ unit(right).T


def paired_cosines(left: Tensor, right: Tensor) -> Tensor:
    """(n,) cosine of each row of `left` (n, dim) with the same row of `right` (n, dim)."""
    return (unit(left) * unit(right)).sum(1)


def row_logsumexp(scores: Tensor, owners: Tensor, rows: int) -> Tensor:
    """(rows,) log of the sum of exp over the scores that each row owns; 0 for a row without any.

    Args:
        scores: (m,).
        owners: (m,) int64, the row of each score, in any order.
        rows: number of rows.
    """
    highest = scores.new_zeros(rows).scatter_reduce(0, owners, scores.detach(), "amax", include_self=False)
    sums = scores.new_zeros(rows).index_add(0, owners, (scores - highest[owners]).exp())
    # The highest score of a row adds exactly 1, so only the sums of empty rows are lifted.
    return highest + sums.clamp_min(1.0).log()
