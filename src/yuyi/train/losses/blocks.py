"""Sums over all pairs of a batch, in memory that grows with the batch and not with its square."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK_SCORES = 2**23
"""Scores that are held at once, or up to a row more: 32 MiB in float32.

No less, because glibc takes what is smaller than 32 MiB from its heap, where blocks that come and go leave
holes, and memory grows with the number of blocks after all.
"""


def over_blocks(
    compute: Callable[..., Tensor], *sides: Tensor, columns: int, block: int | None = None
) -> Tensor:
    """The sum of what `compute` gives for blocks of rows, each computed again for the gradient.

    What fits in one block is computed once, and keeps its scores until then.

    Args:
        compute: from the number of the first row of a block, and its rows of each of `sides`, a tensor of the
            same shape for every block. It may hold (rows of the block, columns) matrices.
        sides: (n, ...) each.
        columns: what each row is compared with.
        block: rows in a block; None for as many as have `BLOCK_SCORES` scores.
    """
    step = block or -(-BLOCK_SCORES // max(1, columns))
    if step >= len(sides[0]):
        return compute(0, *sides)
    parts: list[Tensor] = [
        checkpoint(compute, number * step, *rows, use_reentrant=False, preserve_rng_state=False)
        for number, rows in enumerate(zip(*(torch.split(side, step) for side in sides), strict=True))
    ]
    return torch.stack(parts).sum(0)


def row_numbers(first: int, rows: Tensor) -> Tensor:
    """(b,) int64, the places in the batch of `rows` (b, ...), which begin at place `first`."""
    return torch.arange(first, first + len(rows), device=rows.device)
