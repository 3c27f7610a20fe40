from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from yuyi.errors import InputError
from yuyi.text.tokenizer import SEPARATOR, BatchTokenizer
from yuyi.text.tokenizer_folder import read_tokenizer

TINY = str(Path(__file__).parent.parent / "tiny" / "static" / "tokenizer.json")
BATCH = BatchTokenizer(Tokenizer.from_file(TINY))

# Texts that meet in one string must not influence each other: marks that combine, half-width forms, controls.
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.text("胡子长得太快怎么办？ how do I renew my passport.\x1e\t\u0301\u3000ﬁ①Ａ😀", max_size=30),
        st.sampled_from(["", " ", "\x1e", "今天天气很好，我们去公园散步。", "vector " * 30]),
    ),
    max_size=12,
)


@given(TEXTS)
@example(["\u0301a", "e", "\u0301"])
@example(["a\x1eb", "\x1e", "", "c"])
@example([" ", "今天" * 100])
def test_together_gives_the_ids_of_each_alone(texts: list[str]) -> None:
    plain = Tokenizer.from_file(TINY)
    alone = [plain.encode(text.replace(SEPARATOR, " "), add_special_tokens=False).ids for text in texts]
    batch = BATCH(texts)
    assert (batch.ids.dtype, batch.offsets.dtype, len(batch)) == (np.int32, np.int64, len(texts))
    assert [batch.ids[start:end].tolist() for start, end in pairwise(batch.offsets)] == alone
    assert batch.lengths.tolist() == [len(ids) for ids in alone]


def test_a_separator_in_a_text_is_a_space() -> None:
    assert BATCH.tokens("passport\x1ewatch") == BATCH.tokens("passport watch") == ["passport", "watch"]


@pytest.mark.parametrize("filling", ["", "文" * 100])
def test_half_a_surrogate_pair_is_refused(filling: str) -> None:
    with pytest.raises(InputError, match="half of a surrogate pair"):
        BATCH(["whole", "\ud83d broken" + filling])
    with pytest.raises(InputError, match="half of a surrogate pair"):
        BATCH.tokens("\ud83d" + filling)


def test_a_vocabulary_without_the_separator() -> None:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(length=9)
    tokenizer.enable_truncation(1)
    batch = BatchTokenizer(tokenizer)(["a b", "", "b \x1e"])
    assert batch.ids.tolist() == [1, 2, 2, 0]
    assert batch.offsets.tolist() == [0, 2, 2, 4]


CUTTABLE = {
    name: BatchTokenizer(read_tokenizer(Path(TINY).parent.parent / name)) for name in ("static", "bert-zh")
}


@pytest.mark.parametrize("name", CUTTABLE)
@given(st.text("ab 今天é\u0301\n\t\u3000\r.。#😀[MASK]\u200d\x1e", max_size=30), st.data())
def test_a_text_may_be_cut_where_slices_begin(name: str, text: str, data: st.DataObject) -> None:
    tokenizer = CUTTABLE[name]
    assert tokenizer._safe_cut is not None
    places = [match.start() for match in tokenizer._safe_cut.finditer(text)]
    cut = data.draw(st.sampled_from(places)) if places else 0
    halves = tokenizer([text[:cut], text[cut:]])
    assert halves.ids.tolist() == tokenizer([text]).ids.tolist()


@pytest.mark.parametrize("name", CUTTABLE)
def test_a_text_of_megabytes_is_tokenised_in_slices(name: str) -> None:
    tokenizer = CUTTABLE[name]
    unit = "今天天气很好，我们去公园散步。How do I renew my passport? " * 9
    texts = ["short", unit * 1_500, "", unit]
    assert len(texts[1]) > 500_000
    once = tokenizer([unit]).ids
    found = tokenizer(texts)
    assert found.lengths.tolist() == [len(tokenizer(["short"]).ids), 1_500 * len(once), 0, len(once)]
    assert (found.ids[found.offsets[1] : found.offsets[2]].reshape(1_500, -1) == once).all()


def test_tokenizers_of_other_kinds_see_a_text_whole() -> None:
    roberta = read_tokenizer(Path(TINY).parent.parent / "roberta")
    assert BatchTokenizer(roberta)._safe_cut is None
    bert = read_tokenizer(Path(TINY).parent.parent / "bert-zh")
    bert.add_tokens(["今天 天气"])  # A slice could end inside it.
    assert BatchTokenizer(bert)._safe_cut is None


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("name", ["static", "bert-zh", "roberta", "xlm-roberta"])
def test_words_never_seen_before_do_not_fill_the_memory(name: str) -> None:
    """The library keeps the pieces of words it has met; that store must not grow with each new word."""
    tokenizer = BatchTokenizer(read_tokenizer(Path(TINY).parent.parent / name))
    random = np.random.default_rng(5)

    def tokenise(texts: int) -> None:
        letters = random.choice(list("abcdefghijklmnopqrstuvwxyz今天气很好"), size=(texts, 12))
        for start in range(0, texts, 1_000):
            tokenizer(["".join(row) for row in letters[start : start + 1_000]])

    tokenise(20_000)
    before = resident_kib()
    tokenise(60_000)
    assert resident_kib() - before < 6_000  # Kept, 60,000 words and their pieces would take some 15,000.
