"""Arrays by group, grown block by block in bounded memory, and mapped from few files afterwards.

While it grows each group has a file for each array, which is opened only to be added to. In the end the
groups of an array stand one behind another in one `.npy` file: a process that maps them opens as many files
as there are arrays, however many groups there are.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

_FACTS = "arrays.json"
# Bytes that wait in memory before they are written.
_WAITING = 64 << 20
_BLOCK = 1 << 20


class ArrayWriter:
    """Writes the arrays of any number of groups into a folder."""

    def __init__(self, folder: Path, types: Mapping[str, str]) -> None:
        """Take an empty folder, and the arrays that each group has, each with its numpy type."""
        self._folder = folder
        self._types = types
        self._waiting: dict[Path, list[Array]] = {}
        self._bytes = 0
        self._lengths: list[dict[str, int]] = []

    def new_group(self) -> int:
        """The number of a new group, whose arrays are empty."""
        self._lengths.append(dict.fromkeys(self._types, 0))
        return len(self._lengths) - 1

    def append(self, group: int, name: str, values: Array, *, behind: bool = False) -> None:
        """Add values to an array of a group; those that come `behind` stand behind all that do not."""
        values = values.astype(self._types[name], copy=False)
        self._waiting.setdefault(self._parts(group, name)[behind], []).append(values)
        self._lengths[group][name] += len(values)
        self._bytes += values.nbytes
        if self._bytes >= _WAITING:
            self._flush()

    def finish(self, groups: Sequence[int], facts: Any) -> None:
        """Write `groups` in this order, and what else is to be known, as JSON; forget other groups."""
        self._flush()
        lengths = [self._lengths[group] for group in groups]
        for name, kind in self._types.items():
            shape = (sum(each[name] for each in lengths),)
            with (self._folder / f"{name}.npy").open("wb") as file:
                header = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                for part in (part for group in groups for part in self._parts(group, name)):
                    if part.exists():
                        with part.open("rb") as values:
                            shutil.copyfileobj(values, file, _BLOCK)
                        part.unlink()
        for part in self._folder.glob("*.part"):
            part.unlink()
        (self._folder / _FACTS).write_text(
            json.dumps({"facts": facts, "lengths": lengths}, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    def _flush(self) -> None:
        for part, arrays in self._waiting.items():
            with part.open("ab") as file:
                for values in arrays:
                    file.write(values.tobytes())
        self._waiting, self._bytes = {}, 0

    def _parts(self, group: int, name: str) -> tuple[Path, Path]:
        first, second = (self._folder / f"{group}.{name}.{number}.part" for number in range(2))
        return first, second


def read_arrays(
    folder: Path, types: Mapping[str, str], *, mapped: bool = True
) -> tuple[list[dict[str, Array]], Any]:
    """The arrays of each group by name, and the facts that `ArrayWriter.finish` was given.

    Args:
        folder: what was written.
        types: the arrays that there are to be, with their types.
        mapped: whether they are mapped from disk, or read.

    Raises:
        InputError: the folder is not whole.
    """
    try:
        known = json.loads((folder / _FACTS).read_bytes())
        groups: list[dict[str, Array]] = [{} for _ in known["lengths"]]
        for name, kind in types.items():
            values = np.load(folder / f"{name}.npy", mmap_mode="r" if mapped else None)
            bounds = np.cumsum([0, *(lengths[name] for lengths in known["lengths"])]).tolist()
            if values.dtype != np.dtype(kind) or values.shape != (bounds[-1],):
                raise ValueError(f"{name}.npy has {values.shape[0]:,} values of {bounds[-1]:,}")
            plain = np.asarray(values)
            for group, start, end in zip(groups, bounds, bounds[1:], strict=False):
                group[name] = plain[start:end]
        return groups, known["facts"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: damaged arrays ({error}). Delete the folder.") from error
