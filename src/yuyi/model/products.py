"""Linear layers whose products, in training on a CPU, go through whichever library uses all of the processor.

torch takes MKL for float32 products, which on processors with AVX-512 that are not Intel's uses half of the
vector width; oneDNN uses all of it. Elsewhere MKL is the faster one, by a tenth forwards and by a third for
the gradient of the weights. The processor alone decides, never a measurement, so that a run and its
resumption compute the same bits.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from yuyi.model import onednn

if TYPE_CHECKING:
    from torch import Tensor

_PROCESSOR = Path("/proc/cpuinfo")


class Linear(nn.Linear):
    """A linear layer; the same numbers by either library, to rounding."""

    def forward(self, x: Tensor) -> Tensor:
        """(tokens, outputs) from (tokens, inputs)."""
        if self.training and _suits_onednn(x, self.weight):
            product: Tensor = _OneDnnProduct.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return product
        return super().forward(x)


@cache
def prefers_onednn(processor: Path = _PROCESSOR) -> bool:
    """Whether float32 products are faster through oneDNN than through MKL on this processor.

    Args:
        processor: where Linux describes it; elsewhere nothing is known of it, and MKL stays.
    """
    if not onednn.available() or not processor.exists():
        return False
    fields = dict(_field(line) for line in processor.read_text().split("\n\n")[0].splitlines())
    return "avx512f" in fields.get("flags", "").split() and fields.get("vendor_id") != "GenuineIntel"


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    on_cpu = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32 and len(x) > 0
    return on_cpu and prefers_onednn() and not torch.is_autocast_enabled("cpu")


class _OneDnnProduct(torch.autograd.Function):
    """`x @ weight.T + bias` and its gradients, each product by oneDNN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        to_x, to_weight, to_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight.T.contiguous()) if to_x else None,
            _product(gradient.T, x.T.contiguous()) if to_weight else None,
            gradient.sum(dim=0) if to_bias and ctx.has_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias`."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out
