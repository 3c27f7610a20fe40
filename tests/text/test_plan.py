from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from yuyi.text.plan import gather, plan, select, spans
from yuyi.types import TokenBatch

LENGTHS = st.lists(st.integers(0, 700), max_size=60).map(lambda lengths: np.array(lengths, dtype=np.int64))


@given(LENGTHS, st.integers(1, 1_000), st.booleans())
def test_every_row_once_and_no_batch_over_the_budget(lengths: np.ndarray, budget: int, sort: bool) -> None:
    batches = plan(lengths, budget, sort=sort)
    together = np.concatenate([np.zeros(0, dtype=np.int64), *batches])
    assert sorted(together.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch)
        assert lengths[batch].sum() <= budget or len(batch) == 1
    for before, after in pairwise(batches):
        assert (
            lengths[before].sum() + lengths[after[0]] > budget
        )  # A batch ends because the next row did not fit.
    if sort:
        assert (np.diff(lengths[together]) <= 0).all()
    else:
        assert together.tolist() == list(range(len(lengths)))


@given(LENGTHS, st.data())
def test_selected_rows_are_those_rows(lengths: np.ndarray, data: st.DataObject) -> None:
    batch = TokenBatch(np.arange(lengths.sum(), dtype=np.int32), np.concatenate([[0], np.cumsum(lengths)]))
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=20)) if len(lengths) else []
    found = select(batch, np.array(rows, dtype=np.int64))
    assert found.lengths.tolist() == lengths[rows].tolist()
    for row, part in zip(rows, np.split(found.ids, found.offsets[1:-1]), strict=False):
        assert part.tolist() == batch.ids[batch.offsets[row] : batch.offsets[row + 1]].tolist()


def test_spans_may_be_empty_or_overlap() -> None:
    assert spans(np.array([3, 9, 2]), np.array([2, 0, 3])).tolist() == [3, 4, 2, 3, 4]
    assert spans(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)).tolist() == []
    found = gather(np.array([7, 8, 9], dtype=np.int32), np.array([1, 0]), np.array([2, 1]))
    assert (found.ids.tolist(), found.offsets.tolist(), found.ids.dtype) == ([8, 9, 7], [0, 2, 3], np.int32)
