"""Lengths of texts to batches under a token budget; the one planner for encoding, training and serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


def plan(lengths: Integers, token_budget: int, *, sort: bool = True) -> list[Integers]:
    """Row numbers of each batch, every row once; a batch holds at most `token_budget` tokens.

    A row that is longer than the budget gets a batch of its own.

    Args:
        lengths: (rows,) tokens of each row.
        token_budget: the most tokens in a batch.
        sort: longest first, so that the rows of a batch are of about one length and a batch that does not
            fit in memory fails at once; otherwise batches keep the order of the rows.
    """
    order = np.argsort(-lengths, kind="stable") if sort else np.arange(len(lengths))
    ends = np.cumsum(lengths[order])
    batches: list[Integers] = []
    start = 0
    while start < len(order):
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + token_budget, side="right")), start + 1)
        batches.append(order[start:stop])
        start = stop
    return batches


def select(batch: TokenBatch, rows: Integers) -> TokenBatch:
    """The batch of these rows, in the order given."""
    return gather(batch.ids, batch.offsets[rows], batch.lengths[rows])


def gather(ids: NDArray[np.int32], starts: Integers, lengths: Integers) -> TokenBatch:
    """The batch whose row `i` is `lengths[i]` ids from `starts[i]` on."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return TokenBatch(ids[spans(starts, lengths)], offsets)


def spans(starts: Integers, lengths: Integers) -> Integers:
    """(sum of lengths,) the numbers of each span: `length` of them from `start` on.

    Examples:
        >>> spans(np.array([5, 0]), np.array([2, 3])).tolist()
        [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(lengths)
    shifts: Integers = starts - ends + lengths
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(shifts, lengths)
