"""A transformer in training: the model that is served, with AdamW and mixed precision."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from yuyi.errors import RecipeError
from yuyi.train.running.freezing import resting_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from yuyi.model.embedder import Embedder
    from yuyi.text.overflow import Frame
    from yuyi.train.config import Stage
    from yuyi.train.distributed import World
    from yuyi.types import TokenBatch

# Of the factor on losses in float16, as torch's own scaler has them: what it begins with, and after how many
# good steps it is doubled.
_FIRST_SCALE = 65_536.0
_STEADY = 2_000


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
            precision: of the products; weights, pooling and losses stay as they are. In float16 losses are
                multiplied by a scale that is found on the way, as small gradients would be lost.
        """
        self.embedder = embedder.train()
        self.frame = frame
        self.token_budget: int | None = token_budget
        self.scale = 1.0
        self._precision = precision
        self._modules: dict[str, nn.Module] = {"embedder": embedder}
        self._optimizer: torch.optim.AdamW | None = None
        self._taken = 0
        self._steady = 0
        self._resting: dict[str, int] = {}

    def extra(self, name: str, module: nn.Module) -> nn.Module:
        """A module that is trained beside the model in this stage, such as a head; called after `begin`.

        It has to come with its first weights, drawn from a generator of its own, so that they are the same
        in a resumed run until the saved ones take their place.
        """
        self._modules[name] = module.to(self._device)
        self._optimizer = None
        return module

    def begin(self, stage: Stage) -> None:
        """A fresh AdamW; the extra modules of the stage before are gone.

        Raises:
            RecipeError: `stage.freeze` names a part that the model has not.
        """
        self._modules = {"embedder": self.embedder}
        self._stage = stage
        self._optimizer = None
        self._taken = self._steady = 0
        self.scale = _FIRST_SCALE if self._precision == torch.float16 else 1.0
        names = [name for name, _ in self.embedder.named_parameters()]
        self._resting = resting_steps(names, stage.freeze)
        self.embedder.zero_grad(set_to_none=True)
        self._wake()

    def ready(self) -> None:
        """As `Learner.ready`.

        Raises:
            RecipeError: all of the model rests, and nothing is trained beside it.
        """
        if len(self._modules) == 1 and len(self._resting) == len(list(self.embedder.parameters())):
            raise RecipeError(
                f"freeze: all parts of the model rest for the first {min(self._resting.values())} steps of "
                f"stage {self._stage.name}, and nothing is trained beside it. Leave one out."
            )

    def settings(self) -> dict[str, Any]:
        """As `Learner.settings`."""
        return {
            "encoder": asdict(self.embedder.encoder.config),
            "dropout": self.embedder.encoder.embeddings.dropout,
            "attention_dropout": self.embedder.encoder.layers[0].attention_dropout,
            "pooling": self.embedder.pooler.pooling,
            "token_budget": self.token_budget,
            "max_tokens": self.frame.max_tokens,
            "precision": str(self._precision).removeprefix("torch."),
        }

    def embed(self, texts: TokenBatch) -> Tensor:
        """(rows, dim) of the type of the weights; see `Learner.embed`."""
        ids, offsets = (torch.from_numpy(part).to(self._device) for part in (texts.ids, texts.offsets))
        with self.autocast():
            vectors: Tensor = self.embedder(ids, offsets)
        if torch.is_grad_enabled() and not vectors.requires_grad:
            vectors.requires_grad_()  # All of the model rests, and what is beside it learns.
        return vectors

    def autocast(self) -> torch.autocast:
        """Products inside the block are computed in the learner's precision."""
        enabled = self._precision != torch.float32
        return torch.autocast(self._device.type, dtype=self._precision if enabled else None, enabled=enabled)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """As `Learner.resting`."""
        training = self.embedder.training
        self.embedder.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.embedder.train(training)

    def zeros(self, rows: int) -> Tensor:
        """As `Learner.zeros`."""
        dtype = torch.promote_types(self._dtype, torch.float32)
        return torch.zeros((rows, self.embedder.dim), device=self._device, dtype=dtype)

    def step(self, rate: float, world: World) -> float | None:
        """As `Learner.step`; a parameter without a gradient on any rank rests, its moments too.

        In float16 a step whose gradients are too large is left out, the scale halved, and there is no norm;
        only where no scale helps is the norm infinite.
        """
        optimizer = self._open_optimizer()
        moved = self._gather(world)
        norm = torch.nn.utils.clip_grad_norm_(moved, self._stage.clip or math.inf)
        finite = bool(norm.isfinite())
        if finite:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self._taken += 1
        self._wake()
        return float(norm) if self._precision != torch.float16 or self._rescale(finite) else None

    def weights(self) -> dict[str, Tensor]:
        """As `Learner.weights`."""
        return {name: parameter.data for name, parameter in self._parameters()}

    def model(self) -> dict[str, Tensor]:
        """As `Learner.model`."""
        return {f"embedder.{name}": parameter.data for name, parameter in self.embedder.named_parameters()}

    def moments(self) -> dict[str, Tensor]:
        """As `Learner.moments`; with the number of steps taken, and the scale of float16."""
        if self._optimizer is None:
            return {}
        counts = {"taken": self._taken, "steady": self._steady, "scale": self.scale}
        found = {name: torch.tensor(value, dtype=torch.float64) for name, value in counts.items()}
        state = self._optimizer.state
        for name, parameter in self._parameters():
            found |= {f"{kind}/{name}": tensor for kind, tensor in state.get(parameter, {}).items()}
        return found

    def restore(self, weights: dict[str, Tensor], moments: dict[str, Tensor]) -> None:
        """As `Learner.restore`, after the stage's tasks have brought their extra modules.

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
        named = dict(self._parameters())
        for key, tensor in moments.items():
            kind, slash, name = key.partition("/")
            if slash:
                optimizer.state[named[name]][kind] = tensor.to(self._device)
        self._taken = int(moments.get("taken", 0))
        self._steady = int(moments.get("steady", 0))
        self.scale = float(moments.get("scale", self.scale))
        self._wake()

    @property
    def _device(self) -> torch.device:
        return next(self.embedder.parameters()).device

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.embedder.parameters()).dtype

    def _parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Everything that the stage trains, by name."""
        for module, each in self._modules.items():
            for name, parameter in each.named_parameters():
                yield f"{module}.{name}", parameter

    def _wake(self) -> None:
        """Let those parameters learn that have rested long enough."""
        for name, parameter in self.embedder.named_parameters():
            parameter.requires_grad_(self._taken >= self._resting.get(name, 0))

    def _gather(self, world: World) -> list[nn.Parameter]:
        """The parameters that have a gradient on any rank, holding the sum of them all."""
        learning = [parameter for _, parameter in self._parameters() if parameter.requires_grad]
        counts = torch.tensor([float(each.grad is not None) for each in learning], device=self._device)
        world.sum_(counts)
        moved = [each for each, count in zip(learning, counts.tolist(), strict=True) if count]
        gradients = []
        for each in moved:
            if each.grad is None:
                each.grad = torch.zeros_like(each)
            gradients.append(each.grad)
        world.sum_(*gradients)
        if self.scale != 1:
            for gradient in gradients:
                gradient.div_(self.scale)
        return moved

    def _rescale(self, finite: bool) -> bool:
        """Whether the last step was good, or no smaller scale would make it so; adapts the scale."""
        if finite:
            self._steady += 1
            if self._steady == _STEADY:
                self.scale *= 2
                self._steady = 0
            return True
        self._steady = 0
        self.scale /= 2
        return self.scale < 1

    def _open_optimizer(self) -> torch.optim.AdamW:
        """The stage's optimiser, made when all its modules are known."""
        if self._optimizer is None:
            parameters = [parameter for _, parameter in self._parameters()]
            groups = [
                {
                    "params": [each for each in parameters if each.ndim > 1],
                    "weight_decay": self._stage.weight_decay,
                },
                # Biases and norms.
                {"params": [each for each in parameters if each.ndim <= 1], "weight_decay": 0.0},
            ]
            self._optimizer = torch.optim.AdamW(groups, lr=self._stage.highest_rate, fused=True)
        return self._optimizer
