"""Texts to the tokens that training looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from yuyi.text.plan import gather, select
from yuyi.train.reading.sources import Column, text_key
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from yuyi.text.tokenizer import BatchTokenizer

# A long text is tokenised no further than is needed, as a rule: characters for each token, English and other;
# and the tokens behind the last one needed that a cut can change (a longer word is none to BERT's tokenizer).
_ASCII_CHARACTERS_PER_TOKEN, _CHARACTERS_PER_TOKEN = 7, 3
_WORD_TOKENS = 100
_BLOCK = 20_000


def column_of(
    texts: Sequence[str], tokenizer: BatchTokenizer, longest: int, prompts: Sequence[str] | None = None
) -> Column:
    """Texts as a column of a source, each with its prompt before it; an empty text stays empty."""
    keys = keys_of(texts)
    if prompts is not None:
        texts = [text and prompt + text for prompt, text in zip(prompts, texts, strict=True)]
    return Column(tokenize(texts, tokenizer, longest), keys)


def first_tokens(column: Column, longest: int) -> Column:
    """The column with the first `longest` tokens of each text."""
    return Column(_first(column.tokens, longest), column.keys)


def keys_of(texts: Sequence[str]) -> NDArray[np.int64]:
    """(texts,) the `text_key` of each."""
    return np.fromiter(map(text_key, texts), dtype=np.int64, count=len(texts))


def tokenize(texts: Sequence[str], tokenizer: BatchTokenizer, longest: int) -> TokenBatch:
    """The first `longest` tokens of every text, flat.

    Of a long text only the start is tokenised, unless that turns out to be too short.
    """
    parts = [
        _tokenize(texts[start : start + _BLOCK], tokenizer, longest) for start in range(0, len(texts), _BLOCK)
    ]
    if len(parts) == 1:
        return parts[0]
    lengths = np.concatenate([np.zeros(1, dtype=np.int64), *(part.lengths for part in parts)])
    ids = np.concatenate([np.zeros(0, dtype=np.int32), *(part.ids for part in parts)])
    return TokenBatch(ids, np.cumsum(lengths))


def _tokenize(texts: Sequence[str], tokenizer: BatchTokenizer, longest: int) -> TokenBatch:
    heads = [_head(text, longest) for text in texts]
    batch = tokenizer(heads)
    again = [
        row
        for row, (head, text, length) in enumerate(zip(heads, texts, batch.lengths.tolist(), strict=True))
        if len(head) < len(text) and length < longest + _WORD_TOKENS
    ]
    if not again:
        return _first(batch, longest)
    whole = _first(tokenizer([texts[row] for row in again]), longest)
    batch = _first(batch, longest)
    both = TokenBatch(
        np.concatenate([batch.ids, whole.ids]),
        np.concatenate([batch.offsets, batch.offsets[-1] + whole.offsets[1:]]),
    )
    order = np.arange(len(texts))
    order[again] = len(texts) + np.arange(len(again))
    return select(both, order)


def _first(batch: TokenBatch, longest: int) -> TokenBatch:
    return gather(batch.ids, batch.offsets[:-1], np.minimum(batch.lengths, longest))


def _head(text: str, longest: int) -> str:
    """The start of a text, with all the characters that its first `longest` tokens are likely to need."""
    per_token = _ASCII_CHARACTERS_PER_TOKEN if text[:80].isascii() else _CHARACTERS_PER_TOKEN
    return text[: (longest + _WORD_TOKENS) * per_token]
