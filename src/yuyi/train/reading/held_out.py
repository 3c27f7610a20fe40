"""Rows that training never sees, so that a probe can tell what was learned.

Which they are follows from their texts alone: those whose mixed keys are the smallest of their source. More
rows, another order or other files move few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from yuyi.train.reading.sources import EMPTY_KEY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Group = tuple[str, str]

# Odd numbers that mix the keys of both sides; which ones does not matter.
_MIX_A, _MIX_B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


class HeldOut:
    """Chooses rows in one pass over the keys of all rows, and tells them apart in a second.

    At most a tenth of a source is held out, counting distinct pairs.
    """

    def __init__(self, rows: int) -> None:
        """Hold out `rows` of each source."""
        self._rows = rows
        self._best: dict[Group, NDArray[np.uint64]] = {}
        self._texts: dict[Group, dict[int, tuple[int, int]]] = {}
        self._counts: dict[Group, int] = {}
        self._placed: dict[Group, set[int]] = {}
        self._forbidden = np.zeros(0, dtype=np.int64)

    def consider(self, group: Group, queries: Integers, documents: Integers) -> None:
        """Look at rows of a source by the keys of their texts, (rows,) each."""
        mixed = _mixed(queries, documents)
        self._counts[group] = self._counts.get(group, 0) + len(mixed)
        known = self._best.get(group, np.zeros(0, dtype=np.uint64))
        best = np.unique(np.concatenate([known, mixed]))[: self._rows]
        texts = self._texts.setdefault(group, {})
        for place in np.flatnonzero(np.isin(mixed, best)).tolist():
            texts[int(mixed[place])] = (int(queries[place]), int(documents[place]))
        self._best[group] = best

    def settle(self) -> None:
        """End the first pass."""
        forbidden: set[int] = set()
        for group, best in self._best.items():
            self._best[group] = best[: min(self._rows, self._counts[group] // 10)]
            for mixed in self._best[group].tolist():
                forbidden.update(self._texts[group][mixed])
            self._placed[group] = set()
        self._texts = {}
        self._forbidden = np.array(sorted(forbidden - {EMPTY_KEY}), dtype=np.int64)

    def split(
        self, group: Group, queries: Integers, documents: Integers
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which of these rows are held out, and which may be learned from; rows like the former are neither.

        A row may not be learned from if one of its two texts is one of a held-out row of any source. Where a
        held-out row comes several times the first is taken.
        """
        placed = self._placed[group]
        mixed = _mixed(queries, documents)
        held = np.zeros(len(mixed), dtype=bool)
        for place in np.flatnonzero(np.isin(mixed, self._best[group])).tolist():
            held[place] = int(mixed[place]) not in placed
            placed.add(int(mixed[place]))
        near = np.isin(queries, self._forbidden) | np.isin(documents, self._forbidden)
        return held, ~near & ~held


def _mixed(queries: Integers, documents: Integers) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = queries.view(np.uint64) * _MIX_A ^ documents.view(np.uint64) * _MIX_B
    return mixed
