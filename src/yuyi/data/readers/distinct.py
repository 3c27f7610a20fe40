"""Names that tables and dumps give their rows, made distinct in memory that millions of them fit in."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

# So many are held in a set, of some 80 bytes each; the others lie sorted in 8 bytes each.
_LOOSE = 500_000


class Names:
    """The names that were given so far."""

    def __init__(self) -> None:
        self._loose: set[int] = set()
        self._sorted = np.empty(0, np.uint64)
        self._times: dict[int, int] = {}

    def distinct(self, name: str, space: str = "") -> str:
        """The name, or `name#2`, `name#3`, ... where it was given before in the same space."""
        given, key = name, _key(name, space)
        first, number = key, self._times.get(key, 1)
        while self._is_given(key):
            number += 1
            given = f"{name}#{number}"
            key = _key(given, space)
        if number > 1:
            self._times[first] = number
        self._loose.add(key)
        if len(self._loose) >= _LOOSE:
            loose = np.fromiter(self._loose, np.uint64, len(self._loose))
            self._sorted = np.sort(np.concatenate([self._sorted, loose]))
            self._loose.clear()
        return given

    def _is_given(self, key: int) -> bool:
        if key in self._loose:
            return True
        at = int(np.searchsorted(self._sorted, np.uint64(key)))
        return at < len(self._sorted) and int(self._sorted[at]) == key


def _key(name: str, space: str) -> int:
    return int.from_bytes(blake2b(f"{space}\x1f{name}".encode(), digest_size=8).digest(), "big")
