from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sentence_transformers.util.quantization import quantize_embeddings

from yuyi.encode.output import (
    calibrated_scale,
    dequantize,
    int8_scale,
    quantize,
    similarity,
    store,
    unit,
)
from yuyi.errors import InputError

MATRICES = arrays(
    np.float32,
    st.tuples(st.integers(0, 6), st.integers(1, 40)),
    elements=st.floats(-1e3, 1e3, width=32).filter(lambda value: value == 0 or abs(value) > 1e-6),
)
VECTORS = unit(np.random.default_rng(3).normal(size=(50, 256)).astype(np.float32))


@given(MATRICES)
def test_unit_length_or_zero(matrix: np.ndarray) -> None:
    found = unit(matrix)
    lengths = np.linalg.norm(found.astype(np.float64), axis=1)
    np.testing.assert_allclose(lengths, np.any(matrix != 0, axis=1), atol=1e-5)
    assert found.dtype == np.float32


@given(MATRICES)
def test_bits_are_those_of_sentence_transformers(matrix: np.ndarray) -> None:
    np.testing.assert_array_equal(store(matrix, "binary"), quantize_embeddings(matrix, "ubinary"))


@given(MATRICES, st.floats(1e-3, 10))
def test_int8_is_off_by_half_a_step_or_clipped(matrix: np.ndarray, scale: float) -> None:
    values = quantize(matrix, scale)
    assert (values.dtype, values.shape) == (np.int8, matrix.shape)
    back = dequantize(values, scale)
    inside = np.abs(matrix) <= 127 * scale
    assert (np.abs(back - matrix)[inside] <= scale * 0.501 + 1e-3).all()
    assert (values[~inside] == np.sign(matrix[~inside]) * 127).all()


def test_int8_of_unit_vectors_keeps_their_cosines() -> None:
    values = store(VECTORS, "int8")
    assert np.abs(values).max() < 127  # Nothing is clipped.
    np.testing.assert_allclose(dequantize(values), VECTORS, atol=int8_scale(256) * 0.501)
    np.testing.assert_allclose(similarity(values, values), similarity(VECTORS, VECTORS), atol=0.01)
    assert (unit(dequantize(values)) * VECTORS).sum(axis=1).min() > 0.9998
    # The scale is that of the dimension, whatever else is encoded with a vector.
    np.testing.assert_array_equal(store(VECTORS[:1], "int8"), values[:1])
    calibrated = calibrated_scale(VECTORS)
    assert np.abs(quantize(VECTORS, calibrated)).max() == 127
    assert calibrated < int8_scale(256)


def test_short_vectors_are_never_clipped() -> None:
    assert int8_scale(1) == int8_scale(64) == 1 / 127
    assert store(np.array([[1, 0, -1]], dtype=np.float32), "int8").tolist() == [[127, 0, -127]]


def test_similarity_in_each_precision() -> None:
    exact = similarity(VECTORS[0], VECTORS)
    assert (exact.shape, exact.dtype) == ((1, 50), np.float32)
    np.testing.assert_allclose(exact, VECTORS[:1] @ VECTORS.T, atol=1e-6)
    half = store(VECTORS, "float16")
    assert half.dtype == np.float16
    np.testing.assert_allclose(similarity(half[0], half), exact, atol=1e-3)
    bits = store(VECTORS, "binary")
    assert (bits.shape, bits.dtype) == ((50, 32), np.uint8)
    differing = np.unpackbits(bits[:1] ^ bits, axis=1).sum(axis=1)
    np.testing.assert_allclose(similarity(bits[0], bits)[0], 1 - 2 * differing / 256, atol=1e-6)


def test_what_cannot_be_compared() -> None:
    bits = store(VECTORS, "binary")
    with pytest.raises(InputError, match=r"256 values \(float32\) and of 32 \(uint8\)"):
        similarity(VECTORS, bits)
    with pytest.raises(InputError, match="cannot be compared"):
        similarity(VECTORS[:, :32], bits)
    with pytest.raises(InputError, match="cannot be compared"):
        similarity(VECTORS[:, :32], VECTORS[:, :31])
    for sample in (VECTORS[:0], np.zeros((2, 3), dtype=np.float32)):
        with pytest.raises(InputError, match="no scale can be found"):
            calibrated_scale(sample)
