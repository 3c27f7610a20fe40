"""Which rows come next: sources drawn by weight, each batch from one source, each row once in an epoch.

An epoch of a source is laid out when its first batch is drawn: the rows in random order, or nearly sorted by
length, cut into batches in which no text comes twice. It follows from the seed, the source and the number of
the epoch alone. So the state is two counts for each source and a random generator, and the batches after a
restart are those that would have come without it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.train.reading.sources import EMPTY_KEY
from yuyi.train.seeds import seed_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    # The rows of an epoch in order, and where its batches begin and end.
    Epoch = tuple[Integers, Integers]


class Sampler:
    """Draws (source number, rows) for one task."""

    def __init__(
        self,
        sizes: Sequence[int],
        weights: Sequence[float],
        batch: int,
        seed: Sequence[int],
        *,
        keys: Sequence[Sequence[Integers]] | None = None,
        lengths: Sequence[Integers] | None = None,
        window: int = 64,
        least: int | None = None,
    ) -> None:
        """Take the sources' sizes and sampling weights.

        Args:
            sizes: rows in each source.
            weights: how often each is drawn, relative to the others.
            batch: rows in a batch; a smaller source gives all its rows.
            seed: integers that name this sampler.
            keys: for each source some arrays (rows,) of text keys, such as those of queries and documents.
                No text of a row, on whichever side, is then one of another row of the batch; a row that
                cannot go into a batch for this goes into the next that it can. Empty texts do not count.
                None for batches of any rows.
            lengths: for each source (rows,) its rows' tokens. The rows of a batch are then of about one
                length: rows are sorted within windows, and the batches of a window come in random order; only
                the last batch is of any lengths. None for rows in random order.
            window: batches in such a window; the larger, the more even the lengths, the less random the
                batches.
            least: an epoch ends when fewer rows than this can be put together, unless a source has no other
                batch; what is left waits for the next epoch, whose order is another. None for full batches
                alone; with 1 an epoch is every row, and a text that many rows share makes many short
                batches, from which contrast learns little.
        """
        total = float(sum(weights))
        self._sizes = list(sizes)
        self._shares = np.asarray(weights, dtype=np.float64) / total
        self._batch = batch
        self._seed = list(seed)
        self._keys = keys
        self._lengths = lengths
        self._window = window
        self._least = batch if least is None else least
        self._generator = np.random.default_rng(seed_of("sampler", self._seed))
        self._epochs = [0] * len(self._sizes)
        self._places = [0] * len(self._sizes)
        self._laid_out: dict[int, tuple[int, Epoch]] = {}
        self._texts: dict[int, Texts] = {}

    def draw(self) -> tuple[int, Integers]:
        """The next source and its rows."""
        source = int(self._generator.choice(len(self._sizes), p=self._shares))
        rows, bounds = self._epoch(source)
        if self._places[source] == len(bounds) - 1:
            self._epochs[source] += 1
            self._places[source] = 0
            rows, bounds = self._epoch(source)
        place = self._places[source]
        self._places[source] += 1
        return source, rows[bounds[place] : bounds[place + 1]]

    def largest(self, source: int) -> int:
        """Rows of the largest batch in the epoch of a source."""
        _, bounds = self._epoch(source)
        return int(np.diff(bounds).max())

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as JSON values."""
        return {
            "epochs": list(self._epochs),
            "places": list(self._places),
            "generator": self._generator.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._epochs = list(state["epochs"])
        self._places = list(state["places"])
        self._generator.bit_generator.state = state["generator"]

    def _epoch(self, source: int) -> Epoch:
        known = self._laid_out.get(source)
        if known is None or known[0] != self._epochs[source]:
            known = (self._epochs[source], self._lay_out(source, self._epochs[source]))
            self._laid_out[source] = known
        return known[1]

    def _lay_out(self, source: int, epoch: int) -> Epoch:
        generator = np.random.default_rng(seed_of("epoch", [*self._seed, source, epoch]))
        order = generator.permutation(self._sizes[source])
        if self._lengths is not None:
            # What may be left over at the end is a random part of the rows, and of two that share a text
            # either may have to wait: nothing depends on what is longer.
            whole = len(order) - len(order) % self._batch
            even = sort_in_windows(order[:whole], self._lengths[source], self._batch * self._window)
            order = np.concatenate([even[:: generator.choice([1, -1])], order[whole:]])
        if self._keys is None:
            bounds = np.append(np.arange(0, len(order), self._batch), len(order))
        else:
            if source not in self._texts:
                self._texts[source] = Texts(self._keys[source])
            order, bounds = part(order, self._texts[source], self._batch, self._least)
        if len(bounds) > 2 and bounds[-1] - bounds[-2] < self._least:
            bounds = bounds[:-1]
        if self._lengths is None:
            return order, bounds
        numbers = _shuffled(np.diff(bounds), self._window, generator)
        kept = [order[bounds[number] : bounds[number + 1]] for number in numbers]
        return np.concatenate(kept), np.append(0, np.cumsum(np.diff(bounds)[numbers]))


class Texts:
    """Which texts the rows of a source have.

    Attributes:
        shared: (rows,) bool, whether a row has a text that stands somewhere else too.
    """

    def __init__(self, keys: Sequence[Integers]) -> None:
        """Take arrays (rows,) of text keys, one for each side."""
        self._keys = keys
        every = np.concatenate(keys)
        every.sort()
        again = np.unique(every[1:][every[1:] == every[:-1]])
        again = again[again != EMPTY_KEY]
        self.shared = np.zeros(len(keys[0]), dtype=bool)
        for column in keys if len(again) else ():
            places = np.searchsorted(again, column).clip(max=len(again) - 1)
            self.shared |= again[places] == column

    def of(self, rows: Integers) -> Iterator[set[int]]:
        """The keys of the texts of each row."""
        columns = [column[rows].tolist() for column in self._keys]
        return ({key for key in row if key != EMPTY_KEY} for row in zip(*columns, strict=True))


def part(order: Integers, texts: Texts, batch: int, least: int) -> Epoch:
    """The rows in batches without a text in common, as near to `order` as that allows.

    A row that has a text of its batch waits for the first later batch that has room and none of its texts;
    waiting rows go before those that follow in `order`. Batches are full but for the last ones, when nothing
    is left, or only rows that keep one another waiting.

    Args:
        order: rows, each once.
        texts: of the source.
        batch: rows in a batch.
        least: the first batch with fewer rows is the last.

    Returns:
        The rows batch by batch, and (batches + 1,) int64 bounds.
    """
    waiting: dict[int, deque[tuple[int, set[int]]]] = {}
    rows: list[Integers] = []
    bounds = [0]
    taken = 0
    while taken < len(order) or waiting:
        seen: set[int] = set()
        own = _admit_waiting(waiting, seen, batch)
        chosen = [np.array(own, dtype=np.int64)]
        room = batch - len(own)
        while room and taken < len(order):
            block = order[taken : taken + room]
            taken += len(block)
            block = block[_admit(block, texts, seen, waiting)]
            chosen.append(block)
            room -= len(block)
        rows.extend(chosen)
        bounds.append(bounds[-1] + batch - room)
        if batch - room < least:
            break
    return np.concatenate(rows), np.array(bounds)


def sort_in_windows(order: Integers, lengths: Integers, window: int) -> Integers:
    """`order` with each `window` of rows sorted by length, rising and falling by turns.

    So a row that waits at the end of a window meets rows of its length at the start of the next.
    """
    parts = [order[:0]]
    for number, start in enumerate(range(0, len(order), window)):
        rows = order[start : start + window]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        parts.append(rows[::-1] if number % 2 else rows)
    return np.concatenate(parts)


def _admit(
    rows: Integers, texts: Texts, seen: set[int], waiting: dict[int, deque[tuple[int, set[int]]]]
) -> NDArray[np.bool_]:
    """Which rows a batch takes that has the texts `seen`; the others wait, each under a text that it has."""
    taken = np.ones(len(rows), dtype=bool)
    shared = np.flatnonzero(texts.shared[rows])
    for place, own in zip(shared.tolist(), texts.of(rows[shared]), strict=True):
        if own.isdisjoint(seen):
            seen |= own
        else:
            taken[place] = False
            _wait(int(rows[place]), own, seen, waiting)
    return taken


def _admit_waiting(waiting: dict[int, deque[tuple[int, set[int]]]], seen: set[int], batch: int) -> list[int]:
    """The waiting rows that open a batch; of those that wait for one text no more than one can."""
    rows: list[int] = []
    for key in list(waiting):
        if len(rows) == batch:
            break
        queue = waiting[key]
        while queue and key not in seen:
            row, own = queue.popleft()
            if own.isdisjoint(seen):
                seen |= own
                rows.append(row)
            else:
                _wait(row, own, seen, waiting)
        if not queue:
            del waiting[key]
    return rows


def _wait(row: int, own: set[int], seen: set[int], waiting: dict[int, deque[tuple[int, set[int]]]]) -> None:
    waiting.setdefault(min(own & seen), deque()).append((row, own))


def _shuffled(sizes: Integers, window: int, generator: np.random.Generator) -> Integers:
    """Numbers of batches in random order within windows; those that are not full stay at the end."""
    full = np.flatnonzero(sizes == sizes.max())
    parts = [generator.permutation(full[start : start + window]) for start in range(0, len(full), window)]
    return np.concatenate([*parts, np.flatnonzero(sizes < sizes.max())])
