"""8-bit linear layers: weights scaled by output channel, activations by token, outliers smoothed.

An activation channel that is far larger than the others would take the whole 8-bit range of its token. Each
input channel is therefore divided by a factor before rounding, and the weights that read it are multiplied
by the same factor: sqrt(largest activation / largest weight), so that both share the difficulty (SmoothQuant,
Xiao et al. 2022, arXiv 2211.10438, section 4, with the exponent 0.5). The largest activations come from a
short calibration text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from yuyi.model.encoder import TransformerEncoder

_EXPONENT = 0.5
# torch's integer product on a GPU takes at least this many rows.
_FEWEST_ROWS = 17


@torch.no_grad()
def calibrate(encoder: TransformerEncoder, ids: Tensor, offsets: Tensor) -> dict[str, Tensor]:
    """For each linear layer, by its name, (inputs,) float32: what its inputs are to be multiplied by.

    Args:
        encoder: in float32 on the CPU.
        ids: (tokens,) token ids of a calibration text.
        offsets: (rows + 1,) int64, its boundaries.
    """
    peaks: dict[str, Tensor] = {}

    def watch(name: str) -> None:
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            peaks[name] = inputs[0].abs().amax(dim=0)

        handles.append(encoder.get_submodule(name).register_forward_pre_hook(note))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    linears = {name: module for name, module in encoder.named_modules() if isinstance(module, nn.Linear)}
    for name in linears:
        watch(name)
    try:
        encoder(ids, offsets)
    finally:
        for handle in handles:
            handle.remove()
    return {name: smoothing(peaks[name], linear.weight) for name, linear in linears.items()}


def smoothing(peaks: Tensor, weight: Tensor) -> Tensor:
    """(inputs,) factors of geometric mean one, which inputs are multiplied by and weights divided by.

    Channels below the average peak are taken to reach it: they need no help, and one that was silent in the
    calibration text must not be blown up for when it speaks.

    Args:
        peaks: (inputs,) the largest magnitudes of what goes in.
        weight: (outputs, inputs).
    """
    reach = weight.abs().amax(dim=0).clamp(min=1e-5)
    peaks = peaks.clamp(min=float(peaks.mean().clamp(min=1e-5)))
    factors = peaks.pow(-_EXPONENT) * reach.pow(1 - _EXPONENT)
    return factors / factors.log().mean().exp()


def quantize_weight(weight: Tensor, smooth: Tensor) -> tuple[Tensor, Tensor]:
    """(outputs, inputs) int8 and (outputs,) float32 scales; the inputs will come multiplied by `smooth`."""
    weight = weight.detach().float() / smooth
    scales = weight.abs().amax(dim=1).clamp(min=1e-30) / 127
    return (weight / scales[:, None]).round().to(torch.int8), scales


class Int8Linear(nn.Module):
    """A linear layer in 8-bit integers, in torch alone; forward only."""

    weight: Tensor
    scales: Tensor
    smooth: Tensor

    def __init__(self, linear: nn.Linear, smooth: Tensor) -> None:
        super().__init__()
        weight, scales = quantize_weight(linear.weight, smooth)
        self.register_buffer("weight", weight.T.contiguous())
        self.register_buffer("scales", scales)
        self.register_buffer("smooth", smooth)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """(tokens, outputs) from (tokens, inputs), in the type of the input."""
        rows = len(x)
        wide = x.float() * self.smooth
        steps = wide.abs().amax(dim=1, keepdim=True).clamp(min=1e-30) / 127
        whole = (wide / steps).round()
        if x.device.type == "cpu" and not torch.cpu._is_vnni_supported():
            # Without instructions for it torch's integer product is thirty times slower than the same whole
            # numbers in float32, whose sums are exact up to 2^24 and far better than the rounding beyond.
            sums = whole @ self.weight.float()
        else:
            narrow = functional.pad(whole.to(torch.int8), (0, 0, 0, max(0, _FEWEST_ROWS - rows)))
            sums = torch._int_mm(narrow, self.weight)[:rows].float()
        out = sums * (steps * self.scales)
        return (out if self.bias is None else out + self.bias).to(x.dtype)


def quantize_encoder(encoder: TransformerEncoder, smooth: dict[str, Tensor]) -> None:
    """Put an `Int8Linear` in the place of every linear layer of an encoder's layers."""
    for name, factors in smooth.items():
        parent, _, child = name.rpartition(".")
        linear = cast("nn.Linear", encoder.get_submodule(name))
        setattr(encoder.get_submodule(parent), child, Int8Linear(linear, factors))
