"""A BERT tokenizer trained on Chinese and English texts: characters, words and parts of words.

BERT's pre-tokeniser makes each Chinese character a word of its own, so only the other scripts have pieces to
learn. Words are counted once, in one pass over the texts; the trainer is then given each word as often as it
occurs, which is a small part of the text. The same texts give the same pieces in the same order: the
trainer, left to itself, numbers characters in the order of a hash table and breaks ties by these numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from yuyi.errors import InputError, RecipeError
from yuyi.text.tokenizer_folder import BERT_SPECIALS, bert_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from yuyi.train.starting.model_config import TokenizerConfig

_INNER = "##"
# BERT gives up on longer words.
_LONGEST_WORD = 100
# Chinese characters, each alone, and what stands between them and white space.
_RUN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|[^\s\u3400-\u4dbf\u4e00-\u9fff]+")
# Words that the trainer is given at most; with more, all counts are scaled down alike.
_MOST_WORDS = 20_000_000


def train_wordpieces(texts: Iterable[str], config: TokenizerConfig, prompts: Iterable[str] = ()) -> Tokenizer:
    """A WordPiece tokenizer with BERT's special tokens first, then characters, then pieces by their merging.

    Args:
        texts: read once.
        config: size of the vocabulary and limits.
        prompts: texts that stand before others; they count as often as it takes for their characters to stay.

    Raises:
        InputError: there is no text.
        RecipeError: the characters alone are more than the vocabulary may have.
    """
    settings = {"do_lower_case": config.lower_case}
    blank = bert_tokenizer(_numbered(BERT_SPECIALS.values()), settings)
    words = _count_words(texts, blank)
    if not words:
        raise InputError("model.tokenizer: there are no texts to learn pieces from. Give some, or a folder.")
    for word, count in _count_words(prompts, blank).items():
        words[word] += count * config.smallest_count
    characters = _characters(words, blank, config.smallest_count)
    room = config.pieces - len(BERT_SPECIALS)
    if len(characters) > room:
        raise RecipeError(
            f"model.tokenizer.pieces: {config.pieces:,}, and the texts have {len(characters):,} characters "
            f"that occur {config.smallest_count} times. Raise pieces or smallest_count."
        )
    pieces = [*BERT_SPECIALS.values(), *_learn(words, characters, room, config.smallest_count)]
    tokenizer = bert_tokenizer(_numbered(pieces), settings)
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _numbered(pieces: Iterable[str]) -> dict[str, int]:
    return {piece: number for number, piece in enumerate(pieces)}


def _count_words(texts: Iterable[str], tokenizer: Tokenizer) -> Counter[str]:
    """How often each word, sign and Chinese character occurs, as BERT tells them apart."""
    runs: Counter[str] = Counter()
    for text in texts:
        runs.update(_RUN.findall(text))
    # The normaliser is slow; what it makes of a text is what it makes of the distinct runs.
    normalize, split = tokenizer.normalizer.normalize_str, tokenizer.pre_tokenizer.pre_tokenize_str
    words: Counter[str] = Counter()
    for run, count in runs.items():
        for spaced in normalize(run).split():
            if spaced.isalnum():
                words[spaced] += count
            else:
                for word, _ in split(spaced):
                    words[word] += count
    return words


def _characters(words: Counter[str], tokenizer: Tokenizer, smallest_count: int) -> list[str]:
    """The characters that occur often enough, by code point; then, marked so, those that words go on with.

    The latter have their own piece wherever they were seen, so no text of these characters is unknown.
    """
    occurrences: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            occurrences[character] += count
    kept = sorted(character for character, count in occurrences.items() if count >= smallest_count)
    normalize, split = tokenizer.normalizer.normalize_str, tokenizer.pre_tokenizer.pre_tokenize_str
    inner = (character for character in kept if len(split(normalize(f"a{character}"))) == 1)
    return [*kept, *(_INNER + character for character in inner)]


def _learn(words: Counter[str], characters: list[str], size: int, smallest_count: int) -> list[str]:
    """The characters and the pieces merged from them, in order, `size` of them where there are as many."""
    known = frozenset(characters)
    # A word with any other character is unknown as a whole.
    usable = sorted(word for word in words if 1 < len(word) <= _LONGEST_WORD and known.issuperset(word))
    scale = max(1.0, sum(words[word] for word in usable) / _MOST_WORDS)

    def repeated() -> Iterator[str]:
        for word in usable:
            yield f"{word} " * round(words[word] / scale)

    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=max(1, round(smallest_count / scale)),
        # Given as special tokens, characters have their numbers before the trainer counts.
        special_tokens=characters,
        show_progress=False,
    )
    learner.train_from_iterator(repeated(), trainer)
    numbers = learner.get_vocab()
    return sorted(numbers, key=numbers.__getitem__)
