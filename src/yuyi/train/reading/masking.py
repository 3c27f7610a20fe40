"""Which tokens of a text are hidden for the model to guess: whole words, in Chinese as in English.

A Chinese word is what a dictionary segmenter finds, so that 长江 is hidden as a whole and not guessed from
its own half; a word of other scripts is what stands between spaces and signs. Words are found in the
characters of a text and carried over to its tokens by their offsets, whatever kind of tokenizer made them.

Source: whole-word masking for Chinese, Cui et al. 2019, arXiv 1906.08101; the rates of what stands in a
hidden token's place, Devlin et al. 2018, arXiv 1810.04805, section 3.1.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field, PositiveFloat

from yuyi.config import REFUSE_UNKNOWN
from yuyi.errors import ModelError, RecipeError
from yuyi.text.plan import select, spans
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.text.tokenizer_folder import BERT_SPECIALS
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

# What the tokenizers of the known models call the token that stands for a hidden one.
_MASKS = ("[MASK]", "<mask>")
# What stands for no text even where a tokenizer does not say so.
_SPECIALS = (*BERT_SPECIALS.values(), "<s>", "</s>", "<pad>", "<unk>", *_MASKS)

_SPACE, _LETTER, _IDEOGRAPH, _SIGN = range(4)
_IDEOGRAPHS = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x323B0))
# Japanese runs on without spaces; a dictionary of Chinese has no words for it.
_KANA = (0x3040, 0x3100)
_BASIC = 0x10000


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    """How much of a text is hidden, and what stands in its place.

    Attributes:
        share: of a text's tokens that the model has to guess, 0 to 1.
        masked: of those, the share with the mask token in their place.
        random: the share with a random token in their place; the rest is left as it is, and guessed as well.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    masked: Annotated[float, Field(ge=0, le=1)] = 0.8
    random: Annotated[float, Field(ge=0, le=1)] = 0.1

    def __post_init__(self) -> None:
        if self.masked + self.random > 1:
            raise RecipeError(
                f"masking: masked {self.masked} and random {self.random} are more than 1 together. Lower one."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """What RetroMAE's decoder is given of a text, and what its loss counts (`yuyi.train.retromae`).

    Attributes:
        seen: share of the other tokens that a position looks at, 0 to 1; fewer ask more of the embedding.
        weight: factor on the decoder's loss beside the encoder's.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    seen: Annotated[float, Field(ge=0, lt=1)] = 0.5
    weight: PositiveFloat = 1.0


@dataclass(frozen=True, slots=True)
class Pieces:
    """What masking needs to know of a tokenizer.

    Attributes:
        mask: id of the token that stands for a hidden one.
        special: (last id + 1,) bool, True for tokens that are no text, and for ids without a token; they are
            neither hidden nor put in.
        ordinary: (ordinary tokens,) int32, the ids of all others.
    """

    mask: int
    special: Flags
    ordinary: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Masked:
    """Texts with some of their tokens hidden.

    Attributes:
        batch: the texts as the model reads them.
        hidden: (hidden tokens,) int64, places in `batch.ids` of the tokens to be guessed, in order.
        targets: (hidden tokens,) int32, what stood there.
    """

    batch: TokenBatch
    hidden: Integers
    targets: NDArray[np.int32]

    def select(self, rows: Integers) -> Masked:
        """These texts alone, in the order given."""
        batch = select(self.batch, rows)
        edges = np.searchsorted(self.hidden, self.batch.offsets)
        counts = np.diff(edges)[rows]
        chosen = spans(edges[rows], counts)
        moved = np.repeat(batch.offsets[:-1] - self.batch.offsets[rows], counts)
        return Masked(batch, self.hidden[chosen] + moved, self.targets[chosen])


def find_pieces(tokenizer: Tokenizer) -> Pieces:
    """What masking needs to know of `tokenizer`.

    Raises:
        ModelError: it has no mask token.
    """
    numbers = tokenizer.get_vocab(with_added_tokens=True)
    special = np.ones(1 + max(numbers.values()), dtype=bool)
    special[list(numbers.values())] = False
    for number, token in tokenizer.get_added_tokens_decoder().items():
        special[number] = token.special
    special[[numbers[name] for name in _SPECIALS if name in numbers]] = True
    frame = BatchTokenizer(tokenizer).frame(None)
    special[np.concatenate([frame.prefix, frame.suffix])] = True
    found = [numbers[name] for name in _MASKS if name in numbers]
    if not found:
        raise ModelError(
            f"the tokenizer has no mask token ({' or '.join(_MASKS)}), so no token can be hidden. Choose "
            "another tokenizer, or train one with a mask token."
        )
    return Pieces(found[0], special, np.flatnonzero(~special).astype(np.int32))


def mask(
    texts: TokenBatch, begins: Flags, pieces: Pieces, masking: Masking, generator: np.random.Generator
) -> Masked:
    """The texts with whole words hidden, at least one in each text that has a word.

    In each text words are taken in a random order until the number of their tokens comes nearest to the
    share; words with a special token in them are left alone.

    Args:
        texts: ids with or without special tokens around each text.
        begins: (tokens,) bool, whether a token begins a word; the first token of each text does.
        pieces: of the tokenizer.
        masking: how much is hidden, and what stands in its place.
        generator: decides everything drawn; the same for the whole of a step, whatever its chunks.
    """
    hidden = _choose(texts, begins, pieces.special[texts.ids], masking.share, generator)
    targets = texts.ids[hidden]
    lots = generator.random(len(hidden))
    others = generator.choice(pieces.ordinary, len(hidden))
    shown = np.where(lots < masking.masked, pieces.mask, targets)
    swapped = (lots >= masking.masked) & (lots < masking.masked + masking.random)
    ids = texts.ids.copy()
    ids[hidden] = np.where(swapped, others, shown)
    return Masked(TokenBatch(ids, texts.offsets), hidden, targets)


def _choose(
    texts: TokenBatch, begins: Flags, special: Flags, share: float, generator: np.random.Generator
) -> Integers:
    """Places of the tokens of the chosen words, in order."""
    begins = begins.copy()
    begins[texts.offsets[:-1][texts.lengths > 0]] = True
    word_of = np.cumsum(begins) - 1
    lengths = np.bincount(word_of)
    row_of_token = np.repeat(np.arange(len(texts)), texts.lengths)
    rows = row_of_token[begins]
    able = np.bincount(word_of, weights=special) == 0
    wanted = share * np.bincount(row_of_token, weights=~special, minlength=len(texts))

    # Each text's words in a random order, those that cannot be hidden last and without weight.
    order = np.lexsort((generator.random(len(lengths)), ~able, rows))
    counts = np.where(able, lengths, 0)[order]
    ends = np.cumsum(counts)
    firsts = np.searchsorted(rows[order], np.arange(len(texts)))
    before_text = np.concatenate([[0], ends])[firsts]
    ends -= before_text[rows[order]]
    middles = ends - counts / 2
    taken = middles <= wanted[rows[order]]
    taken[firsts[firsts < len(taken)]] = True
    chosen = np.zeros(len(lengths), dtype=bool)
    chosen[order] = taken
    return np.flatnonzero((chosen & able)[word_of])


def word_begins(text: str) -> Flags:
    """(characters + 1,) bool: where a word begins; always at the end of the text.

    A run of letters and digits is a word, a run of ideographs is cut by a dictionary, every other sign stands
    for itself, and spaces belong to what comes after them.

    Raises:
        MissingExtra: the segmenter is not installed.

    Examples:
        >>> text = "过长江 in 2024."
        >>> [text[at:] for at in np.flatnonzero(word_begins(text)[:-1])]
        ['过长江 in 2024.', '长江 in 2024.', 'in 2024.', '2024.', '.']
    """
    codes = _codes(text)
    kinds = _kinds()[np.minimum(codes, _BASIC)]
    kinds[(codes >= _IDEOGRAPHS[-1][0]) & (codes < _IDEOGRAPHS[-1][1])] = _IDEOGRAPH
    before = np.concatenate([[_SPACE], kinds[:-1]])
    begins = ((kinds != before) | (kinds == _SIGN)) & (kinds != _SPACE)
    if (kinds == _IDEOGRAPH).any():
        begins |= _cuts(text) & (kinds == _IDEOGRAPH)
    return np.append(begins, True)


def token_places(text: str, offsets: Integers) -> Integers:
    """(tokens,) the first character of each token that is no space.

    Args:
        text: what was tokenised.
        offsets: (tokens, 2) first character of each token and one past its last.
    """
    codes = _codes(text)
    spaces = _kinds()[np.minimum(codes, _BASIC)] == _SPACE
    numbers = np.append(np.where(spaces, len(codes), np.arange(len(codes))), len(codes))
    following = np.minimum.accumulate(numbers[::-1])[::-1]
    places: Integers = following[offsets[:, 0]]
    return places


def token_begins(offsets: Integers, places: Integers, begins: Flags) -> Flags:
    """(tokens,) bool: which tokens begin a word.

    Tokens that share a character belong together, and so does a token that is only a space with what follows.

    Args:
        offsets: (tokens, 2) first character of each token and one past its last.
        places: (tokens,) as `token_places` gives them.
        begins: (characters + 1,) as `word_begins` gives them.
    """
    before = np.concatenate([[-1], places])[:-1]
    end_before = np.concatenate([[0], offsets[:, 1]])[:-1]
    flags: Flags = begins[places] & (places > before) & (offsets[:, 0] >= end_before)
    return flags


def _codes(text: str) -> NDArray[np.uint32]:
    """(characters,) the number of each character."""
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def _cuts(text: str) -> Flags:
    """(characters,) bool: where the segmenter's words begin."""
    import rjieba

    lengths = np.fromiter(map(len, rjieba.cut(text)), dtype=np.int64)
    cuts = np.zeros(len(text), dtype=bool)
    cuts[np.cumsum(lengths) - lengths] = True
    return cuts


@cache
def _kinds() -> NDArray[np.uint8]:
    """(65537,) what each character of the basic plane is; the last stands for all characters beyond it."""
    kinds = np.full(_BASIC + 1, _SIGN, dtype=np.uint8)
    for code in range(_BASIC):
        character = chr(code)
        if character.isspace():
            kinds[code] = _SPACE
        elif character.isalnum() or unicodedata.category(character).startswith("M"):
            kinds[code] = _LETTER
    kinds[slice(*_KANA)] = _SIGN
    for first, stop in _IDEOGRAPHS[:-1]:
        kinds[first:stop] = _IDEOGRAPH
    return kinds
