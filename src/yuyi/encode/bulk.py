"""A table of any length to a file of vectors, shard by shard: what is finished stays finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from yuyi.encode.flow import in_order
from yuyi.encode.workers import LostTexts, naming_lost_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from yuyi.encode.shards import Shards
    from yuyi.encode.vector_files import Write
    from yuyi.progress import Done
    from yuyi.text.overflow import EncodeInfo
    from yuyi.text.rows import Block


class Encode(Protocol):
    """Texts to their vectors and info: `encode_shard` or `WorkerPool.encode`."""

    def __call__(self, texts: list[str], first: int, done: Done) -> tuple[NDArray[Any], EncodeInfo]:
        """(rows, width) vectors and the info; `first` is the number of the first text, for messages.

        `done` is told of texts and tokens on the way.
        """
        ...


@dataclass(slots=True)
class Totals:
    """What became of all rows.

    Attributes:
        rows: number of vectors.
        empty: how many of them are zero, because the model knows nothing in the text.
        resumed: how many an earlier run had made.
        tokens: tokens of all texts.
        cut: number of texts that were longer than the model takes and lost their end.
        dropped: tokens they lost.
        pooled: number of texts that were read in several chunks.
    """

    rows: int = 0
    empty: int = 0
    resumed: int = 0
    tokens: int = 0
    cut: int = 0
    dropped: int = 0
    pooled: int = 0


class _Shard(NamedTuple):
    """A block of rows on its way; without vectors if no worker survived it."""

    first: int
    block: Block
    vectors: NDArray[Any] | None = None
    info: EncodeInfo | None = None
    resumed: bool = False

    @property
    def stop(self) -> int:
        return self.first + len(self.block.texts)


def embed_table(
    table: Iterable[Block], encode: Encode, write: Write, shards: Shards | None, threads: int, done: Done
) -> Totals:
    """Write the vectors of a table's texts, in order.

    Args:
        table: the rows, in blocks that are cut alike each time; a block becomes a shard.
        encode: makes the vectors of a shard; called from `threads` threads.
        write: takes them with their rows.
        shards: takes each finished shard and gives those of an earlier run; None where nothing can be kept.
        threads: how many shards to encode at a time.
        done: called with texts as they are finished, and with their tokens if they were encoded now.

    Raises:
        WorkerError: no worker survived some of the texts; all others are among `shards` then.
    """

    def finish(shard: _Shard, cores: int) -> _Shard:
        return _finish(shard, encode, shards, done)

    totals = Totals()
    with naming_lost_texts() as lost:
        for shard in in_order(_numbered(table), finish, threads):
            if shard.vectors is None or shard.info is None:
                lost.append((shard.first, shard.stop))
                continue
            if not lost:  # An output with a hole will not be published.
                write(shard.vectors, shard.block.rows)
            _count(totals, shard.vectors, shard.info, shard.resumed)
    return totals


def _numbered(table: Iterable[Block]) -> Iterator[_Shard]:
    first = 0
    for block in table:
        yield _Shard(first, block)
        first += len(block.texts)


def _finish(shard: _Shard, encode: Encode, shards: Shards | None, done: Done) -> _Shard:
    """The shard with its vectors, from an earlier run or made now."""
    kept = shards.take(shard.first, shard.stop) if shards else None
    if kept is not None:
        done(len(kept[0]))
        return shard._replace(vectors=kept[0], info=kept[1], resumed=True)
    try:
        vectors, info = encode(shard.block.texts, shard.first, done)
    except LostTexts:
        return shard
    if shards:
        shards.keep(shard.first, shard.stop, vectors, info)
    return shard._replace(vectors=vectors, info=info)


def _count(totals: Totals, vectors: NDArray[Any], info: EncodeInfo, resumed: bool) -> None:
    totals.rows += len(vectors)
    totals.empty += len(vectors) - int(np.any(vectors, axis=1).sum())
    totals.resumed += len(vectors) if resumed else 0
    totals.tokens += int(info.tokens.sum())
    totals.cut += len(info.cut)
    totals.dropped += int((info.tokens - info.used).sum())
    totals.pooled += int((info.chunks > 1).sum())
