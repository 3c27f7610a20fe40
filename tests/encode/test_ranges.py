"""Vectors stored by measured ranges, beside sentence-transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers.util.quantization import quantize_embeddings

from yuyi.encode.output import unit
from yuyi.encode.ranges import FILE, Ranges, measure_ranges, read_ranges, write_ranges
from yuyi.errors import InputError, ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def vectors(rows: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).normal(0.1, 1, (rows, dim)).astype(np.float32))


@given(st.integers(2, 40), st.integers(1, 40), st.integers(0, 1_000))
def test_int8_and_binary_equal_those_of_sentence_transformers(rows: int, dim: int, seed: int) -> None:
    ranges = measure_ranges(vectors(rows, dim, seed))
    others = np.concatenate([vectors(9, dim, seed + 1), vectors(3, dim, seed) * 3])  # Some are beyond.
    limits = np.stack([ranges.least, ranges.greatest])
    expected = quantize_embeddings(others, "int8", ranges=limits)
    np.testing.assert_array_equal(ranges.int8(others), expected)
    np.testing.assert_array_equal(ranges.binary(others), quantize_embeddings(others, "ubinary"))


@given(st.integers(2, 30), st.integers(1, 30), st.integers(0, 1_000))
def test_a_value_comes_back_within_half_a_step(rows: int, dim: int, seed: int) -> None:
    known = vectors(rows, dim, seed)
    ranges = measure_ranges(known)
    within = np.clip(vectors(20, dim, seed + 1), ranges.least, ranges.greatest)
    step = (ranges.greatest - ranges.least) / 255
    error = np.abs(ranges.floats(ranges.int8(within)) - within)
    assert (error <= np.where(step > 0, step, 1) * 0.51 + 1e-6).all()


def test_thresholds_are_those_of_each_dimension() -> None:
    ranges = Ranges(*(np.array(values, np.float32) for values in ([-1] * 3, [1] * 3, [0.5, 0, -0.5])))
    np.testing.assert_array_equal(ranges.binary(np.array([[0.4, 0.1, -0.4]], np.float32)), [[0b01100000]])


def test_ranges_come_back_from_their_file(tmp_path: Path) -> None:
    ranges = measure_ranges(vectors(50, 16))
    assert write_ranges(tmp_path, ranges) == FILE
    again = read_ranges(tmp_path)
    for name in Ranges.__slots__:
        np.testing.assert_array_equal(getattr(again, name), getattr(ranges, name))


def test_no_ranges_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"embedding_ranges\.json: there is none.*onnx-int8"):
        read_ranges(tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"least": [1]}', '{"least": [1], "greatest": [1, 2], "thresholds": [0]}']
)
def test_a_damaged_file_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="Export the model again"):
        read_ranges(tmp_path)


def test_vectors_of_another_model_are_refused() -> None:
    ranges = measure_ranges(vectors(9, 16))
    with pytest.raises(InputError, match="16 dimensions"):
        ranges.int8(vectors(2, 8))


@pytest.mark.parametrize("sample", [np.zeros((1, 4), np.float32), np.full((3, 4), np.nan, np.float32)])
def test_ranges_of_nothing_are_refused(sample: NDArray[np.float32]) -> None:
    with pytest.raises(InputError, match="Give vectors of real texts"):
        measure_ranges(sample)
