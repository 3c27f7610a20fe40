"""Texts that training must not see: equal, nearly equal, contained, or with a stretch in common.

Texts are compared by their match key (letters and digits only, lower case), side by side:

- equal keys;
- Jaccard similarity of character trigrams, proposed by MinHash and counted exactly; at 0.6 it still finds a
  text in which every twentieth character was changed, which costs up to three trigrams a change;
- an evaluation text of at least 12 Chinese characters or 30 letters as a part of a longer one; where it has
  both, an ideograph weighs as much as two letters;
- as many words in a row as the n-grams of GPT-3 (Brown et al. 2020, appendix C). Chinese has no spaces, and
  thirteen characters in a row are often an idiom, a title or the name of a law, so a word counts as two
  ideographs, and as five letters elsewhere;
- on demand, the cosine of an encoder's vectors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from yuyi.data.clean import IDEOGRAPHS, clean, ideographs, match_key, weight
from yuyi.data.marking.minhash import Bands, jaccard, shingles, windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from yuyi.encode.encoder import Encoder
    from yuyi.records import Pair

Reason: TypeAlias = Literal[
    "equals evaluation", "contains evaluation", "near evaluation", "shares evaluation", "resembles evaluation"
]

# In letters, an ideograph counting as two. What is shorter, as "Data types", resembles too much.
_LEAST_NEAR = 20
# Weight, of Chinese and of other texts, from which on being contained counts, and characters that they are
# looked up by: no text of that weight is shorter, Chinese being less than half of the weight of the others.
_CONTAINED, _BEGINNING = (24, 30), (12, 22)
# Characters in a word of a run.
_WORD = (2, 5)
_RANGES = [(ord(first), ord(last)) for first, last in re.findall("(.)-(.)", IDEOGRAPHS)]
# Few hashes in a band would propose a hundred evaluation texts for every English sentence. Where the
# similarity just reaches 0.6, nine in ten are proposed; from 0.7 on, 99 in 100.
_ROWS, _RECALL = 5, 0.9
# Places of the table for each window in it: a wrong hit costs a search, a large table the cache.
_PLACES = 16
_SCORES = 1 << 24


class Match(NamedTuple):
    """What a text has in common with an evaluation text.

    Attributes:
        reason: of the mark.
        value: Jaccard similarity of trigrams; of a contained text its share of the longer one; of a stretch
            in common its characters; or the cosine.
        name: the evaluation set.
    """

    reason: Reason
    value: float
    name: str


class EvaluationTexts:
    """The texts that training must not see.

    Args:
        texts: name of the evaluation set and text, as it stands in the files.
        near: Jaccard similarity of trigrams from which on a text counts; None to leave this out.
        words: words in a row that count; None to leave this out.
        similarity: cosine from which on a text counts; None to leave this out.
        encoder: makes the vectors, where `similarity` is given.
    """

    def __init__(
        self,
        texts: Iterable[tuple[str, str]],
        *,
        near: float | None = 0.6,
        words: int | None = 13,
        similarity: float | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        found: dict[str, tuple[str, str]] = {}
        for name, text in texts:
            text = clean(text)
            found.setdefault(match_key(text), (name, text))
        found.pop("", None)
        self._keys = sorted(found)
        self._names = [found[key][0] for key in self._keys]
        self._numbers = {key: number for number, key in enumerate(self._keys)}
        self._near = _Near(self._keys, near) if near else None
        self._contained = [_Beginnings(self._keys, chinese=chinese) for chinese in (True, False)]
        self._runs = [_Runs(self._keys, words, chinese=chinese) for chinese in (True, False) if words]
        self._similarity, self._encoder = similarity, encoder
        if similarity and encoder:
            self._vectors = _vectors(encoder, [found[key][1] for key in self._keys])

    def __len__(self) -> int:
        return len(self._keys)

    def matches(self, pairs: Sequence[Pair]) -> list[Match | None]:
        """What each pair has in common with an evaluation text, or None; the first side found counts."""
        texts: dict[str, str] = {}
        sides = []
        for pair in pairs:
            for text in (pair.text_a, pair.text_b):
                cleaned = clean(text)
                sides.append(match_key(cleaned))
                texts.setdefault(sides[-1], cleaned)
        found = dict(zip(texts, self._matches(list(texts), list(texts.values())), strict=True))
        return [found[a] or found[b] for a, b in zip(sides[::2], sides[1::2], strict=True)]

    def _matches(self, keys: Sequence[str], texts: Sequence[str]) -> list[Match | None]:
        found: list[Match | None] = [None] * len(keys)
        for row, key in enumerate(keys):
            if key in self._numbers:
                found[row] = Match("equals evaluation", 1.0, self._names[self._numbers[key]])
        for reason, finds in self._ways():
            left = [row for row, match in enumerate(found) if match is None and keys[row]]
            chosen = texts if reason == "resembles evaluation" else keys
            for index, value, number in finds([chosen[row] for row in left]):
                # Later finds of one way are no better than the first.
                if found[left[index]] is None:
                    found[left[index]] = Match(reason, value, self._names[number])
        return found

    def _ways(self) -> Iterator[tuple[Reason, _Finds]]:
        for beginnings in self._contained:
            yield "contains evaluation", beginnings.find
        if self._near:
            yield "near evaluation", self._near.find
        for runs in self._runs:
            yield "shares evaluation", runs.find
        if self._similarity and self._encoder:
            yield "resembles evaluation", self._resembling

    def _resembling(self, texts: Sequence[str]) -> Iterator[_Find]:
        assert self._encoder and self._similarity
        vectors = _vectors(self._encoder, texts)
        step = max(1, _SCORES // max(1, len(self._vectors)))
        for begin in range(0, len(vectors), step):
            scores = vectors[begin : begin + step] @ self._vectors.T
            best = scores.argmax(axis=1)
            for row in np.flatnonzero(scores.max(axis=1) >= self._similarity).tolist():
                yield begin + row, float(scores[row, best[row]]), int(best[row])


class _Near:
    """Which evaluation texts are nearly equal to others."""

    def __init__(self, keys: Sequence[str], threshold: float) -> None:
        self._threshold = threshold
        self._numbers = np.array([n for n, key in enumerate(keys) if weight(key) >= _LEAST_NEAR], np.int64)
        self._shingles = shingles([keys[number] for number in self._numbers.tolist()], 3)
        self._bands = Bands(threshold, recall=_RECALL, rows=_ROWS)
        hashes = self._bands.hashes(self._shingles)
        self._order = np.argsort(hashes, axis=1).astype(np.int32)
        self._hashes = np.take_along_axis(hashes, self._order, axis=1)

    def find(self, keys: Sequence[str]) -> Iterator[_Find]:
        """Of each key that is near an evaluation text, the nearest: index, similarity, number."""
        most = self._shingles.sizes.max(initial=0) / self._threshold + 2
        least = _LEAST_NEAR * self._threshold
        rows = [row for row, key in enumerate(keys) if weight(key) >= least]
        asked = shingles([keys[row] for row in rows], 3)
        small = np.flatnonzero(asked.sizes <= most)
        asked = asked.take(small)
        near = self._candidates(self._bands.hashes(asked))
        best: dict[int, tuple[float, int]] = {}
        for some in np.array_split(near, len(near) // 50_000 + 1):
            similar = jaccard(asked.take(some[:, 0]), self._shingles.take(some[:, 1]))
            for place in np.flatnonzero(similar >= self._threshold).tolist():
                row = rows[int(small[some[place, 0]])]
                number = int(self._numbers[some[place, 1]])
                best[row] = max(best.get(row, (0.0, 0)), (float(similar[place]), number))
        yield from ((row, value, number) for row, (value, number) in best.items())

    def _candidates(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Asked text and evaluation text of each pair that agrees in a band, each pair once."""
        found = [np.empty(0, np.int64)]
        for band, asked in enumerate(hashes):
            first = np.searchsorted(self._hashes[band], asked, side="left")
            sizes = np.searchsorted(self._hashes[band], asked, side="right") - first
            within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            owners = self._order[band][np.repeat(first, sizes) + within].astype(np.int64)
            found.append(np.repeat(np.arange(len(asked)), sizes) << 32 | owners)
        both = np.sort(np.concatenate(found))
        both = both[np.concatenate([[True], both[1:] != both[:-1]])[: len(both)]]
        return np.stack([both >> 32, both & 0xFFFFFFFF], axis=1)


class _Beginnings:
    """Which longer texts contain an evaluation text, looked up by its first characters."""

    def __init__(self, keys: Sequence[str], *, chinese: bool) -> None:
        self._width = _BEGINNING[not chinese]
        self._by_start: dict[str, list[int]] = {}
        for number, key in enumerate(keys):
            if weight(key) >= _CONTAINED[not chinese] and _is_chinese(key) == chinese:
                self._by_start.setdefault(key[: self._width], []).append(number)
        self._keys = keys
        self._windows = _Windows(list(self._by_start), self._width)

    def find(self, keys: Sequence[str]) -> Iterator[_Find]:
        """Of each key that contains an evaluation text: index, share of the key, number."""
        for index, place, _ in self._windows.found_in(keys):
            key = keys[index]
            for number in self._by_start.get(key[place : place + self._width], ()):
                if key.startswith(self._keys[number], place):
                    yield index, len(self._keys[number]) / len(key), number


class _Runs:
    """Which texts have a stretch of some length in common with an evaluation text."""

    def __init__(self, keys: Sequence[str], words: int, *, chinese: bool) -> None:
        self._width = words * _WORD[not chinese]
        self._numbers = [number for number, key in enumerate(keys) if len(key) >= self._width]
        long = [keys[number] for number in self._numbers]
        self._windows = _Windows(long, self._width, chinese=chinese)

    def find(self, keys: Sequence[str]) -> Iterator[_Find]:
        """Of each key with a stretch in common: index, characters of the longest such stretch, number."""
        longest: dict[int, tuple[int, int]] = {}
        before, length = (-1, -1), 0
        for index, place, owner in self._windows.found_in(keys):
            length = length + 1 if (index, place - 1) == before else self._width
            before = index, place
            longest[index] = max(longest.get(index, (0, 0)), (length, self._numbers[owner]))
        yield from ((index, float(length), number) for index, (length, number) in longest.items())


class _Windows:
    """Which windows of some width occur in some texts, by hash.

    Args:
        texts: none shorter than `width`.
        width: characters.
        chinese: whether only windows half of which are ideographs count, or only the others; None for all.
    """

    def __init__(self, texts: Sequence[str], width: int, *, chinese: bool | None = None) -> None:
        self._width = width
        hashes, starts, counts = windows(texts, width)
        places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        owners = np.repeat(np.arange(len(texts), dtype=np.int32), counts)
        if chinese is not None:
            flags = np.frombuffer(
                ("\n" * width).join(texts).encode("utf-32-le") + bytes(8 * width), dtype=np.uint32
            )
            ideographic = np.zeros(len(flags), bool)
            for first, last in _RANGES:
                ideographic |= (flags >= first) & (flags <= last)
            sums = np.concatenate([[0], np.cumsum(ideographic)])
            right = (2 * (sums[places + width] - sums[places]) >= width) == chinese
            places, owners = places[right], owners[right]
        order = np.argsort(hashes[places], kind="stable")
        self._hashes, self._owners = hashes[places][order], owners[order]
        bits = (_PLACES * len(order)).bit_length()
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, dtype=bool)
        self._table[self._hashes >> self._shift] = True

    def found_in(self, texts: Sequence[str]) -> Iterator[tuple[int, int, int]]:
        """Index of the text and place of each window that occurs, and the first text that it occurs in."""
        if not len(self._hashes):
            return
        hashes, starts, counts = windows(texts, self._width)
        # Most windows end here: the table says at once that they occur nowhere.
        likely = np.flatnonzero(self._table[hashes >> self._shift])
        ranks = np.minimum(np.searchsorted(self._hashes, hashes[likely]), len(self._hashes) - 1)
        same = self._hashes[ranks] == hashes[likely]
        places, owners = likely[same], self._owners[ranks[same]]
        indexes = np.searchsorted(starts, places, side="right") - 1
        within = places - starts[indexes]
        inside = within < counts[indexes]
        yield from zip(
            indexes[inside].tolist(), within[inside].tolist(), owners[inside].tolist(), strict=True
        )


_Find: TypeAlias = "tuple[int, float, int]"
if TYPE_CHECKING:
    from collections.abc import Callable

    _Finds: TypeAlias = Callable[[Sequence[str]], Iterator[_Find]]


def _is_chinese(key: str) -> bool:
    """Whether at least half of its weight is Chinese."""
    return 4 * ideographs(key) >= weight(key)


def _vectors(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    vectors: NDArray[np.float32]
    vectors, _ = encoder.encode_document(list(texts), return_info=True, show_progress=False)
    return vectors
