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
