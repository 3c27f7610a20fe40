from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from yuyi.encode.static_backend import StaticBackend
from yuyi.encode.static_folder import quantize
from yuyi.types import TokenBatch

FLOATS = np.random.default_rng(1).normal(size=(50, 24)).astype(np.float32)
INTEGERS, SCALES = quantize(FLOATS)


@given(
    lengths=st.lists(st.integers(0, 9) | st.sampled_from([0, 127, 128, 513, 3_000]), max_size=12),
    quantized=st.booleans(),
    seed=st.integers(0, 9),
)
@example(lengths=[0], quantized=True, seed=0)
@example(lengths=[0] * 1_000 + [5_000], quantized=True, seed=0)
@example(lengths=[5_000] + [1] * 1_000, quantized=False, seed=0)
def test_each_text_is_the_mean_of_its_rows(lengths: list[int], quantized: bool, seed: int) -> None:
    table = StaticBackend(INTEGERS, SCALES) if quantized else StaticBackend(FLOATS, None)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    ids = np.random.default_rng(seed).integers(0, 50, size=offsets[-1]).astype(np.int32)
    found = table.embed(TokenBatch(ids, offsets))
    rows = table.table().astype(np.float64)
    for number, length in enumerate(lengths):
        own = ids[offsets[number] : offsets[number + 1]]
        expected = rows[own].mean(axis=0) if length else np.zeros(24)
        np.testing.assert_allclose(found[number], expected, rtol=0, atol=5e-6)
    assert (found.shape, found.dtype) == ((len(lengths), 24), np.float32)


def test_a_cut_table_is_its_first_columns() -> None:
    for table in (StaticBackend(INTEGERS, SCALES), StaticBackend(FLOATS, None)):
        np.testing.assert_array_equal(table.cut(7).table(), table.table()[:, :7])
        assert (table.cut(7).dim, table.dim) == (7, 24)
