"""What follows pooling: dense layers and normalising, as the folder says."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def load_heads(heads: tuple[Dense | Normalize, ...], dim: int) -> nn.Sequential:
    """The heads of a folder as modules, float32, for pooled vectors of `dim`.

    Raises:
        ModelError: a dense layer does not fit what comes before it, or its weights are damaged.
    """
    modules: list[nn.Module] = []
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
    return nn.Sequential(*modules)


def _load_dense(head: Dense) -> nn.Sequential:
    linear = nn.Linear(head.in_features, head.out_features, bias=head.bias, device="meta")
    tensors = read_tensors(head.folder)
    state = {}
    for name, parameter in linear.named_parameters():
        source = f"linear.{name}"
        if source not in tensors:
            raise ModelError(f"{head.folder}: the weights lack {source}. Fetch them again.")
        check_tensor(source, tensors[source], tuple(parameter.shape), head.folder)
        state[name] = tensors[source].float()
    linear.load_state_dict(state, assign=True)
    return nn.Sequential(linear, _ACTIVATIONS[head.activation]())
