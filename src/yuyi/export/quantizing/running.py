"""Graphs run on texts while they are made."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from yuyi.export.graphs.encoder import VECTORS
from yuyi.export.onnx_file import write_onnx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ids = Sequence[NDArray[np.int64]]


def vectors_of(model: onnx.ModelProto, texts: Ids) -> Floats:
    """(texts, dim) float32, each text run alone and scaled to unit length; zeros stay zeros.

    Args:
        model: with the output `sentence_embedding`.
        texts: the ids of each text, special tokens included.
    """
    session = _open(model)
    vectors = np.stack([session.run([VECTORS], _feeds(session, ids))[0][0] for ids in texts])
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
    return unit


def peaks_of(model: onnx.ModelProto, values: Mapping[str, str], texts: Ids) -> dict[str, Floats]:
    """The largest magnitudes over all tokens, (channels,), of values of the graph.

    Args:
        model: stays as it is.
        values: names of values whose last dimension is that of channels, by what they are wanted under.
        texts: the ids of each text.
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    for name, value in values.items():
        parts = [f"{name}.watched.{step}" for step in ("magnitudes", "rows", "peaks")]
        watched.graph.node.extend([
            helper.make_node("Abs", [value], parts[:1]),
            helper.make_node("Flatten", parts[:1], parts[1:2], axis=-1),
            helper.make_node("ReduceMax", parts[1:2], parts[2:], axes=[0], keepdims=0),
        ])  # fmt: skip
        shape = [f"channels of {name}"]
        watched.graph.output.append(helper.make_tensor_value_info(parts[2], TensorProto.FLOAT, shape))
    session = _open(watched)
    outputs = [f"{name}.watched.peaks" for name in values]
    found = [session.run(outputs, _feeds(session, ids)) for ids in texts]
    return {name: np.max(peaks, axis=0) for name, peaks in zip(values, zip(*found, strict=True), strict=True)}


def _open(model: onnx.ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    # What is measured must not depend on how many cores there are.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(path, model)
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _feeds(session: Any, ids: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    row = ids[None]
    values = {
        "input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)
    }  # fmt: skip
    return {node.name: values[node.name] for node in session.get_inputs()}
