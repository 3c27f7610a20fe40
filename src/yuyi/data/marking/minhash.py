"""Texts that share most of their shingles: MinHash proposes them by bands, exact counting decides.

A shingle is a window of a few characters of a text's match key, known by a hash of 32 bits. The signature of
a text is the least hash of its shingles under each of many permutations; two texts agree in one of them with
the probability of their Jaccard similarity, the share of common shingles (Broder, "On the resemblance and
containment of documents", 1997). Signatures are cut into bands, and texts that agree in a whole band are
compared (Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log
from typing import TYPE_CHECKING

import numpy as np

from yuyi.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SEED = 42
# Characters that are hashed at a time, which bounds the memory.
_CHARACTERS = 1 << 21


@dataclass(frozen=True, slots=True)
class Shingles:
    """The distinct shingles of texts, one text after another.

    Attributes:
        hashes: of shape (shingles,), ascending within a text.
        starts: of shape (texts + 1,): where each text begins, and the end of the last.
    """

    hashes: NDArray[np.uint32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of shingles of each text."""
        return np.diff(self.starts)

    def take(self, rows: NDArray[np.int64]) -> Shingles:
        """The shingles of some texts, in the order of `rows`."""
        sizes = self.sizes[rows]
        starts = _starts(sizes)
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
        return Shingles(self.hashes[np.repeat(self.starts[rows], sizes) + within], starts)

    def joined(self, sides: int) -> Shingles:
        """Each `sides` texts in a row as one, in which a shingle of the first differs from one of the second.

        The hashes are ascending no longer, so such texts can be sketched but not compared.
        """
        salts = (np.arange(len(self)) % sides * 0x9E3779B9).astype(np.uint32)
        return Shingles(self.hashes ^ np.repeat(salts, self.sizes), self.starts[::sides])


def shingles(keys: Sequence[str], width: int) -> Shingles:
    """The shingles of `width` characters of texts; a shorter text is one shingle by itself."""
    parts, sizes, begin = [np.empty(0, np.uint32)], [np.empty(0, np.int64)], 0
    for end in _cuts(map(len, keys), _CHARACTERS):
        hashes, starts, counts = windows(keys[begin:end], width)
        counts = np.maximum(counts, 1)
        owners = np.repeat(np.arange(end - begin, dtype=np.uint64), counts)
        places = np.repeat(starts - _starts(counts)[:-1], counts) + np.arange(counts.sum())
        found = np.sort(owners << np.uint64(32) | hashes[places] >> np.uint64(32))
        distinct = found[np.concatenate([[True], found[1:] != found[:-1]])]
        parts.append(distinct.astype(np.uint32))
        sizes.append(np.bincount((distinct >> np.uint64(32)).astype(np.int64), minlength=end - begin))
        begin = end
    return Shingles(np.concatenate(parts), _starts(np.concatenate(sizes)))


def windows(
    keys: Sequence[str], width: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Hash of the window of `width` characters at each place of the joined texts.

    Returns:
        The hashes; the first place of each text; the number of windows that lie within each text.
    """
    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    joined = ("\n" * width).join(keys) + "\n" * 2 * width
    characters = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    starts = _starts(lengths + width)[:-1]
    return _window_hashes(characters, width), starts, np.maximum(lengths - width + 1, 0)


class Bands:
    """How signatures are cut so that texts as similar as `threshold` are proposed.

    Args:
        threshold: Jaccard similarity, between 0 and 1.
        recall: share of the texts just as similar that must be proposed; of more similar ones it is more.
        rows: hashes in a band; 0 for as many as let one band in four agree at the threshold. More rows
            propose fewer texts in vain, and need more bands.
    """

    def __init__(self, threshold: float, *, recall: float = 0.99, rows: int = 0) -> None:
        self.rows = rows or max(1, round(log(0.25) / log(threshold)))
        self.count = ceil(log(1 - recall) / log(1 - threshold**self.rows))

    def hashes(self, texts: Shingles) -> NDArray[np.uint64]:
        """Hash of each band of each text, of shape (bands, texts)."""
        require("data")
        from rensa import RMinHash

        found, begin = np.empty((self.count, len(texts)), np.uint64), 0
        for end in _cuts(texts.sizes, _CHARACTERS):
            first, last = texts.starts[begin], texts.starts[end]
            matrix = RMinHash.digest_matrix_from_flat_token_hashes(
                texts.hashes[first:last].astype(np.uint64) * _FACTOR,
                (texts.starts[begin : end + 1] - first).astype(np.uint64),
                num_perm=self.rows * self.count,
                seed=_SEED,
            )
            signatures = np.array(matrix.to_rows(), dtype=np.uint64).reshape(-1, self.count, self.rows)
            mixed = np.zeros((end - begin, self.count), np.uint64)
            for row in range(self.rows):
                mixed = (mixed ^ signatures[:, :, row]) * _FACTOR
                mixed ^= mixed >> np.uint64(29)
            found[:, begin:end] = mixed.T
            begin = end
        return found


def neighbours(hashes: NDArray[np.uint64], reach: int) -> NDArray[np.int64]:
    """Pairs of places whose hashes are equal, the lower place first, of shape (pairs, 2).

    Of many equal ones each is paired with the first and with the `reach` before it, so that a hash which half
    of the texts have does not pair them all.
    """
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    begins = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    firsts = np.repeat(begins, np.diff(np.append(begins, len(ranked))))
    far = np.flatnonzero(np.arange(len(ranked)) - firsts > reach)
    found = [np.stack([order[firsts[far]], order[far]], axis=1)]
    for step in range(1, reach + 1):
        same = np.flatnonzero(ranked[step:] == ranked[:-step])
        found.append(np.stack([order[same], order[same + step]], axis=1))
    return np.concatenate(found)


def common(one: Shingles, other: Shingles) -> NDArray[np.int64]:
    """Number of shingles that each text of `one` shares with the text of `other` in the same place."""
    owners = [np.repeat(np.arange(len(texts), dtype=np.uint64), texts.sizes) for texts in (one, other)]
    both = np.concatenate(
        [owners[0] << np.uint64(32) | one.hashes, owners[1] << np.uint64(32) | other.hashes]
    )
    both.sort()
    shared = both[1:][both[1:] == both[:-1]] >> np.uint64(32)
    return np.bincount(shared.astype(np.int64), minlength=len(one))


def jaccard(one: Shingles, other: Shingles) -> NDArray[np.float64]:
    """Exact Jaccard similarity of each text of `one` to the text of `other` in the same place."""
    shared = common(one, other)
    return shared / (one.sizes + other.sizes - shared)


def _cuts(sizes: Iterable[int], most: int) -> list[int]:
    """Ends of runs of rows that hold at most `most` together, or one row that is larger by itself."""
    ends, total, row = [], 0, 0
    for row, size in enumerate(sizes):
        if total and total + size + 1 > most:
            ends.append(row)
            total = 0
        total += size + 1
    return [*ends, row + 1] if total else ends


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])


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
