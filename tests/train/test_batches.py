from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.train.batches import Sampler
from yuyi.train.reading.sources import EMPTY_KEY

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)
# Rows as (query, document); few texts, so that many are shared, and some rows without a document.
ROWS = st.lists(
    st.tuples(st.integers(1, 12), st.one_of(st.integers(5, 30), st.just(EMPTY_KEY))), min_size=1, max_size=60
)


def columns(rows: list[tuple[int, int]]) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    return [np.array(side, dtype=np.int64) for side in zip(*rows, strict=True)]


def epoch(sampler: Sampler, rows: int) -> list[list[int]]:
    """Batches of a single source until every row was drawn."""
    batches: list[list[int]] = []
    while sum(map(len, batches)) < rows:
        batches.append(sampler.draw()[1].tolist())
    return batches


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


@given(rows=ROWS, batch=st.integers(1, 12), seed=st.integers(0, 99), by_length=st.booleans())
def test_rows_of_a_batch_share_no_text_and_an_epoch_is_every_row(
    rows: list[tuple[int, int]], batch: int, seed: int, by_length: bool
) -> None:
    lengths = [np.random.default_rng(seed).integers(1, 50, len(rows))] if by_length else None
    sampler = Sampler(
        [len(rows)], [1.0], batch, [seed], keys=[columns(rows)], lengths=lengths, window=2, least=1
    )
    for _ in range(3):
        batches = epoch(sampler, len(rows))
        assert sorted(row for each in batches for row in each) == list(range(len(rows)))
        for each in batches:
            assert 1 <= len(each) <= batch
            texts = Counter(text for row in each for text in set(rows[row]) - {EMPTY_KEY})
            assert max(texts.values(), default=1) == 1


@given(rows=ROWS, batch=st.integers(1, 12), seed=st.integers(0, 99))
def test_batches_are_full_while_rows_that_fit_are_left(
    rows: list[tuple[int, int]], batch: int, seed: int
) -> None:
    sampler = Sampler([len(rows)], [1.0], batch, [seed], keys=[columns(rows)], least=1)
    batches = epoch(sampler, len(rows))
    for number, each in enumerate(batches):
        if len(each) < batch:
            taken = {text for row in each for text in rows[row]} - {EMPTY_KEY}
            later = [row for following in batches[number + 1 :] for row in following]
            assert all(taken & set(rows[row]) for row in later)


def test_a_put_off_row_comes_in_the_next_batch_that_can_take_it() -> None:
    rows = [(number, 1_000 + number) for number in range(64)]
    rows[40] = (7, 2_000)
    for seed in range(40):
        sampler = Sampler([64], [1.0], 16, [seed], keys=[columns(rows)], least=1)
        batches = epoch(sampler, 64)
        assert [len(each) for each in batches[:3]] == [16] * 3
        first, second = sorted(next(n for n, each in enumerate(batches) if row in each) for row in (7, 40))
        assert first != second
        # Where the order has them in one batch, the one behind waits for no more than the next.
        plain = Sampler([64], [1.0], 16, [seed])
        before = [plain.draw()[1].tolist() for _ in range(4)]
        together = [n for n, each in enumerate(before) if {7, 40} <= set(each)]
        assert not together or second == together[0] + 1


def test_short_batches_are_left_out_unless_they_are_asked_for() -> None:
    rows = [(1, number + 10) for number in range(8)] + [(number + 100, number + 200) for number in range(24)]
    whole = Sampler([32], [1.0], 8, [0], keys=[columns(rows)], least=1)
    sizes = [len(each) for each in epoch(whole, 32)]
    assert sizes[-1] == 1
    full = Sampler([32], [1.0], 8, [0], keys=[columns(rows)])
    drawn = [full.draw()[1].tolist() for _ in range(60)]
    assert {len(each) for each in drawn} == {8}
    # Nothing is left out for good.
    assert {row for each in drawn for row in each} == set(range(32))
    assert len(Sampler([5], [1.0], 8, [0], keys=[columns(rows[:5])]).draw()[1]) == 1
    some = Sampler([32], [1.0], 8, [0], keys=[columns(rows)], least=2)
    assert 1 < min(len(some.draw()[1]) for _ in range(60)) < 8


def test_rows_of_a_batch_are_of_about_one_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 513, 4_096)
    plain = Sampler([4_096], [1.0], 64, [3])
    sampler = Sampler([4_096], [1.0], 64, [3], lengths=[lengths], window=16)

    def spread(drawing: Sampler) -> float:
        return float(np.mean([np.ptp(lengths[drawing.draw()[1]]) for _ in range(64)]))

    assert spread(plain) > 450
    assert spread(sampler) < 40
    # The batches themselves come in no order of length.
    means = [lengths[sampler.draw()[1]].mean() for _ in range(16)]
    assert means != sorted(means) and means != sorted(means, reverse=True)
    one, other = (sampler.draw()[1].tolist() for _ in range(2))
    assert not set(one) & set(other)


@pytest.mark.parametrize("least", [None, 8])
def test_no_row_is_left_out_for_its_length(least: int | None) -> None:
    # Fifteen rows do not fill two batches of ten; two of them share a text.
    keys = [np.array([1, 1, *range(2, 15)]), np.arange(100, 115)]
    sampler = Sampler([15], [1.0], 10, [0], keys=[keys], lengths=[np.arange(15)], least=least)
    counts = Counter(row for _ in range(200) for row in sampler.draw()[1].tolist())
    assert min(counts.values()) > 0.5 * max(counts.values()) > 0
    assert len(counts) == 15


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


@given(
    sources=st.lists(ROWS, min_size=1, max_size=3),
    before=st.integers(0, 40),
    after=st.integers(1, 40),
    seed=st.integers(0, 99),
    least=st.sampled_from([None, 1]),
)
def test_a_restored_sampler_draws_what_would_have_come(
    sources: list[list[tuple[int, int]]], before: int, after: int, seed: int, least: int | None
) -> None:
    weights = [1.0 + len(rows) for rows in sources]

    def opened() -> Sampler:
        return Sampler(
            [len(rows) for rows in sources],
            weights,
            4,
            [seed, 1],
            keys=[columns(rows) for rows in sources],
            lengths=[columns(rows)[0] for rows in sources],
            least=least,
        )

    sampler = opened()
    for _ in range(before):
        sampler.draw()
    state = json.loads(json.dumps(sampler.state()))
    expected = [(source, rows.tolist()) for source, rows in (sampler.draw() for _ in range(after))]
    for restored in (opened(), sampler):
        restored.restore(state)
        found = [(source, rows.tolist()) for source, rows in (restored.draw() for _ in range(after))]
        assert found == expected


@pytest.mark.parametrize("shared", [0.1, 1.0])
def test_a_large_epoch_is_laid_out_quickly(shared: float) -> None:
    generator = np.random.default_rng(0)
    rows = 200_000
    documents = np.arange(rows)
    asked = generator.random(rows) < shared
    documents[asked] = generator.integers(0, rows // 4, asked.sum())
    began = time.process_time()
    sampler = Sampler([rows], [1.0], 16_384, [0], keys=[[np.arange(rows) + rows, documents]])
    drawn = sampler.draw()[1]
    assert len(np.unique(documents[drawn])) == len(drawn) == 16_384
    assert time.process_time() - began < 8
