"""Exact duplicates: pairs whose sides have the same letters and digits as those of an earlier pair."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from yuyi.data.clean import match_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from yuyi.records import Pair


class Seen:
    """The pairs met so far, sixteen bytes each."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._digests)

    def is_new(self, pair: Pair) -> bool:
        """Whether no pair like this one was asked about before; from now on, one was."""
        # A judged pair stays beside the same pair judged on another scale.
        scale = "" if pair.label is None else pair.kind
        key = f"{match_key(pair.text_a)}\n{match_key(pair.text_b)}\n{scale}"
        before = len(self._digests)
        self._digests.add(blake2b(key.encode(), digest_size=16).digest())
        return len(self._digests) > before


def without_duplicates(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The pairs in order, each but the first of its kind left out."""
    seen = Seen()
    return (pair for pair in pairs if seen.is_new(pair))
