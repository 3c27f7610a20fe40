from __future__ import annotations

import itertools
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.encode.flow import blocks, in_order
from yuyi.errors import InputError
from yuyi.machine import available_cores


@given(st.lists(st.text("ab", max_size=30), max_size=40), st.integers(1, 9), st.integers(1, 60))
def test_blocks_are_bounded_and_whole(texts: list[str], most: int, characters: int) -> None:
    found = list(blocks(iter(texts), most, characters, 7))
    assert [text for block in found for text in block.texts] == texts
    position = 7
    for block in found:
        assert block.first == position
        assert 1 <= len(block.texts) <= most
        assert len(block.texts) == 1 or sum(map(len, block.texts)) <= characters
        position += len(block.texts)


@given(st.integers(0, 30), st.integers(1, 5))
def test_results_keep_their_order_and_share_the_cores(count: int, threads: int) -> None:
    cores_given = set()

    def work(item: int, cores: int) -> int:
        cores_given.add(cores)
        time.sleep(0.0005 * (item % 3))
        return -item

    assert list(in_order(iter(range(count)), work, threads)) == [-item for item in range(count)]
    all_cores = available_cores()
    assert cores_given == ({all_cores} if count == 1 else {max(1, all_cores // threads)} if count else set())


def test_one_item_stays_in_the_calling_thread() -> None:
    def work(item: int, cores: int) -> int:
        return threading.get_ident()

    assert list(in_order(iter([1]), work, 4)) == [threading.get_ident()]
    assert threading.get_ident() not in list(in_order(iter([1, 2, 3]), work, 4))


def test_closing_drops_what_has_not_begun() -> None:
    begun = []

    def work(item: int, cores: int) -> int:
        begun.append(item)
        time.sleep(0.01)
        return item

    results = in_order(itertools.count(), work, 2)
    assert [next(results), next(results)] == [0, 1]
    results.close()
    done = len(begun)
    time.sleep(0.05)
    assert len(begun) == done <= 8


def test_an_error_comes_at_its_place() -> None:
    def work(item: int, cores: int) -> int:
        if item == 3:
            raise InputError("three")
        return item

    results = in_order(iter(range(100)), work, 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(InputError, match="three"):
        next(results)
