"""The state of a run on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch

from yuyi.artifacts import publish_file
from yuyi.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


def write_checkpoint(path: Path, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Write tensors and JSON values to one file, which appears only when it is whole.

    Raises:
        InputError: the place cannot be written, or the disk is full.
    """
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with publish_file(path) as temporary:
        safetensors.torch.save_file(whole, temporary, {"values": json.dumps(values)})


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and values of a checkpoint.

    Raises:
        InputError: the file is damaged.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dictionary)
            return tensors, json.loads(file.metadata()["values"])
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: damaged checkpoint ({error}). Delete it to start again.") from error
