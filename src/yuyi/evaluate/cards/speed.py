"""How fast a model is on the machine at hand, for its card."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.encode.sample import SAMPLE
from yuyi.machine import available_cores

if TYPE_CHECKING:
    from yuyi.encode import Encoder

_PROCESSOR = Path("/proc/cpuinfo")
_SECONDS = 2.0
_REPEATS = 64


@dataclass(frozen=True, slots=True)
class Speed:
    """A measurement.

    Attributes:
        texts: encoded in a second.
        tokens: of a text on average, special ones included.
        dtype: what was computed in.
        backend: the engine.
        processor: what the machine calls it.
        cores: that this process may use.
    """

    texts: float
    tokens: float
    dtype: str
    backend: str
    processor: str
    cores: int


def measure_speed(encoder: Encoder, seconds: float = _SECONDS) -> Speed:
    """The best of several rounds over a few Chinese and English texts, in about so many seconds."""
    texts = list(SAMPLE) * _REPEATS
    _, info = encoder.encode(texts, return_info=True)
    rounds: list[float] = []
    while not rounds or sum(rounds) < seconds:
        begin = time.perf_counter()
        encoder.encode(texts, return_info=True)
        rounds.append(time.perf_counter() - begin)
    return Speed(
        texts=len(texts) / min(rounds),
        tokens=float(info.used.mean()),
        dtype=encoder.dtype,
        backend=encoder.backend_name,
        processor=_device(encoder.device),
        cores=available_cores(),
    )


def _device(name: str) -> str:
    """The name of the accelerator that computes, or else of the processor."""
    if name.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(name)
    lines = _PROCESSOR.read_text().splitlines() if _PROCESSOR.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
