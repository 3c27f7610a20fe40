"""What follows pooling: dense layers and normalising, as the folder says."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

from yuyi.errors import ModelError
from yuyi.model.tensors import check_tensor, read_tensors
from yuyi.pipeline import Dense

if TYPE_CHECKING:
    from torch import Tensor

    from yuyi.pipeline import Activation, Normalize

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "identity": nn.Identity,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
}


class UnitLength(nn.Module):
    """Vectors scaled to unit length; zeros stay zeros."""

    def forward(self, vectors: Tensor) -> Tensor:
        """(rows, dim) from (rows, dim)."""
        return functional.normalize(vectors, dim=-1)


class DenseHead(nn.Sequential):
    """A linear layer, then a function of each value.

    Attributes:
        in_features: length of the vectors that go in.
        out_features: length of the vectors that come out.
        activation: name of the function.
    """

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool = True, activation: Activation = "identity"
    ) -> None:
        super().__init__(nn.Linear(in_features, out_features, bias=bias), _ACTIVATIONS[activation]())
        self.in_features = in_features
        self.out_features = out_features
        self.activation = activation

    def forward(self, vectors: Tensor) -> Tensor:
        """(rows, out_features) from (rows, in_features), in float32 inside autocast too."""
        with torch.autocast(vectors.device.type, enabled=False):
            out: Tensor = self[1](self.linear(vectors))
        return out

    @property
    def linear(self) -> nn.Linear:
        """The layer that holds the weights."""
        return cast("nn.Linear", self[0])


def load_heads(heads: tuple[Dense | Normalize, ...], dim: int) -> tuple[DenseHead | UnitLength, ...]:
    """The heads of a folder as modules, float32, for pooled vectors of `dim`.

    Raises:
        ModelError: a dense layer does not fit what comes before it, or its weights are damaged.
    """
    modules: list[DenseHead | UnitLength] = []
    for head in heads:
        if isinstance(head, Dense):
            if head.in_features != dim:
                raise ModelError(
                    f"{head.folder}: takes vectors of {head.in_features} dimensions, and what comes before "
                    f"gives {dim}. The parts belong to different models; fetch them again."
                )
            modules.append(_load_dense(head))
            dim = head.out_features
        else:
            modules.append(UnitLength())
    return tuple(modules)


def _load_dense(head: Dense) -> DenseHead:
    with torch.device("meta"):
        module = DenseHead(head.in_features, head.out_features, bias=head.bias, activation=head.activation)
    tensors = read_tensors(head.folder)
    state = {}
    for name, parameter in module.linear.named_parameters():
        source = f"linear.{name}"
        if source not in tensors:
            raise ModelError(f"{head.folder}: the weights lack {source}. Fetch them again.")
        check_tensor(source, tensors[source], tuple(parameter.shape), head.folder)
        state[name] = tensors[source].float()
    module.linear.load_state_dict(state, assign=True)
    return module
