"""Two texts that say the same in two languages, block by block where their structure agrees."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yuyi.data.clean import ideographs, weight

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yuyi.data.blocks import CleanBlock

# An ideograph weighs two Latin letters and stands for about three, so that English weighs one and a half
# times its Chinese; these are the extremes that are let pass.
_LEAST_RATIO, _MOST_RATIO = 0.7, 3.0
# Texts of at most this weight vary more, and are let pass within twice the bounds.
_SHORT = 30
# Least share of Chinese in the weight of a Chinese block; with less it is a command or a formula.
_LEAST_CHINESE = 0.4
_NUMBER = re.compile(r"\d{3,}")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")


def aligned(
    first: Sequence[CleanBlock], second: Sequence[CleanBlock]
) -> Iterator[tuple[CleanBlock, CleanBlock]]:
    """The blocks of two documents that stand in the same place and are of similar length.

    Both are cut at their headings, and must have the same levels of headings in the same order. The blocks of
    two sections pair off where they are of the same kinds in the same order.
    """
    left, right = _by_heading(first), _by_heading(second)
    if [_shape(one)[:1] for one in left[1:]] != [_shape(one)[:1] for one in right[1:]]:
        return
    for one, other in zip(left, right, strict=True):
        # A section in which one block does not fit is not a translation of the other.
        if _shape(one) == _shape(other) and all(map(_alike, one, other)):
            yield from (pair for pair in zip(one, other, strict=True) if _differ(*pair))


def _by_heading(blocks: Sequence[CleanBlock]) -> list[list[CleanBlock]]:
    found: list[list[CleanBlock]] = [[]]
    for block in blocks:
        if block.kind == "heading":
            found.append([])
        found[-1].append(block)
    return found


def _shape(section: Sequence[CleanBlock]) -> tuple[tuple[str, int], ...]:
    return tuple((block.kind, block.level) for block in section)


def _alike(first: CleanBlock, second: CleanBlock) -> bool:
    if first.kind == "code" or not first.lang or not second.lang:
        return True
    # Numbers of three digits and more stay as they are in a translation: years, versions, issues.
    numbers = [set(_NUMBER.findall(_THOUSANDS.sub("", block.text))) for block in (first, second)]
    if all(numbers) and numbers[0] != numbers[1]:
        return False
    english, chinese = (first, second) if ideographs(second.text) else (second, first)
    ratio = weight(english.text) / max(1, weight(chinese.text))
    slack = 2.0 if weight(english.text) <= _SHORT else 1.0
    return _LEAST_RATIO / slack <= ratio <= _MOST_RATIO * slack


def _differ(first: CleanBlock, second: CleanBlock) -> bool:
    """Whether the two are text in two languages, not a name or a command that was not translated."""
    if first.kind in ("code", "table") or first.drop or second.drop or first.lang == second.lang:
        return False
    english, chinese = sorted((first.text, second.text), key=ideographs)
    return 2 * ideographs(chinese) >= _LEAST_CHINESE * weight(chinese) > 0 and 2 * ideographs(
        english
    ) < weight(english)
