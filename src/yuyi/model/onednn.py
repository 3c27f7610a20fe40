"""Linear layers through oneDNN, for inference on a CPU without the compiled kernels.

torch takes MKL for float32 products, which uses half of an AMD processor's vector width; oneDNN uses all of
it, and applies the activation to the sums while they are at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from yuyi.model.config import Activation
    from yuyi.model.encoder import EncoderLayer, TransformerEncoder

# oneDNN's name of an activation, and of its algorithm.
_ACTIVATIONS: dict[Activation | None, tuple[str, str]] = {
    None: ("none", "none"),
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
    "relu": ("relu", "none"),
    "silu": ("swish", "none"),
}


class OneDnnLinear(nn.Module):
    """A linear layer and the activation behind it in one operator; forward only."""

    def __init__(self, linear: nn.Linear, activation: Activation | None = None) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(tokens, outputs) from (tokens, inputs)."""
        name, algorithm = _ACTIVATIONS[self.activation]
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, name, [], algorithm)
        return out


def available() -> bool:
    """Whether this build of torch has oneDNN."""
    return torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 itself."""
    return available() and bool(torch.cpu._is_avx512_bf16_supported())


def use_onednn(encoder: TransformerEncoder) -> None:
    """Put a `OneDnnLinear` in the place of every linear layer of an encoder's layers."""
    for layer in cast("list[EncoderLayer]", list(encoder.layers)):
        for name in ("qkv", "attention_out", "up", "down"):
            setattr(layer, name, OneDnnLinear(cast("nn.Linear", layer.get_submodule(name))))
        if not layer.glu:
            cast("OneDnnLinear", layer.up).activation = encoder.config.activation
            layer.activation = nn.Identity()
