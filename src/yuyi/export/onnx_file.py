"""An ONNX model on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    from pathlib import Path

# A protobuf file cannot be larger; weights of larger models lie beside it, under the name that hubs know.
LARGEST = 2_000_000_000
_DATA = "_data"
# Bytes that operations and their names take beside the weights, at most.
_REST = 10_000_000


def write_onnx(path: Path, model: onnx.ModelProto, *, largest: int = LARGEST) -> tuple[str, ...]:
    """The names of the files that were written: the model's and, above 2 GB, that of its weights.

    Args:
        path: the file, in a folder that exists.
        model: stays as it is.
        largest: bytes of a file at most, of which 10 MB are kept for what is no weight.

    Raises:
        onnx.checker.ValidationError: an exporter wrote what no ONNX model can be.
    """
    names = _write_whole(path, model) if fits(model, largest) else _write_apart(path, model)
    # What is on disk, since weights beside it need not be read and those in it are read once.
    onnx.checker.check_model(path, full_check=True)
    return names


def _write_whole(path: Path, model: onnx.ModelProto) -> tuple[str, ...]:
    path.write_bytes(model.SerializeToString())
    return (path.name,)


def _write_apart(path: Path, model: onnx.ModelProto) -> tuple[str, ...]:
    beside = path.name + _DATA
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    onnx.save_model(copy, path, save_as_external_data=True, location=beside, all_tensors_to_one_file=True)
    return path.name, beside


def fits(model: onnx.ModelProto, largest: int = LARGEST) -> bool:
    """Whether a model can be one message of so many bytes; asked itself for its size, a larger one fails."""
    return sum(len(weight.raw_data) for weight in model.graph.initializer) + _REST <= largest
