"""Where everything that a run draws at random has its seed from.

A use of random numbers is named by its kind and by integers: the run's seed, the number of the stage, and
what else tells it from others of its kind, such as the task, the step or the epoch. numpy's `SeedSequence`
fills short lists up with zeros, so [7, 0] and [7, 0, 0] would give one stream, and the task and the step of
one number too; hence kind and length come first, and no two uses share a stream.

    chooser     run, stage                      which task a step draws
    sampler     run, stage, task                which source a task draws
    epoch       run, stage, task, source, epoch in which order a source's rows come
    weights     run, stage, task                first weights of what is trained beside the model
    step        run, stage, step(, task)        dropout; each chunk adds its number behind
    mask        run, stage, step(, task)        which words are hidden
    sight       run, stage, step(, task), row   what a decoder sees
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Sequence

Use = Literal["chooser", "sampler", "epoch", "weights", "step", "mask", "sight"]


def seed_of(use: Use, numbers: Sequence[int]) -> list[int]:
    """What seeds a generator for one use.

    Args:
        use: what is drawn.
        numbers: none negative; tell it from other uses of the kind.
    """
    return [crc32(use.encode()), len(numbers), *numbers]
