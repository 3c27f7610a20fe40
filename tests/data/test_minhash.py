"""Shingles, signatures and candidates, against Python's sets."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.data.marking.minhash import Bands, common, jaccard, neighbours, shingles

TEXTS = st.lists(st.text("ab我的们", max_size=30), min_size=1, max_size=12)


def windows(text: str, width: int) -> set[str]:
    return {text[at : at + width] for at in range(max(1, len(text) - width + 1))}


@given(TEXTS, st.integers(1, 7))
def test_shingles_are_the_windows_of_each_text(texts: list[str], width: int) -> None:
    found = shingles(texts, width)
    assert found.sizes.tolist() == [len(windows(text, width)) for text in texts]
    for one in range(len(texts)):
        row = np.full(len(texts), one)
        shared = [len(windows(texts[one], width) & windows(text, width)) for text in texts]
        assert common(found.take(row), found).tolist() == shared
        every = [len(windows(texts[one], width) | windows(text, width)) for text in texts]
        assert jaccard(found.take(row), found).tolist() == pytest.approx(np.divide(shared, every))


def test_no_texts_have_no_shingles() -> None:
    assert len(shingles([], 5)) == 0
    assert Bands(0.8).hashes(shingles([], 5)).shape == (16, 0)


def test_sides_of_a_row_do_not_mix() -> None:
    rows = shingles(["甲乙丙丁", "", "", "甲乙丙丁", "甲乙丙丁", ""], 2).joined(2)
    assert len(rows) == 3
    hashes = Bands(0.8).hashes(rows)
    assert (hashes[:, 0] == hashes[:, 2]).all() and not (hashes[:, 0] == hashes[:, 1]).any()


@pytest.mark.parametrize(("threshold", "rows", "count"), [(0.8, 6, 16), (0.5, 2, 17), (0.9, 13, 16)])
def test_bands_follow_from_the_threshold(threshold: float, rows: int, count: int) -> None:
    bands = Bands(threshold)
    assert (bands.rows, bands.count) == (rows, count)
    assert 1 - (1 - threshold**bands.rows) ** bands.count >= 0.99


def test_texts_agree_in_as_many_bands_as_their_similarity_says() -> None:
    rng = random.Random(3)
    texts = ["".join(chr(rng.randrange(0x4E00, 0x5E00)) for _ in range(200)) for _ in range(400)]
    edited = [text[:90] + "".join(map(chr, range(97, 107))) + text[100:] for text in texts]
    one, other, bands = shingles(texts, 5), shingles(edited, 5), Bands(0.8)
    similarity = float(jaccard(one, other).mean())
    agreeing = float((bands.hashes(one) == bands.hashes(other)).mean())
    assert agreeing == pytest.approx(similarity**bands.rows, abs=0.02)


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 4))
def test_each_of_equal_hashes_is_paired_with_the_first_and_with_those_before(
    values: list[int], reach: int
) -> None:
    found = {(int(one), int(other)) for one, other in neighbours(np.array(values, np.uint64), reach)}
    expected = set()
    for place, value in enumerate(values):
        before = [earlier for earlier in range(place) if values[earlier] == value]
        expected |= {(earlier, place) for earlier in {*before[:1], *before[-reach:]}}
    assert found == expected
