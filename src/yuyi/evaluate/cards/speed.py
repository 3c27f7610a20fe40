"""How fast a model is on the machine at hand, for its card."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.encode.sample import SAMPLE
from yuyi.machine import available_cores, processor_name

if TYPE_CHECKING:
    from yuyi.encode import Encoder

_SECONDS = 2.0
_REPEATS = 64


@dataclass(frozen=True, slots=True)
class Speed:
    """A measurement.

    Attributes:
        texts: encoded in a second, in the best round.
        rounds: that were measured.
        tokens: of a text on average, special ones included.
        dtype: what was computed in.
        backend: the engine.
        machine: name of the processor, or of the accelerator that computes.
        cores: of the processor that this process may use; None for an accelerator.
    """

    texts: float
    rounds: int
    tokens: float
    dtype: str
    backend: str
    machine: str
    cores: int | None


def measure_speed(encoder: Encoder, seconds: float = _SECONDS) -> Speed:
    """The best of several rounds over ten short texts, repeated, in about so many seconds."""
    texts = list(SAMPLE) * _REPEATS
    _, info = encoder.encode(texts, return_info=True)
    rounds: list[float] = []
    while not rounds or sum(rounds) < seconds:
        begin = time.perf_counter()
        encoder.encode(texts, return_info=True)
        rounds.append(time.perf_counter() - begin)
    return Speed(
        texts=len(texts) / min(rounds),
        rounds=len(rounds),
        tokens=float(info.used.mean()),
        dtype=encoder.dtype,
        backend=encoder.backend_name,
        machine=_machine(encoder.device),
        cores=available_cores() if encoder.device == "cpu" else None,
    )


def _machine(device: str) -> str:
    """The name of the accelerator that computes, or else of the processor."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return processor_name() if device == "cpu" else device
