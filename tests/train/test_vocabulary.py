from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.text.tokenizer import SEPARATOR
from yuyi.train.starting.vocabulary import UNKNOWN, VocabularyConfig, blend, build_tokenizer, count_words

TEXTS = (
    "胡子长得太快怎么办？胡子长得快怎么办？怎样使胡子不浓密！",
    "How do I renew my passport? I renewed it in the office; it is what it is, and that's it. Who's this?",
    "语义搜索把文字变成向量，然后比较向量。The vectors of texts, in 2024.",
)
SMALL = VocabularyConfig(size=300, smallest_count=1, latin_parts=40)
COUNTS = {"made": Counter({word: 5 * count for word, count in count_words(TEXTS).items()})}


def cut(text: str, config: VocabularyConfig = SMALL, lexicon: tuple[str, ...] = ()) -> list[str]:
    tokens: list[str] = build_tokenizer(COUNTS, config, lexicon).encode(text).tokens
    return tokens


def test_words_are_counted_normalised() -> None:
    counts = count_words(["胡子长得太快，胡子！ＡＢＣ abc 2024年 x_y don't"])
    assert counts["胡子"] == counts["abc"] == 2
    assert counts["2024"] == counts["!"] == counts["_"] == counts["'"] == 1
    assert "ＡＢＣ" not in counts
    assert " " not in counts


def test_whole_words_win_over_their_parts() -> None:
    assert cut("胡子长得太快怎么办") == ["胡子", "长得", "太快", "怎么办"]
    # "is" is frequent enough to be found as a part of other words, and "i" and "s" are words by themselves.
    assert cut("It is what it is") == ["it", "is", "what", "it", "is"]
    assert cut("renew passport") == ["renew", "passport"]


def test_a_new_word_is_cut_into_parts_and_characters() -> None:
    assert "".join(cut("passporting")) == "passporting"
    assert len(cut("passporting")) < len("passporting")
    assert cut("胡快") == ["胡", "快"]
    assert cut("龘") == ["龘"]  # Told from other pieces by its number alone.
    assert build_tokenizer(COUNTS, SMALL).encode("龘").ids == [0]


@given(size=st.integers(1, 400), parts=st.integers(0, 60), smallest=st.integers(1, 12))
def test_size_and_contents(size: int, parts: int, smallest: int) -> None:
    config = VocabularyConfig(size=size, latin_parts=parts, smallest_count=smallest)
    vocabulary = build_tokenizer(COUNTS, config).get_vocab()
    assert vocabulary[UNKNOWN] == 0
    assert vocabulary[SEPARATOR] == len(vocabulary) - 1
    occurrences: Counter[str] = Counter()
    for word, count in COUNTS["made"].items():
        for character in word:
            occurrences[character] += count
    characters = {character for character, count in occurrences.items() if count >= smallest}
    # Single characters and word parts are always in; words fill what is left of the size.
    assert characters <= set(vocabulary)
    words = [piece for piece in vocabulary if len(piece) > 1 and piece in COUNTS["made"]]
    assert len(vocabulary) <= max(size, 2 + len(characters) + parts + 26)
    assert all(len(word) <= 4 for word in words if not word.isascii())


def test_the_most_frequent_words_are_in() -> None:
    assert {"胡子", "怎么办"} <= set(build_tokenizer(COUNTS, VocabularyConfig(size=150)).get_vocab())
    many = {"made": Counter({f"词{chr(0x4E00 + rank)}": 1_000 - rank for rank in range(500)})}
    vocabulary = build_tokenizer(many, VocabularyConfig(size=700, latin_parts=0)).get_vocab()
    words = [f"词{chr(0x4E00 + rank)}" for rank in range(500)]
    assert len(vocabulary) == 700
    assert [word in vocabulary for word in words] == [rank < 700 - 2 - 501 for rank in range(500)]


def test_words_of_the_lexicon_are_in_however_rare() -> None:
    lexicon = ("the", "##ing", "zebra", "a", "数", "aardvark", "quokka")
    config = VocabularyConfig(size=300, smallest_count=1, latin_parts=40, lexicon=3)
    vocabulary = build_tokenizer(COUNTS, config, lexicon).get_vocab()
    assert {"zebra", "aardvark"} <= set(vocabulary)
    assert not {"quokka", "##ing", "数"} & set(vocabulary)
    assert cut("zebra aardvark", config, lexicon) == ["zebra", "aardvark"]


def test_the_separator_is_a_piece_between_spaces() -> None:
    assert cut(f"胡子 {SEPARATOR} passport") == ["胡子", SEPARATOR, "passport"]


def test_the_order_of_sources_and_words_changes_nothing() -> None:
    other = Counter({"passport": 50, "护照": 30})
    first = build_tokenizer({"a": COUNTS["made"], "b": other}, SMALL)
    shuffled = Counter(dict(reversed(COUNTS["made"].items())))
    second = build_tokenizer({"b": Counter(dict(reversed(other.items()))), "a": shuffled}, SMALL)
    assert first.to_str() == second.to_str()


def test_blended_sources_weigh_by_a_power_of_their_size() -> None:
    blended = blend({"large": Counter(a=9_000, b=1_000), "small": Counter(b=100)}, 0.5)
    assert blended["a"] == pytest.approx(90)
    assert blended["b"] == pytest.approx(10 + 10)
    assert blend({"large": Counter(a=7)}, 1.0)["a"] == pytest.approx(7)
