"""Texts in blocks through threads: bounded memory however many there are, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from yuyi.errors import InputError
from yuyi.machine import available_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Block:
    """Some consecutive texts.

    Attributes:
        first: number of the first one among all texts.
        texts: the texts.
    """

    first: int
    texts: list[str]


def blocks(inputs: Iterable[str], most_texts: int, most_characters: int, first: int = 0) -> Iterator[Block]:
    """Consecutive texts, bounded in number and, past the first text, in characters; numbered from `first`.

    Raises:
        InputError: the inputs are no iterable of texts, or one of them is no string.
    """
    if isinstance(inputs, str | bytes | bytearray | Mapping) or not isinstance(inputs, Iterable):
        raise InputError(f"{inputs!r:.80}: not a list or another iterable of texts. Give several texts.")
    iterator = iter(inputs)
    position = first
    while taken := list(islice(iterator, most_texts)):
        for offset, text in enumerate(taken):
            if not isinstance(text, str):
                raise InputError(f"input {position + offset}: {text!r:.80} is not a string. Give texts only.")
        start = characters = 0
        for offset, text in enumerate(taken):
            characters += len(text)
            if characters > most_characters and offset > start:
                yield Block(position + start, taken[start:offset])
                start, characters = offset, len(text)
        yield Block(position + start, taken[start:])
        position += len(taken)


def in_order(
    items: Iterator[Item], work: Callable[[Item, int], Result], threads: int, cores: int | None = None
) -> Iterator[Result]:
    """What `work` makes of each item and a number of cores, in the order of the items.

    An item that is alone is done in the calling thread, with all cores; several are done side by side and
    share them.

    Args:
        items: what to work on; read a few ahead of the results.
        work: called with an item and how many cores it may keep busy.
        threads: how many items to work on at a time.
        cores: how many there are; without it, asked of the system, which takes as long as a short text.
    """
    if cores is None:
        cores = available_cores()
    first, second = next(items, None), next(items, None)
    if first is None:
        return
    if second is None:
        yield work(first, cores)
        return
    share = max(1, cores // threads)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="yuyi")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in chain((first, second), items):
            waiting.append(pool.submit(work, item, share))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # Who stops early, by Ctrl-C or an error, does not wait for the blocks in hand.
        pool.shutdown(wait=False, cancel_futures=True)
