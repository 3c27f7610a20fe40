"""The hashes and shingles of the rows of many parts, on disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from yuyi.data.marking.minhash import Shingles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class Sketches:
    """What `dedupe` wrote of all parts, a row's number being counted through them.

    Args:
        folder: where it wrote.
        names: of its jobs, in the order of the parts.
        sides: texts in a row.
    """

    def __init__(self, folder: Path, names: Sequence[str], sides: int) -> None:
        self._folder, self._names, self._sides = folder, names, sides
        sizes = [np.load(self._file(name, "keys.npy"), mmap_mode="r").shape[1] for name in names]
        self.begins = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    def column(self, kind: str, number: int) -> NDArray[np.uint64]:
        """One of the hashes of every row: of `keys`, or of `bands`."""
        files = (self._file(name, f"{kind}.npy") for name in self._names)
        found = [np.asarray(np.load(file, mmap_mode="r")[number]) for file in files]
        return np.concatenate(found) if found else np.empty(0, np.uint64)

    def shingles(self, rows: NDArray[np.int64]) -> list[Shingles]:
        """The shingles of each side of some rows."""
        sizes = np.empty((len(rows), self._sides), np.int64)
        found = [b""] * len(rows)
        parts = np.searchsorted(self.begins, rows, side="right") - 1
        for part in np.flatnonzero(np.bincount(parts)).tolist():
            all_sizes = np.load(self._file(self._names[part], "sizes.npy")).reshape(-1, self._sides)
            ends = np.cumsum(all_sizes.sum(axis=1)) * 4
            places = np.flatnonzero(parts == part)
            within = rows[places] - self.begins[part]
            sizes[places] = all_sizes[within]
            lengths = sizes[places].sum(axis=1) * 4
            with self._file(self._names[part], "shingles").open("rb") as file:
                for place, length, end in zip(
                    places.tolist(), lengths.tolist(), ends[within].tolist(), strict=True
                ):
                    found[place] = os.pread(file.fileno(), length, end - length)
        starts = np.concatenate([[0], np.cumsum(sizes.ravel())])
        every = Shingles(np.frombuffer(b"".join(found), np.uint32), starts)
        return [every.take(np.arange(side, len(every), self._sides)) for side in range(self._sides)]

    def weights(self) -> NDArray[np.int64]:
        """Number of shingles of every row."""
        sizes = [np.load(self._file(name, "sizes.npy")) for name in self._names]
        every: NDArray[np.int64] = np.concatenate([np.empty(0, np.int64), *sizes])
        return np.add.reduceat(every, np.arange(0, len(every), self._sides))

    def _file(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}.{kind}"
