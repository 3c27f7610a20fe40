"""Many texts to one flat batch of token ids, as fast as the tokenizer library can go.

Handing a library each text by itself costs more than cutting it: an object for each text, then a list for
each object. Where the vocabulary holds a separator piece, texts are joined by it into strings of a few
thousand characters, cut together, and parted again at the separator's id; the ids are the same (the separator
stands between spaces, where the pre-tokenizer cuts anyway) and short texts go through half as fast again.

A text of megabytes is tokenised in slices where a cut is known to change no id: the library keeps some 150
bytes a character while it works.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import normalizers, pre_tokenizers

from yuyi.errors import InputError
from yuyi.text.overflow import Frame
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

# U+001E, the information separator of ASCII: a control character that has no business in a text.
SEPARATOR = "\x1e"
_JOINT = f" {SEPARATOR} "
# Texts longer than this on average gain nothing from joining.
_JOIN_BELOW_CHARACTERS = 64
_JOINED_CHARACTERS = 4_000
_SURROGATE = re.compile(r"[\ud800-\udfff]")

# Characters in a slice of a long text; and how many slices the library gets at a time.
_SLICE_CHARACTERS = 1 << 16
_SLICES = 8
# Before a space or a line's end every pre-tokenizer here cuts; BERT's does before an ideograph too.
_SPACE = re.compile(r"[ \n]")
_SPACE_OR_IDEOGRAPH = re.compile(r"[ \n\u4e00-\u9fff]")


class BatchTokenizer:
    """A tokenizer that turns a list of texts into one `TokenBatch`, without special tokens and uncut."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._separator: int | None = tokenizer.token_to_id(SEPARATOR)
        self._safe_cut = _safe_cut(tokenizer)

    def __call__(self, texts: Sequence[str], first: int = 0) -> TokenBatch:
        """The ids of all texts, flat, with the boundaries between the texts.

        Args:
            texts: what to tokenise.
            first: number of the first text among all texts, for the message of an error.

        Raises:
            InputError: a text holds half of a surrogate pair, which no encoding of text allows.
        """
        try:
            return self._batch(texts)
        except TypeError as error:
            raise _refusal(texts, first) from error

    @property
    def vocabulary_size(self) -> int:
        """Number of pieces in the vocabulary."""
        return int(self._tokenizer.get_vocab_size())

    def frame(self, max_tokens: int | None) -> Frame:
        """The special tokens that the tokenizer puts around a text, with a limit on their sum."""
        encoding = self._tokenizer.encode("a", add_special_tokens=True)
        ids = np.array(encoding.ids, dtype=np.int32)
        own = [number for number, special in enumerate(encoding.special_tokens_mask) if not special]
        return Frame(ids[: own[0]], ids[own[-1] + 1 :], max_tokens)

    def tokens(self, text: str) -> list[str]:
        """The pieces that a text is cut into, as strings, without special tokens.

        Raises:
            InputError: it holds half of a surrogate pair.
        """
        if self._separator is not None:
            text = _blanked(text)
        try:
            tokens: list[str] = self._tokenizer.encode(text, add_special_tokens=False).tokens
        except TypeError as error:
            raise _refusal([text]) from error
        return tokens

    def _batch(self, texts: Sequence[str]) -> TokenBatch:
        if self._separator is not None and any(SEPARATOR in text for text in texts):
            texts = [_blanked(text) for text in texts]
        characters = sum(map(len, texts))
        if self._safe_cut is not None and characters > _SLICE_CHARACTERS * _SLICES:
            return self._sliced(texts, self._safe_cut)
        if self._separator is None or characters > _JOIN_BELOW_CHARACTERS * len(texts):
            return self._each(texts)
        return self._joined(texts, self._separator)

    def _each(self, texts: Sequence[str]) -> TokenBatch:
        encodings = self._encode(texts)
        offsets = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum([len(encoding) for encoding in encodings], out=offsets[1:])
        return TokenBatch(_flat(encodings), offsets)

    def _joined(self, texts: Sequence[str], separator: int) -> TokenBatch:
        ids = _flat(self._encode(_groups(texts)))
        breaks = np.flatnonzero(ids == separator)
        offsets = np.zeros(len(texts) + 1, dtype=np.int64)
        offsets[1:] = breaks - np.arange(len(breaks))
        return TokenBatch(ids[ids != separator], offsets)

    def _sliced(self, texts: Sequence[str], safe_cut: re.Pattern[str]) -> TokenBatch:
        pieces: list[str] = []
        firsts = [0]
        for text in texts:
            pieces.extend(_slices(text, safe_cut))
            firsts.append(len(pieces))
        groups = [self._each(pieces[start : start + _SLICES]) for start in range(0, len(pieces), _SLICES)]
        ends = np.cumsum(np.concatenate([[0], *(group.lengths for group in groups)]))
        return TokenBatch(np.concatenate([group.ids for group in groups]), ends[firsts])

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        encodings: list[Encoding] = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return encodings


def _safe_cut(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """Characters before which a text can be cut without changing an id; None where no such are known.

    The two kinds of tokenizer here look at one word at a time, and end words at spaces; what stands in a
    text's way are added tokens, which are found before words are.
    """
    added = tokenizer.get_added_tokens_decoder().values()
    if any(token.single_word or _SPACE_OR_IDEOGRAPH.search(token.content) for token in added):
        return None
    normalizer = tokenizer.normalizer
    if isinstance(normalizer, normalizers.BertNormalizer):
        if not isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer):
            return None
        return _SPACE_OR_IDEOGRAPH if normalizer.handle_chinese_chars else _SPACE
    return None if tokenizer.token_to_id(SEPARATOR) is None else _SPACE


def _slices(text: str, safe_cut: re.Pattern[str]) -> Iterator[str]:
    """The text in parts of at least `_SLICE_CHARACTERS`; all but the first begin with a safe character."""
    start = 0
    while (cut := safe_cut.search(text, start + _SLICE_CHARACTERS)) is not None:
        yield text[start : cut.start()]
        start = cut.start()
    yield text[start:]


def _flat(encodings: Sequence[Encoding]) -> NDArray[np.int32]:
    return np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), dtype=np.int32)


def _blanked(text: str) -> str:
    """The text with a space for each separator, which is what a control character in a text means."""
    return text.replace(SEPARATOR, " ")


def _refusal(texts: Sequence[str], first: int = 0) -> InputError:
    """What is wrong with texts that the tokenizer library does not take."""
    number = next((number for number, text in enumerate(texts) if _SURROGATE.search(text)), 0)
    return InputError(
        f"text {first + number} ({texts[number][:80]!r}): holds half of a surrogate pair, so it is no text. "
        "Decode it again."
    )


def _groups(texts: Sequence[str]) -> list[str]:
    """The texts joined into strings of a few thousand characters, a separator behind every text."""
    characters = sum(map(len, texts))
    rows = max(1, len(texts) * _JOINED_CHARACTERS // max(1, characters + len(texts)))
    return [_JOINT.join(texts[start : start + rows]) + _JOINT for start in range(0, len(texts), rows)]
