"""How many worker processes there are, and which device each of them gets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from yuyi.encode.tensors import visible_gpus
from yuyi.errors import InputError
from yuyi.machine import available_cores, available_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from yuyi.encode.encoder import Encoder

    Workers = int | Literal["auto"] | Sequence[str]

# What a worker takes beside the model: Python, numpy, the tokenizer, and the texts in hand.
_WORKER_BYTES = 400 << 20


def worker_devices(
    workers: Workers, encoder: Encoder, gpus: Callable[[], int] = visible_gpus
) -> list[str | None]:
    """The device of each worker; None for the one that the model is opened on by itself.

    Args:
        workers: their number, or the device of each, or `auto`: one for each GPU where the encoder is on one,
            else as many as cores and memory allow.
        encoder: whose model they open.
        gpus: gives the number of GPUs.

    Raises:
        InputError: `workers` is neither a positive number nor a list of devices nor `auto`, or there are not
            as many GPUs.
    """
    if isinstance(workers, Sequence) and not isinstance(workers, str) and workers:
        return list(workers)
    number = isinstance(workers, int) and not isinstance(workers, bool) and workers > 0
    if not number and workers != "auto":
        raise InputError(
            f"workers={workers!r}: give a number of processes from 1 on, or the device of each, as in "
            "['cuda:0', 'cuda:1'], or 'auto'."
        )
    if encoder.device.startswith("cuda"):
        there = max(1, gpus())
        count = there if workers == "auto" else cast("int", workers)
        if count > there:
            raise InputError(
                f"workers={workers}: {there} GPUs are there, and a second copy of a model makes none faster. "
                "Give a lower number, or name the device of each worker, or load with device='cpu'."
            )
        return [None] if count == 1 else [f"cuda:{number}" for number in range(count)]
    if workers == "auto":
        return [None] * max(1, min(available_cores(), _room(encoder, available_memory())))
    return [None] * cast("int", workers)


def _room(encoder: Encoder, memory: int) -> int:
    """How many workers fit into so many bytes: a token table is mapped, torch's weights are there once."""
    own = _WORKER_BYTES
    if encoder.backend_name == "torch" and hasattr(os, "memfd_create"):
        memory -= encoder.weight_bytes
    else:
        own += encoder.weight_bytes
    return max(0, memory) // own
