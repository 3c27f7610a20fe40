"""Exact search equals brute force, whatever the shapes and however many rows tie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.search import flat
from yuyi.search.flat import FlatIndex


def brute_force(vectors, queries, k):
    scores = queries @ vectors.T
    rows = np.lexsort((np.broadcast_to(np.arange(len(vectors)), scores.shape), -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, rows, axis=1), rows


@given(
    rows=st.integers(0, 60), queries=st.integers(0, 9), dim=st.integers(1, 5), k=st.integers(0, 70),
    block=st.integers(1, 20), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
@settings(deadline=None)
def test_search_equals_brute_force_ties_by_row(rows, queries, dim, k, block, seed):
    random = np.random.default_rng(seed)
    # Small whole numbers: products are exact and ties are many.
    vectors = random.integers(-2, 3, (rows, dim)).astype(np.float32)
    asked = random.integers(-2, 3, (queries, dim)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat, "_BLOCK_ROWS", block)
        patch.setattr(flat, "_BLOCK_QUERIES", 4)
        scores, found = FlatIndex(vectors).search(asked, k)
    expected_scores, expected_rows = brute_force(vectors, asked, k)
    np.testing.assert_array_equal(found, expected_rows)
    np.testing.assert_array_equal(scores, expected_scores)
    assert scores.dtype == np.float32
    assert found.dtype == np.int64


def test_unit_vectors_over_several_blocks_from_a_file(tmp_path):
    random = np.random.default_rng(5)
    vectors = random.standard_normal((20_000, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(tmp_path / "vectors.npy", vectors)
    index = FlatIndex(np.load(tmp_path / "vectors.npy", mmap_mode="r"))
    asked = vectors[[19_999, 0, 8_192]]
    scores, rows = index.search(asked, 10)
    assert rows[:, 0].tolist() == [19_999, 0, 8_192]
    expected_scores, expected_rows = brute_force(vectors, asked, 10)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-6)
    np.testing.assert_array_equal(rows, expected_rows)


def test_no_rows_gives_no_results():
    scores, rows = FlatIndex(np.empty((0, 4), np.float32)).search(np.ones((2, 4), np.float32), 5)
    assert scores.shape == rows.shape == (2, 0)


@pytest.mark.parametrize(
    ("queries", "k"),
    [(np.ones(4, np.float32), 1), (np.ones((1, 3), np.float32), 1), (np.ones((1, 4), np.float32), -1)],
)
def test_misuse_is_named(queries, k):
    with pytest.raises(InputError):
        FlatIndex(np.ones((3, 4), np.float32)).search(queries, k)


def test_an_index_needs_rows_of_vectors():
    with pytest.raises(InputError, match="rows, dim"):
        FlatIndex(np.ones(4, np.float32))
