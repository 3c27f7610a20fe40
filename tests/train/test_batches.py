from __future__ import annotations

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from yuyi.train.batches import Sampler

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)


@given(sizes=SIZES, batch=st.integers(1, 12), seed=st.integers(0, 99))
def test_no_row_comes_twice_in_an_epoch(sizes: list[int], batch: int, seed: int) -> None:
    sampler = Sampler(sizes, [1.0] * len(sizes), batch, [seed])
    drawn: list[list[int]] = [[] for _ in sizes]
    for _ in range(60):
        source, rows = sampler.draw()
        assert len(rows) == min(batch, sizes[source])
        drawn[source] += rows.tolist()
    for size, rows in zip(sizes, drawn, strict=True):
        # What does not fill a batch waits for a later epoch; where batches fit, an epoch is every row.
        epoch = size if size <= batch else size - size % batch
        for start in range(0, len(rows), epoch):
            seen = rows[start : start + epoch]
            assert len(set(seen)) == len(seen)
            assert set(seen) <= set(range(size))
            assert len(seen) < epoch or size % epoch or set(seen) == set(range(size))


def test_epochs_differ_in_order() -> None:
    sampler = Sampler([8], [1.0], 8, [0])
    first, second = sampler.draw()[1].tolist(), sampler.draw()[1].tolist()
    assert first != second
    assert sorted(first) == sorted(second) == list(range(8))


def test_sources_are_drawn_in_proportion_to_their_weights() -> None:
    sampler = Sampler([5, 5, 5], [1.0, 2.0, 7.0], 5, [1])
    counts = Counter(sampler.draw()[0] for _ in range(3_000))
    assert abs(counts[0] - 300) < 70
    assert abs(counts[2] - 2_100) < 120


@given(sizes=SIZES, before=st.integers(0, 40), after=st.integers(1, 40), seed=st.integers(0, 99))
def test_a_restored_sampler_draws_what_would_have_come(
    sizes: list[int], before: int, after: int, seed: int
) -> None:
    weights = [1.0 + size for size in sizes]
    sampler = Sampler(sizes, weights, 4, [seed, 1])
    for _ in range(before):
        sampler.draw()
    state = json.loads(json.dumps(sampler.state()))
    expected = [(source, rows.tolist()) for source, rows in (sampler.draw() for _ in range(after))]
    for restored in (Sampler(sizes, weights, 4, [seed, 1]), sampler):
        restored.restore(state)
        found = [(source, rows.tolist()) for source, rows in (restored.draw() for _ in range(after))]
        assert found == expected
