"""Rows that training never sees, so that a probe can tell what was learned.

Which they are follows from their texts alone: those whose mixed keys are the smallest of their source. More
rows, another order or other files move few of them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.errors import InputError
from yuyi.train.reading.pair_files import SINGLE_TEXT_KINDS
from yuyi.train.reading.sources import EMPTY_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]
    Group = tuple[str, str]
    Keyed = tuple[Group, Integers, Integers]

# Odd numbers that mix the keys of both sides; which ones does not matter.
_MIX_A, _MIX_B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
# A source has so many distinct pairs for each held-out one.
_PAIRS_A_ROW = 10
# Rows that a second text may stand in and still belong to each of them.
_COMMON = 10


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Rows that are held out, and the texts that go with them.

    Forbidden to all other rows are the first text of a held-out row, and its second where that is the row's
    own: not where it stands in more than ten rows of the data, as a common answer does ("不知道"), and not
    in a row of a topic (`classification`, `clustering`), whose second text is the name of its label.

    Attributes:
        rows: mixed keys of the held-out rows of each source, in order.
        forbidden: keys of texts that nothing may be learned from, in order.
    """

    rows: Mapping[Group, NDArray[np.uint64]]
    forbidden: Integers

    def split(
        self, group: Group, queries: Integers, documents: Integers, placed: set[int]
    ) -> tuple[Flags, Flags]:
        """Which of these rows are held out, and which may be learned from; rows like the former are neither.

        Args:
            group: name and kind of their source.
            queries: (rows,) keys of their first texts.
            documents: likewise of the second.
            placed: mixed keys of held-out rows that came before; those found here are added. Where a row
                comes several times the first is taken.
        """
        mixed = _mixed(queries, documents)
        held = np.zeros(len(mixed), dtype=bool)
        for place in np.flatnonzero(_is_in(mixed, self.rows[group])).tolist():
            held[place] = int(mixed[place]) not in placed
            placed.add(int(mixed[place]))
        return held, ~self.has(queries) & ~self.has(documents) & ~held

    def has(self, keys: Integers) -> Flags:
        """Which of these texts are forbidden."""
        return _is_in(keys, self.forbidden)

    def write(self, path: Path) -> None:
        """Write it to a file."""
        rows = [[*group, mixed.tolist()] for group, mixed in self.rows.items()]
        path.write_text(json.dumps({"rows": rows, "forbidden": self.forbidden.tolist()}), "utf-8")

    @staticmethod
    def read(path: Path) -> HeldOut:
        """What `write` wrote.

        Raises:
            InputError: the file is damaged.
        """
        try:
            facts = json.loads(path.read_text("utf-8"))
            rows = {(name, kind): np.array(mixed, dtype=np.uint64) for name, kind, mixed in facts["rows"]}
            return HeldOut(rows, np.array(facts["forbidden"], dtype=np.int64))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: damaged list of held-out rows ({error}). Delete it.") from error


def choose_held_out(keys: Callable[[], Iterable[Keyed]], most: int) -> HeldOut:
    """Hold out `most` rows of each source, but at most a tenth of its distinct pairs.

    Args:
        keys: sources and the keys of both texts of some of their rows, all rows of all sources; begun anew
            for each of two passes.
        most: rows of a source.
    """
    best: dict[Group, NDArray[np.uint64]] = defaultdict(lambda: np.zeros(0, dtype=np.uint64))
    texts: dict[Group, dict[int, tuple[int, int]]] = defaultdict(dict)
    for group, queries, documents in keys():
        mixed = _mixed(queries, documents)
        best[group] = np.unique(np.concatenate([best[group], mixed]))[: _PAIRS_A_ROW * most]
        for place in np.flatnonzero(_is_in(mixed, best[group][:most])).tolist():
            texts[group][int(mixed[place])] = (int(queries[place]), int(documents[place]))
    rows = {group: mixed[: len(mixed) // _PAIRS_A_ROW] for group, mixed in best.items()}
    asked: set[int] = set()
    answered: set[int] = set()
    for (name, kind), chosen in rows.items():
        for mixed_key in chosen.tolist():
            query, document = texts[name, kind][mixed_key]
            asked.add(query)
            if kind not in SINGLE_TEXT_KINDS:
                answered.add(document)
    rare = _rare(_ordered(answered), keys())
    return HeldOut(rows, _ordered({*asked, *rare.tolist()} - {EMPTY_KEY}))


def _rare(answered: Integers, keys: Iterable[Keyed]) -> Integers:
    """Those of these second texts that are not common."""
    counts = np.zeros(len(answered), dtype=np.int64)
    for _, _, documents in keys:
        found = documents[_is_in(documents, answered)]
        counts += np.bincount(np.searchsorted(answered, found), minlength=len(answered))
    return answered[counts <= _COMMON]


def _ordered(keys: set[int]) -> Integers:
    return np.array(sorted(keys), dtype=np.int64)


def _is_in(keys: NDArray[Any], ordered: NDArray[Any]) -> Flags:
    """Which keys are among some in order; quicker for few keys than to sort all anew."""
    if not len(ordered):
        return np.zeros(len(keys), dtype=bool)
    places = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    found: Flags = ordered[places] == keys
    return found


def _mixed(queries: Integers, documents: Integers) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = queries.view(np.uint64) * _MIX_A ^ documents.view(np.uint64) * _MIX_B
    return mixed
