"""The tensors of a folder's weight files, mapped from disk where possible; pickled code is never run."""

from __future__ import annotations

import pickle
import re
import zipfile
from typing import TYPE_CHECKING

import safetensors
import torch

from yuyi.errors import ModelError
from yuyi.pipeline import read_json

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

# As transformers: safetensors goes before a pickle.
_WHOLE = ("model.safetensors", "pytorch_model.bin")
_MEND = "Fetch the file again."


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files of `folder` that hold its weights; an index comes before the shards that it names.

    Taken, in this order: `model.safetensors` or its shards by `model.safetensors.index.json`, then
    `pytorch_model.bin` or its shards likewise.

    Raises:
        ModelError: there are no such files, or both a whole file and shards.
    """
    for name in _WHOLE:
        whole, index = folder / name, folder / f"{name}.index.json"
        if whole.is_file() and index.is_file():
            raise ModelError(
                f"{folder}: two candidate models, {name} and the shards of {index.name}. "
                "Keep the one that is meant."
            )
        if whole.is_file():
            return (whole,)
        if index.is_file():
            return (index, *(index.parent / shard for shard in sorted(set(_placed(index).values()))))
    others = sorted(path.name for pattern in ("*.safetensors", "*.bin") for path in folder.glob(pattern))
    hint = f" It holds {', '.join(others)}: rename the one that is meant." if others else " Fetch it again."
    raise ModelError(f"{folder}: no weights; looked for {', '.join(_WHOLE)} and their shards.{hint}")


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor in the weight files of `folder`, by its name there, on the CPU.

    Raises:
        ModelError: as `weight_files`; or a file is damaged, missing from the index or wants to run code.
    """
    first, *shards = weight_files(folder)
    return _read_shards(first, shards) if shards else _read_file(first)


def check_tensor(name: str, tensor: Tensor, shape: tuple[int, ...], path: Path) -> None:
    """Raise unless a tensor has the shape that a config asks for and holds numbers only.

    Raises:
        ModelError: it does not; the message names the tensor and both shapes.
    """
    if tuple(tensor.shape) != shape:
        raise ModelError(
            f"{path}: tensor {name} has shape {tuple(tensor.shape)}, and the config asks for {shape}. "
            "The config and the weights belong to different models; fetch both again."
        )
    if not tensor.is_floating_point():
        raise ModelError(f"{path}: tensor {name} holds {tensor.dtype} instead of real numbers. {_MEND}")
    # A sum is a single pass and keeps whatever is no number.
    if not bool(torch.isfinite(tensor.sum(dtype=torch.float32))):
        raise ModelError(f"{path}: tensor {name} holds values that are no numbers (NaN or infinite). {_MEND}")


def _placed(index: Path) -> dict[str, str]:
    """Which file holds which tensor."""
    placed = read_json(index).get("weight_map")
    if (
        not isinstance(placed, dict)
        or not all(isinstance(name, str) for name in placed.values())
        or not placed
    ):
        raise ModelError(f"{index}: no weight_map that says which file holds which tensor. {_MEND}")
    return placed


def _read_shards(index: Path, shards: list[Path]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for shard in shards:
        if shard.parent != index.parent or not shard.is_file():
            raise ModelError(
                f"{index}: names the file {shard.name}, which is not beside it. Fetch that file."
            )
        tensors |= _read_file(shard)
    missing = sorted(set(_placed(index)) - set(tensors))
    if missing:
        raise ModelError(f"{index}: no file holds {some(missing)}. Fetch the files again.")
    return tensors


def _read_file(path: Path) -> dict[str, Tensor]:
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelError(f"{path}: damaged or cut short ({error}). {_MEND}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    packed = zipfile.is_zipfile(path)
    with path.open("rb") as file:
        if file.read(2) == b"PK" and not packed:
            raise ModelError(f"{path}: cut short. {_MEND}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=packed)
    except pickle.UnpicklingError as error:
        if found := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise ModelError(
                f"{path}: wants to run {found[1]} while it is read, so it was not read. "
                "Take model.safetensors from a source you trust."
            ) from error
        raise ModelError(f"{path}: damaged, or no file of weights. {_MEND}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise ModelError(f"{path}: damaged or cut short. {_MEND}") from error
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise ModelError(f"{path}: holds no table of tensors by name. {_MEND}")
    return content


def some(names: list[str]) -> str:
    """The first few names of a list, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
