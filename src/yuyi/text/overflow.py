"""Texts fitted to what a model takes: special tokens added, long texts refused, cut or parted.

Texts come tokenised without special tokens and without a limit, so what is lost of a text is always known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from yuyi.errors import InputError
from yuyi.text.plan import gather, spans
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

Overflow = Literal["error", "cut", "pool"]
OVERFLOWS: tuple[Overflow, ...] = get_args(Overflow)

_NO_IDS = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class EncodeInfo:
    """What became of each text's tokens.

    Attributes:
        tokens: (texts,) int64, tokens of the whole text, its prompt and special tokens included.
        used: (texts,) int64, how many of them the vector was made from.
        chunks: (texts,) int64, in how many pieces the model read the text; 1 unless it was pooled.
    """

    tokens: Integers
    used: Integers
    chunks: Integers

    @property
    def cut(self) -> Integers:
        """Numbers of the texts of which something was left out."""
        return np.flatnonzero(self.used < self.tokens)

    def summary(self) -> str:
        """One line on what was left out or parted; empty when each text was read whole, in one piece.

        Examples:
            >>> EncodeInfo(np.array([900, 7]), np.array([512, 7]), np.array([1, 1])).summary()
            '1 of 2 texts was cut; 388 of 907 tokens dropped'
        """
        total = f"of {len(self.tokens):,} texts"
        parts = []
        if count := len(self.cut):
            dropped = int((self.tokens - self.used).sum())
            verb = "was" if count == 1 else "were"
            parts.append(
                f"{count:,} {total} {verb} cut; {dropped:,} of {int(self.tokens.sum()):,} tokens dropped"
            )
        parted = self.chunks[self.chunks > 1]
        if count := len(parted):
            verb = "was" if count == 1 else "were"
            parts.append(f"{count:,} {total} {verb} pooled from {int(parted.sum()):,} chunks")
        return "; ".join(parts)

    @staticmethod
    def joined(infos: Iterable[EncodeInfo]) -> EncodeInfo:
        """The infos of consecutive texts as one."""
        found = list(infos) or [EncodeInfo(*(np.zeros(0, dtype=np.int64),) * 3)]
        return EncodeInfo(
            np.concatenate([info.tokens for info in found]),
            np.concatenate([info.used for info in found]),
            np.concatenate([info.chunks for info in found]),
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens that a model expects around a text, and the most tokens it takes with them.

    Attributes:
        prefix: (tokens,) int32, ids before each text.
        suffix: (tokens,) int32, ids behind it.
        max_tokens: the longest row, special tokens included; None for no limit.
    """

    prefix: NDArray[np.int32] = field(default_factory=_NO_IDS.copy)
    suffix: NDArray[np.int32] = field(default_factory=_NO_IDS.copy)
    max_tokens: int | None = None

    @property
    def specials(self) -> int:
        """Number of special tokens around a text."""
        return len(self.prefix) + len(self.suffix)

    def limited(self, max_tokens: int | None) -> Frame:
        """The same special tokens with another limit."""
        return Frame(self.prefix, self.suffix, max_tokens)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Texts as rows that a model can take.

    Attributes:
        batch: the rows; text `i` owns `info.chunks[i]` consecutive ones.
        info: what became of each text's tokens.
        weights: (rows,) int64, tokens of the text itself in each row, by which chunks are averaged.
    """

    batch: TokenBatch
    info: EncodeInfo
    weights: Integers


def fit(texts: TokenBatch, frame: Frame, overflow: Overflow, *, head: int = 0, first: int = 0) -> Fitted:
    """Rows with special tokens, none longer than the model takes.

    Args:
        texts: ids without special tokens; a prompt's tokens lead each text.
        frame: the special tokens and the limit.
        overflow: `error` refuses a text that is too long; `cut` keeps its first tokens, as transformers does;
            `pool` parts it into consecutive chunks, each with special tokens and prompt of its own.
        head: number of leading tokens of each text that are its prompt, which `pool` repeats.
        first: number of the first text among all texts, for the message.

    Raises:
        InputError: a text is too long and `overflow` is `error`, or the prompt leaves no room for text.
    """
    lengths = texts.lengths
    info = EncodeInfo(lengths + frame.specials, lengths + frame.specials, np.ones_like(lengths))
    if frame.max_tokens is None or not len(lengths) or int(info.tokens.max()) <= frame.max_tokens:
        return Fitted(_framed(texts, frame), info, lengths)
    if overflow == "error":
        raise _refusal(info.tokens, frame.max_tokens, first)
    room = max(0, frame.max_tokens - frame.specials)
    if overflow == "cut":
        kept = np.minimum(lengths, room)
        rows = gather(texts.ids, texts.offsets[:-1], kept)
        used = EncodeInfo(info.tokens, kept + frame.specials, info.chunks)
        return Fitted(_framed(rows, frame), used, kept)
    return _pooled(texts, frame, info, room, head)


def mean_of_chunks(vectors: NDArray[np.float32], fitted: Fitted) -> NDArray[np.float32]:
    """(texts, dim) float32, for each text the mean of its rows' vectors, weighted by their tokens."""
    chunks = fitted.info.chunks
    if len(chunks) == len(vectors):
        return vectors
    firsts = np.cumsum(chunks) - chunks
    weights = np.maximum(fitted.weights, 1).astype(np.float64)
    weights /= np.repeat(np.add.reduceat(weights, firsts), chunks)
    means: NDArray[np.float32] = np.add.reduceat(vectors * weights[:, None], firsts).astype(np.float32)
    return means


def _pooled(texts: TokenBatch, frame: Frame, info: EncodeInfo, room: int, head: int) -> Fitted:
    if head >= room:
        raise InputError(
            f"overflow='pool': the prompt's {head} tokens leave no room for text in the {frame.max_tokens} "
            "that the model takes. Shorten the prompt."
        )
    heads = np.minimum(texts.lengths, head)
    bodies = texts.lengths - heads
    size = room - head
    chunks = np.maximum(1, -(-bodies // size))
    owners = np.repeat(np.arange(len(chunks)), chunks)
    # Which chunk of its text each row is: 0, 1, 2, ...
    turns = spans(np.zeros_like(chunks), chunks)
    weights = np.minimum(bodies[owners] - turns * size, size)
    bounds = np.stack([texts.offsets[owners], texts.offsets[owners] + heads[owners] + turns * size], axis=1)
    counts = np.stack([heads[owners], weights], axis=1)
    rows = TokenBatch(
        texts.ids[spans(bounds.ravel(), counts.ravel())], np.concatenate([[0], np.cumsum(counts.sum(axis=1))])
    )
    return Fitted(_framed(rows, frame), EncodeInfo(info.tokens, info.used, chunks), weights)


def _framed(batch: TokenBatch, frame: Frame) -> TokenBatch:
    """The rows with the special tokens around each."""
    if not frame.specials:
        return batch
    before, after = len(frame.prefix), len(frame.suffix)
    offsets = batch.offsets + frame.specials * np.arange(len(batch.offsets))
    ids = np.empty(int(offsets[-1]), dtype=np.int32)
    ids[(offsets[:-1, None] + np.arange(before)).ravel()] = np.tile(frame.prefix, len(batch))
    ids[(offsets[1:, None] + np.arange(-after, 0)).ravel()] = np.tile(frame.suffix, len(batch))
    ids[spans(offsets[:-1] + before, batch.lengths)] = batch.ids
    return TokenBatch(ids, offsets)


def _refusal(tokens: Integers, limit: int, first: int) -> InputError:
    number = int(np.argmax(tokens > limit))
    return InputError(
        f"text {first + number}: has {tokens[number]:,} tokens and the model takes {limit:,}. Shorten it, or "
        "choose overflow='cut' (drop the rest) or overflow='pool' (read it in chunks and average them)."
    )
