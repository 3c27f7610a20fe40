"""What the loop asks of a model in training, whatever it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from yuyi.text.overflow import Frame
    from yuyi.train.config import Stage
    from yuyi.train.distributed import World
    from yuyi.types import TokenBatch


class Learner(Protocol):
    """A model in training: embeds texts, gathers gradients, takes steps.

    Attributes:
        frame: the special tokens around each text, and the most tokens it may have with them.
        token_budget: tokens whose activations fit in memory at once; None for no limit.
    """

    frame: Frame
    token_budget: int | None

    def begin(self, stage: Stage) -> None:
        """A fresh optimiser, with the settings of this stage."""
        ...

    def embed(self, texts: TokenBatch) -> Tensor:
        """(rows, dim), not normalised; differentiable where gradients are enabled."""
        ...

    def zeros(self, rows: int) -> Tensor:
        """(rows, dim) zeros of the type and on the device that `embed` gives."""
        ...

    def step(self, rate: float, world: World) -> float:
        """One update with the gradients gathered since the last; their norm, before clipping.

        The gradients are summed over all ranks first, and cleared afterwards.
        """
        ...

    def weights(self) -> dict[str, Tensor]:
        """Every trained tensor by name: the tensors themselves, not copies."""
        ...

    def moments(self) -> dict[str, Tensor]:
        """The optimiser's state by name, as tensors; empty before the first step of a stage."""
        ...

    def restore(self, weights: dict[str, Tensor], moments: dict[str, Tensor]) -> None:
        """Take over what `weights` and `moments` gave, after `begin` of the same stage."""
        ...
