"""The processes that train together, one for each device; alone there is one of them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.distributed

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


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
        """Put into each of these tensors its sum over all ranks; many small ones travel as one."""
        if self.size == 1 or not tensors:
            return
        if len(tensors) == 1:
            torch.distributed.all_reduce(tensors[0])
            return
        whole = torch.cat([tensor.flatten() for tensor in tensors])
        torch.distributed.all_reduce(whole)
        for tensor, part in zip(tensors, torch.split(whole, [each.numel() for each in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

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
        InputError: the environment names a place among ranks that there are not.
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
        torch.cuda.set_device(world.local)
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield world
    finally:
        torch.distributed.destroy_process_group()
