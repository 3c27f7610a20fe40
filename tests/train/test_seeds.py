"""Whatever is drawn at random has a stream of its own."""

from __future__ import annotations

from itertools import combinations
from typing import get_args

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from yuyi.train.batches import Sampler
from yuyi.train.seeds import Use, seed_of

NUMBERS = st.lists(st.integers(0, 3), max_size=5)


def stream(seed: list[int]) -> list[int]:
    return np.random.default_rng(seed).integers(0, 1 << 60, 4).tolist()


@given(one=NUMBERS, other=NUMBERS)
def test_lists_that_differ_by_zeros_alone_have_streams_of_their_own(one: list[int], other: list[int]) -> None:
    assert (stream(seed_of("step", one)) == stream(seed_of("step", other))) == (one == other)


@given(numbers=NUMBERS)
def test_uses_of_equal_numbers_have_streams_of_their_own(numbers: list[int]) -> None:
    streams = [stream(seed_of(use, numbers)) for use in get_args(Use)]
    assert all(one != other for one, other in combinations(streams, 2))


def test_what_is_drawn_does_not_follow_the_order_of_rows() -> None:
    """The first epoch of the first source of task 0, and what chooses between sources, and tasks."""
    sampler = Sampler([64], [1.0], 64, [5, 0, 0])
    order = sampler.draw()[1].tolist()
    for seed in ([5, 0], [5, 0, 0], [5, 0, 0, 0], [5, 0, 0, 0, 0]):
        assert np.random.default_rng(seed).permutation(64).tolist() != order
