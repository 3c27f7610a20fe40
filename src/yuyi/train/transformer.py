"""A transformer in training: the model that is served, with AdamW and mixed precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from yuyi.errors import RecipeError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from yuyi.model.embedder import Embedder
    from yuyi.text.overflow import Frame
    from yuyi.train.config import Stage
    from yuyi.train.distributed import World
    from yuyi.types import TokenBatch


class TransformerLearner:
    """An `Embedder` as a `Learner`."""

    def __init__(
        self,
        embedder: Embedder,
        frame: Frame,
        token_budget: int = 16_384,
        precision: torch.dtype = torch.float32,
    ) -> None:
        """Take the model, on the device where it is to be trained.

        Args:
            embedder: what is trained; it holds the result.
            frame: its special tokens, and the most tokens it takes.
            token_budget: tokens whose activations fit in memory at once.
            precision: of the products; weights, pooling and losses stay as they are.
        """
        self.embedder = embedder.train()
        self.frame = frame
        self.token_budget: int | None = token_budget
        self._precision = precision
        self._modules: dict[str, nn.Module] = {"embedder": embedder}
        self._optimizer: torch.optim.AdamW | None = None
        self._clip: float | None = None

    def extra(self, name: str, module: nn.Module) -> nn.Module:
        """A module that is trained beside the model in this stage, such as a head; called after `begin`."""
        self._modules[name] = module.to(self._device)
        self._optimizer = None
        return module

    def begin(self, stage: Stage) -> None:
        """A fresh AdamW; the extra modules of the stage before are gone."""
        self._modules = {"embedder": self.embedder}
        self._stage = stage
        self._optimizer = None
        self._clip = stage.clip

    def embed(self, texts: TokenBatch) -> Tensor:
        """(rows, dim) of the type of the weights; see `Learner.embed`."""
        ids, offsets = (torch.from_numpy(part).to(self._device) for part in (texts.ids, texts.offsets))
        with self.autocast():
            vectors: Tensor = self.embedder(ids, offsets)
        return vectors

    def autocast(self) -> torch.autocast:
        """Products inside the block are computed in the learner's precision."""
        enabled = self._precision != torch.float32
        return torch.autocast(self._device.type, dtype=self._precision if enabled else None, enabled=enabled)

    def zeros(self, rows: int) -> Tensor:
        """As `Learner.zeros`."""
        dtype = torch.promote_types(self._dtype, torch.float32)
        return torch.zeros((rows, self.embedder.dim), device=self._device, dtype=dtype)

    def step(self, rate: float, world: World) -> float:
        """As `Learner.step`."""
        optimizer = self._open_optimizer()
        parameters = [each for group in optimizer.param_groups for each in group["params"]]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            world.sum_(parameter.grad)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self._clip or float("inf"))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def weights(self) -> dict[str, Tensor]:
        """As `Learner.weights`."""
        return {
            f"{module}.{name}": parameter.data
            for module, each in self._modules.items()
            for name, parameter in each.named_parameters()
        }

    def moments(self) -> dict[str, Tensor]:
        """As `Learner.moments`."""
        if self._optimizer is None:
            return {}
        state = self._optimizer.state
        named = {
            f"{module}.{name}": parameter
            for module, each in self._modules.items()
            for name, parameter in each.named_parameters()
        }
        return {
            f"{kind}/{name}": tensor
            for name, parameter in named.items()
            for kind, tensor in state.get(parameter, {}).items()
        }

    def restore(self, weights: dict[str, Tensor], moments: dict[str, Tensor]) -> None:
        """As `Learner.restore`.

        Raises:
            RecipeError: the tensors belong to another model.
        """
        own = self.weights()
        missing = own.keys() - weights.keys()
        if missing:
            raise RecipeError(
                f"the checkpoint lacks {sorted(missing)[0]}: it is of another model. Start anew."
            )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(weights[name])
        optimizer = self._open_optimizer()
        named = {
            f"{module}.{name}": parameter
            for module, each in self._modules.items()
            for name, parameter in each.named_parameters()
        }
        for key, tensor in moments.items():
            kind, _, name = key.partition("/")
            optimizer.state[named[name]][kind] = tensor

    @property
    def _device(self) -> torch.device:
        return next(self.embedder.parameters()).device

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.embedder.parameters()).dtype

    def _open_optimizer(self) -> torch.optim.AdamW:
        """The stage's optimiser, made when all its modules are known."""
        if self._optimizer is None:
            parameters = [each for module in self._modules.values() for each in module.parameters()]
            matrices = [each for each in parameters if each.ndim > 1]
            others = [each for each in parameters if each.ndim <= 1]
            groups = [
                {"params": matrices, "weight_decay": self._stage.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ]
            self._optimizer = torch.optim.AdamW(groups, lr=self._stage.learning_rate)
        return self._optimizer
