from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.records import Pair
from yuyi.train.reading.corpus import read_sources
from yuyi.train.reading.sources import EMPTY_KEY, text_key

from .test_corpus import PAIRS, TOKENIZER, jsonl, opened, parquet, texts_of

if TYPE_CHECKING:
    from pathlib import Path


@given(one=st.text(), other=st.text())
def test_keys_are_equal_where_texts_are(one: str, other: str) -> None:
    assert (text_key(one) == text_key(other)) == (one == other)
    assert -(1 << 63) <= text_key(one) < 1 << 63
    assert (text_key(one) == EMPTY_KEY) == (not one)


def test_a_key_is_the_same_everywhere() -> None:
    # As `b2sum -l 64` has it.
    assert text_key("胡子长得太快怎么办？") == -818825721692406021
    assert text_key("passport") == -4455343166248937656


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(0, 4), min_size=2, max_size=8), most=st.integers(0, 5), data=st.data())
def test_the_first_negatives_of_rows(counts: list[int], most: int, data: st.DataObject) -> None:
    pools = [tuple(f"向量 {row} {number}" for number in range(count)) for row, count in enumerate(counts)]
    pairs = [replace(PAIRS[0], negatives=pool) for pool in pools]
    [source] = read_sources(pairs, TOKENIZER, 16, smallest=1)
    rows = data.draw(st.lists(st.sampled_from(range(len(counts))), max_size=6))
    numbers, places = source.first_negatives(np.array(rows, dtype=np.int64), most)
    expected = [(place, text_key(text)) for place, row in enumerate(rows) for text in pools[row][:most]]
    assert list(zip(places.tolist(), source.negatives.keys[numbers].tolist(), strict=True)) == expected


def test_a_row_is_as_long_as_its_texts() -> None:
    [source] = read_sources(PAIRS, TOKENIZER, 16, smallest=1)
    for row, pair in enumerate(PAIRS):
        texts = [pair.text_a, pair.text_b, *pair.negatives]
        expected = sum(len(TOKENIZER.encode(text, add_special_tokens=False).ids) for text in texts)
        assert source.lengths[row] == expected


def test_texts_are_taken_in_the_order_asked_for() -> None:
    [source] = read_sources(PAIRS, TOKENIZER, 16, smallest=1)
    taken = source.queries.take(np.array([7, 7, 0]))
    every = texts_of(source.queries)
    assert texts_of(taken) == [every[7], every[7], every[0]]
    assert taken.keys.tolist() == source.queries.keys[[7, 7, 0]].tolist()


def test_rows_are_shown_from_the_files_they_came_from(tmp_path: Path) -> None:
    lines = jsonl(
        tmp_path / "b.jsonl",
        *({"text_a": f"怎么 {n}", "text_b": f"搜索 {n}", "source": "faq", "kind": "qa"} for n in range(3)),
    )
    [source] = opened([parquet(tmp_path / "a.parquet", *PAIRS), lines], tmp_path / "cache").sources
    shown = source.show(np.array([31, 5, 31, 0]))
    assert [(row["file"], row["row"], row["text_a"]) for row in shown] == [
        (str(tmp_path / "b.jsonl"), 2, "怎么 1"),
        (str(tmp_path / "a.parquet"), 5, "胡子 5"),
        (str(tmp_path / "b.jsonl"), 2, "怎么 1"),
        (str(tmp_path / "a.parquet"), 0, "胡子 0"),
    ]
    assert shown[1]["negatives"] == ["向量 5", "天气"]
    assert source.where(31) == f"{tmp_path / 'b.jsonl'}: line 2"
    assert source.where(5) == f"{tmp_path / 'a.parquet'}: row 5"
    assert source.show(np.zeros(0, dtype=np.int64)) == []


def test_rows_far_into_a_file_are_shown(tmp_path: Path) -> None:
    pairs = (Pair("faq", "qa", f"胡子 {n}", f"watch {n}", None, "zh") for n in range(9_000))
    [source] = opened([parquet(tmp_path / "a.parquet", *pairs)], tmp_path / "cache").sources
    assert [row["text_b"] for row in source.show(np.array([8_999, 4_096]))] == ["watch 8999", "watch 4096"]


def test_a_file_that_was_changed_is_not_shown(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", *PAIRS)
    [source] = opened([path], tmp_path / "cache").sources
    parquet(path, *PAIRS[:3], replace(PAIRS[3], text_b="别的"))
    assert source.show(np.array([2]))[0]["text_b"] == "passport 2"
    for row in (3, 9):
        with pytest.raises(InputError, match=rf"a.parquet: row {row} is not what training read"):
            source.show(np.array([row]))


def test_rows_from_no_file_cannot_be_shown() -> None:
    [source] = read_sources(PAIRS, TOKENIZER, 16, smallest=1)
    assert source.where(3) == "source faq: row 3"
    with pytest.raises(InputError, match="source faq: was read from no file"):
        source.show(np.array([0]))
