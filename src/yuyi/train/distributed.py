"""The processes that train together, one for each device; alone there is one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.distributed

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class World:
    """All processes of a run, seen from one of them.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    def sum_(self, tensor: Tensor) -> None:
        """Put the sum of this tensor over all ranks into it."""
        if self.size > 1:
            torch.distributed.all_reduce(tensor)


ALONE = World()
