from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from yuyi.errors import ModelError, RecipeError
from yuyi.train.reading.masking import (
    Masking,
    Pieces,
    find_pieces,
    mask,
    token_begins,
    token_places,
    word_begins,
)
from yuyi.types import TokenBatch

TINY = Path(__file__).parent.parent / "tiny"
FOLDERS = ("bert-zh", "roberta", "xlm-roberta", "modernbert")
# A vocabulary of 50: 0 to 4 special, 1 the mask.
PIECES = Pieces(1, np.arange(50) < 5, np.arange(5, 50, dtype=np.int32))


def words(text: str) -> list[str]:
    bounds = np.flatnonzero(word_begins(text)).tolist()
    return [text[start:stop].strip() for start, stop in pairwise(bounds)]


def token_words(folder: str, text: str) -> list[str]:
    """What the tokens of each word cover in the text."""
    encoding = Tokenizer.from_file(str(TINY / folder / "tokenizer.json")).encode(
        text, add_special_tokens=False
    )
    offsets = np.array(encoding.offsets)
    begins = token_begins(offsets, token_places(text, offsets), word_begins(text))
    starts = np.flatnonzero(begins).tolist()
    stops = [*starts[1:], len(begins)]
    return [
        text[offsets[first, 0] : offsets[stop - 1, 1]].strip()
        for first, stop in zip(starts, stops, strict=True)
    ]


def test_words_of_both_languages() -> None:
    assert words("过长江大桥去 café，don't stop in 2024!") == [
        *("过", "长江大桥", "去", "café", "，", "don", "'", "t", "stop", "in", "2024", "!")
    ]


def test_words_of_rare_ideographs_and_of_japanese() -> None:
    assert words("𠮷𠮷好🙂です") == ["𠮷𠮷", "好", "🙂", "で", "す"]
    assert words("") == []


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("今天天气很好，公园散步。", ["今天天气", "很", "好", "，", "公园", "散步", "。"]),
        ("Walking to the park, now", ["Walking", "to", "the", "park", ",", "now"]),
        ("我们 use 向量 here", ["我们", "use", "向量", "here"]),
    ],
)
def test_tokens_are_gathered_into_words(folder: str, text: str, wanted: list[str]) -> None:
    assert token_words(folder, text) == wanted


def test_words_that_share_a_token_are_one() -> None:
    assert token_words("roberta", "我们去公园") == ["我们去", "公园"]


@st.composite
def batches(draw: st.DrawFn) -> tuple[TokenBatch, np.ndarray]:
    rows = draw(st.lists(st.lists(st.tuples(st.integers(0, 49), st.booleans()), max_size=30), max_size=6))
    ids = np.array([token for row in rows for token, _ in row], dtype=np.int32)
    begins = np.array(
        [begin or not place for row in rows for place, (_, begin) in enumerate(row)], dtype=bool
    )
    return TokenBatch(ids, np.cumsum([0, *map(len, rows)])), begins


def words_of(texts: TokenBatch, begins: np.ndarray, row: int) -> list[set[int]]:
    places = range(int(texts.offsets[row]), int(texts.offsets[row + 1]))
    found: list[set[int]] = []
    for place in places:
        if begins[place]:
            found.append(set())
        found[-1].add(place)
    return found


@given(batches(), st.floats(0.05, 0.9), st.integers(0, 99))
def test_whole_words_are_hidden_near_the_share(
    made: tuple[TokenBatch, np.ndarray], share: float, seed: int
) -> None:
    texts, begins = made
    masked = mask(texts, begins, PIECES, Masking(share=share), np.random.default_rng(seed))
    again = mask(texts, begins, PIECES, Masking(share=share), np.random.default_rng(seed))
    assert np.array_equal(masked.batch.ids, again.batch.ids) and np.array_equal(masked.hidden, again.hidden)
    hidden = set(masked.hidden.tolist())
    assert np.array_equal(masked.targets, texts.ids[masked.hidden])
    kept = np.setdiff1d(np.arange(len(texts.ids)), masked.hidden)
    assert np.array_equal(masked.batch.ids[kept], texts.ids[kept])
    for row in range(len(texts)):
        able = [
            word
            for word in words_of(texts, begins, row)
            if not any(PIECES.special[texts.ids[place]] for place in word)
        ]
        chosen = [word for word in able if word & hidden]
        assert all(word <= hidden for word in chosen)
        count = sum(map(len, chosen))
        assert count == sum(texts.offsets[row] <= place < texts.offsets[row + 1] for place in hidden)
        if able:
            assert chosen
            ordinary = sum(
                not PIECES.special[texts.ids[place]]
                for word in words_of(texts, begins, row)
                for place in word
            )
            longest = max(map(len, able))
            assert count <= max(share * ordinary + longest / 2, longest)
            assert count >= min(share * ordinary - longest / 2, sum(map(len, able)))


@given(batches(), st.integers(0, 99))
def test_selected_texts_keep_what_is_hidden_in_them(made: tuple[TokenBatch, np.ndarray], seed: int) -> None:
    texts, begins = made
    masked = mask(texts, begins, PIECES, Masking(), np.random.default_rng(seed))
    rows = np.random.default_rng(seed).permutation(len(texts))
    chosen = masked.select(rows)
    restored = chosen.batch.ids.copy()
    restored[chosen.hidden] = chosen.targets
    wanted = [texts.ids[texts.offsets[row] : texts.offsets[row + 1]] for row in rows]
    assert restored.tolist() == [token for text in wanted for token in text.tolist()]
    assert len(chosen.hidden) == len(masked.hidden) and (np.diff(chosen.hidden) > 0).all()


def test_shares_of_what_stands_in_place_of_hidden_tokens() -> None:
    texts = TokenBatch(
        np.random.default_rng(0).integers(5, 50, 60_000).astype(np.int32), np.arange(0, 60_001, 60)
    )
    begins = np.random.default_rng(1).random(60_000) < 0.6
    masking = Masking(share=0.3, masked=0.7, random=0.2)
    masked = mask(texts, begins, PIECES, masking, np.random.default_rng(2))
    shown = masked.batch.ids[masked.hidden]
    assert len(shown) / 60_000 == pytest.approx(0.3, abs=0.01)
    assert (shown == PIECES.mask).mean() == pytest.approx(0.7, abs=0.02)
    # One random token in 45 is the very one that stood there.
    assert (shown == masked.targets).mean() == pytest.approx(0.1 + 0.2 / 45, abs=0.02)
    assert not PIECES.special[shown[shown != PIECES.mask]].any()
    everything = mask(texts, begins, PIECES, Masking(masked=1, random=0), np.random.default_rng(2))
    assert (everything.batch.ids[everything.hidden] == PIECES.mask).all()


def test_every_token_is_hidden_equally_often() -> None:
    texts = TokenBatch(np.arange(5, 45, dtype=np.int32), np.array([0, 10, 40]))
    begins = np.random.default_rng(3).random(40) < 0.5
    begins[[0, 10]] = True
    counts = np.zeros(40)
    for seed in range(2_000):
        counts[mask(texts, begins, PIECES, Masking(), np.random.default_rng(seed)).hidden] += 1
    assert counts.sum() / 2_000 / 40 == pytest.approx(0.3, abs=0.02)
    assert counts.min() > 0.2 * 2_000 and counts.max() < 0.4 * 2_000


def test_pieces_of_a_tokenizer() -> None:
    tokenizer = Tokenizer.from_file(str(TINY / "bert-zh" / "tokenizer.json"))
    pieces = find_pieces(tokenizer)
    assert tokenizer.id_to_token(pieces.mask) == "[MASK]"
    special = [tokenizer.id_to_token(number) for number in np.flatnonzero(pieces.special).tolist()]
    assert sorted(special) == ["[CLS]", "[MASK]", "[PAD]", "[SEP]", "[UNK]"]
    assert len(pieces.ordinary) + 5 == tokenizer.get_vocab_size()
    roberta = Tokenizer.from_file(str(TINY / "roberta" / "tokenizer.json"))
    assert roberta.id_to_token(find_pieces(roberta).mask) == "<mask>"


@pytest.mark.parametrize("name", ["bert-zh", "roberta"])
def test_special_tokens_that_nobody_flags_are_left_alone(name: str) -> None:
    raw = json.loads((TINY / name / "tokenizer.json").read_text("utf-8"))
    flagged = find_pieces(Tokenizer.from_str(json.dumps(raw)))
    bare = find_pieces(Tokenizer.from_str(json.dumps({**raw, "added_tokens": []})))
    assert np.array_equal(bare.special, flagged.special)


def test_ids_without_a_token_are_no_pieces() -> None:
    raw = json.loads((TINY / "bert-zh" / "tokenizer.json").read_text("utf-8"))
    raw["model"]["vocab"]["护照"] = 5_000
    pieces = find_pieces(Tokenizer.from_str(json.dumps(raw)))
    assert len(pieces.special) == 5_001
    assert (pieces.special[4_999], pieces.special[5_000]) == (True, False)
    assert pieces.ordinary[-1] == 5_000


def test_a_tokenizer_without_a_mask_token_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no mask token \(\[MASK\] or <mask>\)"):
        find_pieces(Tokenizer.from_file(str(TINY / "static" / "tokenizer.json")))


def test_shares_above_one_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"masked 0\.9 and random 0\.2"):
        Masking(masked=0.9, random=0.2)
