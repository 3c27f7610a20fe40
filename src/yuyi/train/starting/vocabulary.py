"""The vocabulary of a token table: whole words of Chinese and English, counted in the training texts.

A Unigram tokenizer cuts a text into the most probable sequence of its pieces. Trained the usual way on
Chinese it learns whole phrases as pieces, which a bag of tokens cannot compare. Here the pieces are words:
Chinese ones as a dictionary segmenter finds them, English ones as written, single characters and English word
parts below them for everything else. Their log-probabilities come from the counts, so that cutting a new text
needs no segmenter.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt  # noqa: TC002 (pydantic reads them)
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from yuyi.config import REFUSE_UNKNOWN
from yuyi.extras import require
from yuyi.text.tokenizer import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from yuyi.records import Pair

UNKNOWN = "[UNK]"

_RUN = re.compile(r"[\u3400-\u9fff]+|[^\W\d_\u3400-\u9fff]+|\d+|[^\w\s]|_")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[a-z]+")
# A word part must not win over a whole word: its probability is divided by this.
_PART_PENALTY = 1000.0


@dataclass(frozen=True, slots=True)
class VocabularyConfig:
    """What decides the vocabulary.

    Attributes:
        size: number of pieces, single characters and the unknown piece included.
        longest_chinese: characters in the longest Chinese word; longer ones are left to their parts.
        latin_parts: number of English word parts kept for words outside the vocabulary.
        smallest_count: a piece that was seen less often is left out.
        exponent: a source of n texts counts as n to this power, as in sampling.
        lexicon: this many of the first Latin words of the teacher's vocabulary are always in, however rare in
            the texts.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    size: PositiveInt = 55_000
    longest_chinese: PositiveInt = 4
    latin_parts: NonNegativeInt = 2_500
    smallest_count: PositiveInt = 5
    exponent: NonNegativeFloat = 0.5
    lexicon: NonNegativeInt = 0


def normalizer() -> normalizers.Normalizer:
    """The normaliser of every yuyi tokenizer: Unicode NFKC, then lower case."""
    return normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word, number and sign occurs; Chinese is cut by a dictionary segmenter.

    Raises:
        MissingExtra: the segmenter is not installed.
    """
    require("words")
    import rjieba

    normalize = normalizer().normalize_str
    counts: Counter[str] = Counter()
    for text in texts:
        for run in _RUN.findall(normalize(text)):
            if _CHINESE.match(run):
                counts.update(rjieba.cut(run))
            else:
                counts[run] += 1
    return counts


def blend(counts: Mapping[str, Counter[str]], exponent: float) -> Counter[str]:
    """Counts over all sources, each source scaled from its n words to n to the power of `exponent`."""
    blended: Counter[str] = Counter()
    for source in sorted(counts):
        total = counts[source].total()
        scale = total ** (exponent - 1.0)
        for word, count in counts[source].items():
            blended[word] += count * scale
    return blended


def learn_tokenizer(
    pairs: Iterable[Pair], config: VocabularyConfig, lexicon: Sequence[str] = ()
) -> Tokenizer:
    """A tokenizer of the words that pairs hold, counted in a sample of each source.

    Args:
        pairs: rows in any order.
        config: sizes and limits.
        lexicon: as for `build_tokenizer`.
    """
    texts: dict[str, list[str]] = {}
    for pair in pairs:
        texts.setdefault(pair.source, []).extend((pair.text_a, pair.text_b))
    counts = {source: count_words(_sample(several)) for source, several in texts.items()}
    return build_tokenizer(counts, config, lexicon)


def build_tokenizer(
    counts: Mapping[str, Counter[str]], config: VocabularyConfig, lexicon: Sequence[str] = ()
) -> Tokenizer:
    """A Unigram tokenizer over the most frequent words of `counts` (source -> word -> occurrences).

    Args:
        counts: what the texts hold.
        config: sizes and limits.
        lexicon: words in order of falling use; the first `config.lexicon` Latin ones are always in.
    """
    seen: Counter[str] = Counter()
    for source in sorted(counts):
        seen.update(counts[source])
    weights = blend(counts, config.exponent)
    characters = _characters(seen, weights, config)
    parts = _latin_parts(seen, config)
    scores: dict[str, float] = dict(characters)
    listed = [word for word in lexicon if len(word) > 1 and _LATIN.fullmatch(word)][: config.lexicon]
    taken = {*scores, *parts, *listed}
    words = [word for word in seen if word not in taken and _is_word(word, seen[word], config)]
    words.sort(key=lambda word: (-weights[word], word))
    words = words[: max(0, config.size - 2 - len(taken))]
    smallest = min((weights[word] for word in words), default=1.0)
    for word in [*listed, *words]:
        scores[word] = max(weights[word], smallest)
    for part in parts:
        scores.setdefault(part, max(weights[part], smallest / _PART_PENALTY))
    total = sum(scores.values())
    pieces = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    vocabulary = [(UNKNOWN, math.log(smallest / total / _PART_PENALTY**2))]
    vocabulary += [(piece, round(math.log(weight / total), 3)) for piece, weight in pieces]
    vocabulary.append((SEPARATOR, vocabulary[1][1]))
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=False))
    tokenizer.normalizer = normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def _sample(texts: Sequence[str], characters: int = 3_000_000) -> Iterator[str]:
    """Texts in random order until there are enough characters to count words in."""
    for row in np.random.default_rng(0).permutation(len(texts)):
        if characters <= 0:
            return
        characters -= len(texts[row])
        yield texts[row]


def _is_word(word: str, count: int, config: VocabularyConfig) -> bool:
    if count < config.smallest_count or len(word) < 2:
        return False
    longest = config.longest_chinese if _CHINESE.match(word) else 24
    return len(word) <= longest


def _characters(seen: Counter[str], weights: Counter[str], config: VocabularyConfig) -> dict[str, float]:
    """Every single character that occurs often enough, weighted by its use as a word of its own.

    Latin letters weigh next to nothing however often they stand alone: white space tells those apart, and
    inside a word a frequent "a" must not win "aid" over for itself and "id".
    """
    occurrences: Counter[str] = Counter()
    for word, count in seen.items():
        for character in word:
            if character != SEPARATOR:
                occurrences[character] += count
    floor = min(weights.values(), default=1.0) / _PART_PENALTY
    kept = (character for character, count in occurrences.items() if count >= config.smallest_count)
    return {
        character: floor if _LATIN.fullmatch(character) else max(weights[character], floor)
        for character in sorted(kept)
    }


def _latin_parts(seen: Counter[str], config: VocabularyConfig) -> list[str]:
    """Frequent parts of Latin-script words, found by byte-pair merges over the counted words."""
    words = {word: count for word, count in seen.items() if _LATIN.fullmatch(word)}
    if not words:
        return []
    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=config.latin_parts + 26, show_progress=False)
    # A merge is worth the logarithm of a word's count: parts serve the rare words, not the frequent ones.
    repeated = (word for word in sorted(words) for _ in range(1 + int(math.log2(words[word]))))
    tokenizer.train_from_iterator(repeated, trainer)
    return sorted(piece for piece in tokenizer.get_vocab() if 1 < len(piece) <= 6)
