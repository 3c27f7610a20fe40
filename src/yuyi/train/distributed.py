"""The processes that train together, one for each device; alone there is one of them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import torch.distributed

from yuyi.errors import InputError
from yuyi.text.plan import plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    Integers = NDArray[np.int64]

# Numbers that travel together.
_BUCKET = 1 << 23
# The others wait while one rank reads a corpus, which may take hours.
_PATIENCE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class World:
    """All processes of a run, seen from one of them.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        local: number of this process among those of its machine, which is that of its device.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    def sum_(self, *tensors: Tensor) -> None:
        """Put into each of these tensors its sum over all ranks; small ones travel together."""
        if self.size == 1:
            return
        for bucket in _buckets(tensors):
            if len(bucket) == 1:
                torch.distributed.all_reduce(bucket[0])
                continue
            whole = torch.cat([tensor.flatten() for tensor in bucket])
            torch.distributed.all_reduce(whole)
            for tensor, part in zip(
                bucket, torch.split(whole, [each.numel() for each in bucket]), strict=True
            ):
                tensor.copy_(part.view_as(tensor))

    def chunks(self, lengths: Integers, token_budget: int | None) -> list[tuple[int, Integers]]:
        """The rows that this rank takes, in chunks under the budget, each with a number of its own.

        Every rank gets about the same number of tokens: rows are dealt out from the longest to the shortest,
        forth and back.

        Args:
            lengths: (rows,) tokens of each row, the same on every rank.
            token_budget: the most tokens in a chunk; None for one chunk.
        """
        order = np.argsort(-lengths, kind="stable")
        turn = np.arange(len(order)) % (2 * self.size)
        own = order[np.minimum(turn, 2 * self.size - 1 - turn) == self.rank]
        budget = max(1, int(lengths[own].sum())) if token_budget is None else token_budget
        planned = plan(lengths[own], budget) if len(own) else []
        return [(self.rank + self.size * number, own[rows]) for number, rows in enumerate(planned)]

    def wait(self) -> None:
        """Return when every rank has come here."""
        if self.size > 1:
            torch.distributed.barrier()


ALONE = World()


@contextmanager
def open_world(device: str) -> Iterator[World]:
    """The processes that `torchrun` started with this one; this one alone where it was started by itself.

    Args:
        device: kind of device that each process trains on; it decides how they talk.

    Raises:
        InputError: the environment names a place among ranks that there are not, or a device; or another
            process has ended while this one waited for it.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    try:
        world = World(int(os.environ["RANK"]), size, int(os.environ["LOCAL_RANK"]))
    except (KeyError, ValueError) as error:
        raise InputError(
            f"WORLD_SIZE is {size}, and RANK or LOCAL_RANK is missing or no number. Start with torchrun."
        ) from error
    if device == "cuda":
        if world.local >= torch.cuda.device_count():
            raise InputError(
                f"LOCAL_RANK is {world.local}, and this machine has {torch.cuda.device_count()} GPUs. Start "
                "as many processes as there are GPUs."
            )
        torch.cuda.set_device(world.local)
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield world
    except RuntimeError as error:
        # So gloo has it; torch has no class for it.
        if "Connection closed by peer" not in str(error) and "Connection reset by peer" not in str(error):
            raise
        raise InputError(
            f"rank {world.rank}: another process of this run has ended. What it said is the cause; mend that "
            "and start again, with --resume where steps were taken."
        ) from error
    finally:
        torch.distributed.destroy_process_group()


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors in their order, as many together as travel at once; a larger one by itself."""
    bucket: list[Tensor] = []
    numbers = 0
    for tensor in tensors:
        if bucket and numbers + tensor.numel() > _BUCKET:
            yield bucket
            bucket, numbers = [], 0
        bucket.append(tensor)
        numbers += tensor.numel()
    if bucket:
        yield bucket
