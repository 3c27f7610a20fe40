"""Two texts that say the same in two languages, block by block where their structure agrees."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from yuyi.data.clean import ideographs, weight

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yuyi.data.blocks import CleanBlock

# An ideograph weighs two Latin letters, and stands for about three: of a block and its translation, English to
# Chinese, the weights are one and a half to one; these are the extremes that are let pass.
_LEAST_RATIO, _MOST_RATIO = 0.7, 3.0
# Texts of at most this weight vary more, and are let pass within twice the bounds.
_SHORT = 30
# Blocks of one document that are compared: `SequenceMatcher` is quadratic.
_MOST_BLOCKS = 5_000


def aligned(
    first: Sequence[CleanBlock], second: Sequence[CleanBlock]
) -> Iterator[tuple[CleanBlock, CleanBlock]]:
    """The blocks of two documents that stand in the same place and are of similar length.

    Both are cut at their headings. Sections pair off where the levels of the headings agree, and the blocks of
    two such sections where they are of the same kinds in the same order.
    """
    left, right = _by_heading(first[:_MOST_BLOCKS]), _by_heading(second[:_MOST_BLOCKS])
    matcher = SequenceMatcher(
        None, [_shape(one) for one in left], [_shape(one) for one in right], autojunk=False
    )
    for at_left, at_right, size in matcher.get_matching_blocks():
        for offset in range(size):
            blocks = list(zip(left[at_left + offset], right[at_right + offset], strict=True))
            # A section in which one block does not fit is not a translation of the other.
            if all(_alike(one, other) for one, other in blocks):
                yield from (pair for pair in blocks if _differ(*pair))


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
    english, chinese = (first, second) if ideographs(second.text) else (second, first)
    ratio = weight(english.text) / max(1, weight(chinese.text))
    slack = 2.0 if weight(english.text) <= _SHORT else 1.0
    return _LEAST_RATIO / slack <= ratio <= _MOST_RATIO * slack


def _differ(first: CleanBlock, second: CleanBlock) -> bool:
    """Whether the two are text in two languages; a name or a heading that was not translated is not."""
    return (
        first.kind not in ("code", "table")
        and not (first.drop or second.drop)
        and bool(first.lang and second.lang)
        and first.lang != second.lang
        and first.text != second.text
    )
