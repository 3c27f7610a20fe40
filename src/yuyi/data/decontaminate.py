"""Evaluation texts in training pairs: equal, nearly equal, or contained in a longer text.

Texts are compared by their match key (letters and digits only, lower case). Near-duplicates share at least
0.8 of their character trigrams (Jaccard): MinHash proposes, the exact figure decides. Two tables of hashed
windows, read with numpy for a whole batch at once, keep nearly all texts away from the costly steps: one has
every trigram of the evaluation texts, one the first 30 characters of each.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from yuyi.data.clean import clean, match_key
from yuyi.errors import InputError
from yuyi.extras import require
from yuyi.records import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.records import Pair

Reason: TypeAlias = Literal["equals evaluation", "near evaluation", "contains evaluation"]

_TEXT_COLUMNS = ("sentence1", "sentence2", "text")
_JACCARD = 0.8
# Characters of a match key: below the first only equality counts; from the second on, being contained counts.
_LEAST_NEAR, _LEAST_CONTAINED = 12, 30
# 20 bands of 6: a pair of texts at the threshold is proposed with probability 0.998, one at 0.3 with 0.015.
_PERMUTATIONS, _BANDS, _SEED = 120, 20, 42
# With fewer of its trigrams in the table a text cannot reach 0.8; the margin is for trigrams that repeat.
_LEAST_KNOWN = 0.6
_TABLE_BITS = 24
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class EvaluationTexts:
    """The texts that training must not see.

    Args:
        texts: as they stand in the evaluation files.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        require("data")
        from rensa import RMinHash, RMinHashLSH

        self._keys = sorted({match_key(clean(text)) for text in texts} - {""})
        self._known = set(self._keys)
        self._near = [key for key in self._keys if len(key) >= _LEAST_NEAR]
        self._trigrams = _Windows(self._near, 3)
        self._starts = _Windows(
            [key for key in self._keys if len(key) >= _LEAST_CONTAINED], _LEAST_CONTAINED, 1
        )
        self._minhash = RMinHash
        self._lsh = RMinHashLSH(threshold=_JACCARD, num_perm=_PERMUTATIONS, num_bands=_BANDS)
        self._lsh.insert_many(self._minhashes(self._near))
        self._by_start: dict[str, list[str]] = {}
        for key in self._keys:
            if len(key) >= _LEAST_CONTAINED:
                self._by_start.setdefault(key[:_LEAST_CONTAINED], []).append(key)

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def from_folder(cls, folder: Path) -> EvaluationTexts:
        """All text columns of the Parquet files in a folder.

        Raises:
            InputError: the folder holds no such files, or one is damaged.
        """
        return cls(text for file in cls.files(folder) for text in _texts_of(file))

    @staticmethod
    def files(folder: Path) -> list[Path]:
        """The Parquet files of a folder that hold texts; judgments (`*.qrels.parquet`) hold none.

        Raises:
            InputError: there is none.
        """
        files = [
            file for file in sorted(folder.glob("*.parquet")) if not file.name.endswith(".qrels.parquet")
        ]
        if not files:
            raise InputError(f"{folder}: holds no evaluation files (*.parquet). Name the folder that does.")
        return files

    def reasons(self, pairs: Sequence[Pair]) -> list[Reason | None]:
        """Why each pair must not be trained on, or None; the first reason found on either side."""
        sides = [match_key(side) for pair in pairs for side in (pair.text_a, pair.text_b)]
        distinct = list(dict.fromkeys(sides))
        found = dict(zip(distinct, self._reasons_of_keys(distinct), strict=True))
        return [found[a] or found[b] for a, b in zip(sides[::2], sides[1::2], strict=True)]

    def _reasons_of_keys(self, keys: Sequence[str]) -> list[Reason | None]:
        reasons: list[Reason | None] = ["equals evaluation" if key in self._known else None for key in keys]
        long = [row for row, key in enumerate(keys) if reasons[row] is None and len(key) >= _LEAST_NEAR]
        texts = [keys[row] for row in long]
        for index, place in self._starts.found_in(texts):
            begun = self._by_start.get(texts[index][place : place + _LEAST_CONTAINED], ())
            if any(texts[index].startswith(key, place) for key in begun):
                reasons[long[index]] = "contains evaluation"
        likely = [
            long[index]
            for index in self._trigrams.mostly_in(texts, _LEAST_KNOWN)
            if reasons[long[index]] is None
        ]
        candidates = self._lsh.query_all(self._minhashes([keys[row] for row in likely]))
        for row, near in zip(likely, candidates, strict=True):
            if any(_are_near(keys[row], self._near[candidate]) for candidate in near):
                reasons[row] = "near evaluation"
        return reasons

    def _minhashes(self, keys: Sequence[str]) -> list[object]:
        shingles = [[key[at : at + 3] for at in range(len(key) - 2)] for key in keys]
        return list(self._minhash.from_token_sets(shingles, num_perm=_PERMUTATIONS, seed=_SEED))


class _Windows:
    """Which windows of some width occur in some texts, by hash: false alarms are possible, misses are not.

    Args:
        texts: none shorter than `width`.
        width: characters.
        first: how many windows of each text count; 0 for all.
    """

    def __init__(self, texts: Sequence[str], width: int, first: int = 0) -> None:
        self._width = width
        self._table = np.zeros(1 << _TABLE_BITS, dtype=bool)
        kept = [text[: width + first - 1] for text in texts] if first else texts
        slots, starts, counts = self._slots(kept)
        for start, count in zip(starts, counts, strict=True):
            self._table[slots[start : start + count]] = True

    def found_in(self, texts: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Index of the text and place of each window that the table holds."""
        slots, starts, _ = self._slots(texts)
        for hit in np.flatnonzero(self._table[slots]):
            index = int(np.searchsorted(starts, hit, side="right")) - 1
            yield index, int(hit) - int(starts[index])

    def mostly_in(self, texts: Sequence[str], share: float) -> list[int]:
        """Indexes of the texts of whose windows at least `share` are in the table."""
        if not texts:
            return []
        slots, starts, counts = self._slots(texts)
        # Windows that reach over the end of a text count with it; should the table hold one by chance, that
        # only lets a text through which is compared exactly afterwards.
        hits = np.add.reduceat(self._table[slots].astype(np.int32), starts)
        return [int(index) for index in np.flatnonzero(hits >= share * counts)]

    def _slots(self, texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
        """Slot of the window at each place of the joined texts; first place and window count of each."""
        starts = np.array([0, *accumulate(len(text) + 1 for text in texts)][: len(texts)], dtype=np.int64)
        counts = np.array([max(0, len(text) - self._width + 1) for text in texts], dtype=np.int64)
        joined = "\n".join(texts) + "\n" * self._width
        hashes = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
        hashes = _window_hashes(hashes, self._width)
        return (hashes >> np.uint64(64 - _TABLE_BITS)).astype(np.uint32), starts, counts


def _window_hashes(characters: NDArray[np.uint64], width: int) -> NDArray[np.uint64]:
    """Hash of each window of `width` characters, put together from windows of powers of two."""
    power, span, factor = characters + np.uint64(1), 1, int(_FACTOR)
    total, covered = np.zeros_like(characters), 0
    while True:
        if width & span:
            shifted = power[covered : covered + len(characters) - width + 1]
            total = total[: len(shifted)] * np.uint64(factor) + shifted
            covered += span
        if covered == width:
            break
        power = power[:-span] * np.uint64(factor) + power[span:]
        factor, span = factor * factor % (1 << 64), 2 * span
    total ^= total >> np.uint64(29)
    return total * _FACTOR


def _are_near(one: str, other: str) -> bool:
    a = {one[at : at + 3] for at in range(len(one) - 2)}
    b = {other[at : at + 3] for at in range(len(other) - 2)}
    shared = len(a & b)
    return shared >= _JACCARD * (len(a) + len(b) - shared)


def _texts_of(file: Path) -> Iterator[str]:
    require("parquet")
    for row in read_rows(file, (), optional=_TEXT_COLUMNS):
        yield from (value for value in row.values() if isinstance(value, str))
