"""Pairs from disk to tokenised sources, ready to be drawn from."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.sources import Column, Source
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokenizers import Tokenizer

    from yuyi.records import Pair

# Characters beyond this many for each token that training looks at are not even tokenised: English, other.
_ASCII_CHARACTERS_PER_TOKEN, _CHARACTERS_PER_TOKEN = 7, 3
_BLOCK = 20_000


def tokenize(texts: Sequence[str], tokenizer: BatchTokenizer, longest: int) -> TokenBatch:
    """The first `longest` tokens of every text, flat."""
    ids, lengths = [], []
    for start in range(0, len(texts), _BLOCK):
        batch = tokenizer([_head(text, longest) for text in texts[start : start + _BLOCK]])
        places = np.arange(len(batch.ids)) - np.repeat(batch.offsets[:-1], batch.lengths)
        ids.append(batch.ids[places < longest])
        lengths.append(np.minimum(batch.lengths, longest))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    return TokenBatch(np.concatenate(ids), offsets)


def read_sources(
    pairs: Iterable[Pair], tokenizer: Tokenizer, longest: int, smallest: int = 64
) -> list[Source]:
    """One source for each collection and kind of pair, in order of name.

    Args:
        pairs: rows in any order.
        tokenizer: cuts both texts.
        longest: tokens kept of a text.
        smallest: collections with fewer rows of a kind are left out: no batch of their own would teach
            anything.
    """
    groups: dict[tuple[str, str], tuple[list[str], list[str], list[float]]] = {}
    for pair in pairs:
        left, right, labels = groups.setdefault((pair.source, pair.kind), ([], [], []))
        left.append(pair.text_a)
        right.append(pair.text_b)
        labels.append(float("nan") if pair.label is None else pair.label)
    batches = BatchTokenizer(tokenizer)
    sources = []
    for (name, kind), (left, right, labels) in sorted(groups.items()):
        if len(labels) >= smallest:
            queries, documents = (_column(texts, batches, longest) for texts in (left, right))
            sources.append(Source.of(name, kind, queries, documents, np.asarray(labels, dtype=np.float32)))
    return sources


def teacher_source(texts: Sequence[str], tokenizer: Tokenizer, longest: int) -> Source:
    """The texts that a teacher has embedded, as a source of kind `teacher`; both sides are the same text."""
    column = _column(texts, BatchTokenizer(tokenizer), longest)
    return Source.of("teacher", "teacher", column, column)


def text_key(text: str) -> int:
    """A 64-bit number that is equal for equal texts, the same in every process."""
    return int.from_bytes(
        blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little", signed=True
    )


def _column(texts: Sequence[str], tokenizer: BatchTokenizer, longest: int) -> Column:
    keys = np.fromiter(map(text_key, texts), dtype=np.int64, count=len(texts))
    return Column(tokenize(texts, tokenizer, longest), keys)


def _head(text: str, longest: int) -> str:
    """The start of a text, with all the characters that its first `longest` tokens are likely to need."""
    per_token = _ASCII_CHARACTERS_PER_TOKEN if text[:80].isascii() else _CHARACTERS_PER_TOKEN
    return text[: longest * per_token]
