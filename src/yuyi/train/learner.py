"""What the loop asks of a model in training, whatever it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

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
        scale: factor on every loss before its gradient is taken, which `step` divides by again; 1 unless
            gradients in half precision would be lost for smallness.
    """

    frame: Frame
    token_budget: int | None
    scale: float

    def begin(self, stage: Stage) -> None:
        """A fresh optimiser, with the settings of this stage.

        Raises:
            RecipeError: the stage asks for what this learner has not.
        """
        ...

    def ready(self) -> None:
        """Called behind `begin`, when the tasks of the stage have brought what is trained beside the model.

        Raises:
            RecipeError: nothing is left to be trained.
        """
        ...

    def settings(self) -> dict[str, Any]:
        """What beside the weights decides a run, as JSON values; a run is resumed with the same alone."""
        ...

    def embed(self, texts: TokenBatch) -> Tensor:
        """(rows, dim), not normalised; differentiable where gradients are enabled."""
        ...

    def resting(self) -> AbstractContextManager[None]:
        """Inside the block `embed` gives what the finished model would: no dropout, no graph."""
        ...

    def zeros(self, rows: int) -> Tensor:
        """(rows, dim) zeros of the type and on the device that `embed` gives."""
        ...

    def step(self, rate: float, world: World) -> float | None:
        """One update with the gradients gathered since the last; their norm, before clipping.

        None where the step was left out, as the scale of half precision was too large for it.

        The gradients are summed over all ranks first, and cleared afterwards. Where the norm is not finite
        the weights stay as they are.
        """
        ...

    def weights(self) -> dict[str, Tensor]:
        """Every trained tensor by name: the tensors themselves, not copies."""
        ...

    def model(self) -> dict[str, Tensor]:
        """Those of `weights` that the finished model is made of, which outlive a stage."""
        ...

    def moments(self) -> dict[str, Tensor]:
        """The optimiser's state by name, as tensors; empty before the first step of a stage."""
        ...

    def restore(self, weights: dict[str, Tensor], moments: dict[str, Tensor]) -> None:
        """Take over what `weights` and `moments` gave, after `begin` of the same stage."""
        ...
