"""Weights in the form the kernels read: panels of output channels, 32-bit words of neighbouring inputs."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

import torch

from yuyi.model.int8 import quantize_weight
from yuyi.model.kernels.build import Linear

if TYPE_CHECKING:
    from torch import Tensor, nn


class Kind(IntEnum):
    """What a row of activations or a panel of weights holds; the value is kernels.cpp's."""

    FLOAT32 = 0
    BFLOAT16 = 1
    INT8 = 2

    @property
    def group(self) -> int:
        """How many values are in a 32-bit word."""
        return 1 << self

    @property
    def dtype(self) -> torch.dtype:
        """Torch's name for a weight of this kind."""
        return (torch.float32, torch.bfloat16, torch.int8)[self]


ACTIVATIONS = {"none": 0, "gelu": 1, "gelu_tanh": 2, "silu": 3, "relu": 4}


class PackedLinear:
    """A linear layer's weights in panels, and the structure that points at them."""

    def __init__(
        self,
        linear: nn.Linear,
        kind: Kind,
        panel: int,
        *,
        activation: str = "none",
        smooth: Tensor | None = None,
    ) -> None:
        """Pack a layer.

        Args:
            linear: the layer; its weights are copied.
            kind: the number type of the product.
            panel: output channels in a panel.
            activation: what is applied to the sums, a key of `ACTIVATIONS`.
            smooth: (inputs,) float32, for INT8: what the inputs are multiplied by before rounding.
        """
        weight = linear.weight.detach()
        outputs, inputs = weight.shape
        self.bias = None if linear.bias is None else linear.bias.detach().float().clone()
        self.smooth = smooth
        self.scales = self.sums = None
        if kind is Kind.INT8:
            if smooth is None:
                raise AssertionError("an 8-bit layer needs its smoothing factors")
            weight, self.scales = quantize_weight(weight, smooth)
            self.sums = weight.sum(dim=1, dtype=torch.float32)
        weight = weight.to(kind.dtype)
        if missing := -outputs % panel:
            weight = torch.cat([weight, weight.new_zeros(missing, inputs)])
        words = weight.view(-1, panel, inputs // kind.group, kind.group)
        self.panels = words.transpose(1, 2).contiguous()
        self._shape = (kind, inputs, outputs, ACTIVATIONS[activation])
        self.struct = self._point()

    def _point(self) -> Linear:
        tensors = (self.panels, self.bias, self.scales, self.sums, self.smooth)
        return Linear(*self._shape, *map(pointer, tensors))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "struct"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.struct = self._point()

    @property
    def kind(self) -> Kind:
        """The number type of the product."""
        return Kind(self.struct.kind)


def pointer(tensor: Tensor | None) -> int | None:
    """Where a contiguous tensor's values lie; None for None."""
    if tensor is None:
        return None
    if not tensor.is_contiguous():
        raise AssertionError("the kernels read contiguous tensors only")
    return tensor.data_ptr()
