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
    # Asked for its size as a whole, a message of more than 2 GB fails.
    if sum(len(weight.raw_data) for weight in model.graph.initializer) + _REST <= largest:
        onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString())
        return (path.name,)
    data = path.name + _DATA
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    onnx.save_model(copy, path, save_as_external_data=True, location=data, all_tensors_to_one_file=True)
    onnx.checker.check_model(path)
    return path.name, data
