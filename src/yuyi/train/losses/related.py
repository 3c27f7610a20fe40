"""Which texts of a batch of pairs are related, and so tell nothing as negatives of one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from yuyi.text.plan import spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Places:
    """Entries of a matrix (n, columns), row by row.

    Attributes:
        rows: (entries,) int64, rising.
        columns: (entries,) int64.
        bounds: (n + 1,) where the entries of each row begin and end; on the CPU, so that nothing waits for
            a GPU.
    """

    rows: Tensor
    columns: Tensor
    bounds: Integers

    def mark(self, matrix: Tensor, first: int) -> None:
        """Set the entries to True in the rows of the matrix from `first`: contiguous, (b, columns) bool."""
        entries = slice(self.bounds[first], self.bounds[first + len(matrix)])
        flat = (self.rows[entries] - first) * matrix.shape[1] + self.columns[entries]
        matrix.view(-1).index_fill_(0, flat, True)


@dataclass(frozen=True, slots=True)
class Related:
    """For each pair the texts of all pairs that share a text with it, wherever in the batch they stand.

    It follows from the texts alone, so that one serves all Matryoshka cuts of a batch. Memory is that of two
    int64 for each place: a few for each pair, unless many pairs share a text.

    Attributes:
        queries: places of related texts in (n, n), the columns being the queries.
        answers: likewise in (n, n + m), the documents and then the negatives.
    """

    queries: Places
    answers: Places

    @staticmethod
    def of(keys: Sequence[Integers], device: torch.device | str = "cpu") -> Related:
        """Compare all texts.

        Args:
            keys: int64, equal where texts are equal whatever the side: (n,) of the queries, (n,) of the
                documents and, where there are negatives, (m,) of them.
            device: where the places are put.
        """
        count = len(keys[0])
        _, numbers = np.unique(np.concatenate(list(keys)), return_inverse=True)
        most = int(numbers.max(initial=-1)) + 1
        own, partner = numbers[:count], numbers[count : 2 * count]
        both, other = np.concatenate([own, partner]), np.concatenate([partner, own])
        near = _pairs(np.tile(both, 2), np.concatenate([both, other]), most)
        rows, texts = _follow(np.tile(np.arange(count), 2), both, *near, most)
        rows, texts = _pairs(rows, texts, most)
        found = []
        for side in (own, numbers[count:]):
            order = np.argsort(side, kind="stable")
            own_rows, columns = _follow(rows, texts, side[order], order, most)
            bounds = np.searchsorted(own_rows, np.arange(count + 1))
            marks = [torch.from_numpy(each).to(device) for each in (own_rows, columns)]
            found.append(Places(marks[0], marks[1], bounds))
        return Related(*found)


def _pairs(left: Integers, right: Integers, most: int) -> tuple[Integers, Integers]:
    """The different pairs of `left` and `right`, in order; `right` is below `most`."""
    left, right = np.divmod(np.unique(left * most + right), max(1, most))
    return left, right


def _follow(
    starts: Integers, middles: Integers, sources: Integers, targets: Integers, most: int
) -> tuple[Integers, Integers]:
    """Every way from one of `starts` over its middle to a target: in order of the ways given.

    Args:
        starts: (k,).
        middles: (k,) below `most`, for each start.
        sources: middles again, rising.
        targets: for each of `sources`.
        most: number of different middles.
    """
    bounds = np.searchsorted(sources, np.arange(most + 1))
    counts = np.diff(bounds)[middles]
    return np.repeat(starts, counts), targets[spans(bounds[middles], counts)]
