"""The pieces of a distilled table: words counted in a corpus, or else those of the encoder itself.

A text is the mean of its pieces, so pieces should be what means something by itself. An encoder's own are
made for layers that read them together: BERT's Chinese ones are single characters. Words need texts to be
counted in; without any, the encoder's own pieces have to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from yuyi.export.base import plain_tokenizer
from yuyi.text.tokenizer import SEPARATOR
from yuyi.train.starting.vocabulary import UNKNOWN, VocabularyConfig, build_tokenizer, count_words
from yuyi.train.static import pieces_of
from yuyi.train.teaching.teacher import teacher_words

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

# A word seen once teaches nothing; what the encoder says of it alone is kept for words of its own vocabulary.
_SMALLEST_COUNT = 2
# Shares of the vocabulary that are kept for English words of the encoder and for parts of words.
_LEXICON, _PARTS = 0.25, 0.05
# What marks a piece inside a word, or at its beginning.
_INNER, _BEGIN = "##", "▁"


@dataclass(frozen=True, slots=True)
class Pieces:
    """A vocabulary before its rows.

    Attributes:
        tokenizer: cuts texts into the pieces, without special tokens.
        texts: (vocabulary,) what the encoder is asked about for each piece; empty for one that means nothing.
    """

    tokenizer: Tokenizer
    texts: tuple[str, ...]

    @property
    def silent(self) -> NDArray[np.bool_]:
        """(vocabulary,) which pieces mean nothing, so that their rows are zeros."""
        return np.array([not text for text in self.texts])


def counted_pieces(texts: Iterable[str], folder: Path, size: int) -> Pieces:
    """The words, characters and parts of words that texts use most.

    Args:
        texts: where they are counted.
        folder: of the encoder, whose own English words are in, however rare in the texts.
        size: number of pieces at most.

    Raises:
        MissingExtra: the segmenter of Chinese is not installed.
        RecipeError: the encoder has no `tokenizer.json`.
    """
    config = VocabularyConfig(
        size=size,
        latin_parts=int(size * _PARTS),
        smallest_count=_SMALLEST_COUNT,
        lexicon=int(size * _LEXICON),
    )
    tokenizer = build_tokenizer({"corpus": count_words(texts)}, config, teacher_words(folder))
    return Pieces(
        tokenizer, tuple("" if piece in (UNKNOWN, SEPARATOR) else piece for piece in pieces_of(tokenizer))
    )


def own_pieces(tokenizer: Tokenizer) -> Pieces:
    """The pieces of an encoder's tokenizer; its special tokens mean nothing."""
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    texts = []
    for number, piece in enumerate(pieces_of(tokenizer)):
        plain = piece.removeprefix(_INNER).removeprefix(_BEGIN)
        # Byte by byte, as RoBERTa writes its pieces, they can be read by its tokenizer alone.
        read = plain if plain != piece or tokenizer.decoder is None else tokenizer.decode([number])
        texts.append("" if piece in special or "\ufffd" in read else read.strip())
    return Pieces(plain_tokenizer(tokenizer), tuple(texts))
