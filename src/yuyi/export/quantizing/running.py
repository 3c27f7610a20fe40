"""Graphs run on texts while they are made."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from yuyi.export.graphs.encoder import VECTORS
from yuyi.export.onnx_file import fits, write_onnx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ids = Sequence[NDArray[np.int64]]

# Larger models are opened from a file, so that their bytes are not in memory meanwhile.
_SMALL = 200_000_000


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
        model: has further outputs meanwhile.
        values: names of values whose last dimension is that of channels, by what they are wanted under.
        texts: the ids of each text.
    """
    found = _watched(model, values, texts, axes=[0])
    return {name: np.max(peaks, axis=0) for name, peaks in found.items()}


def largest_of(model: onnx.ModelProto, values: Sequence[str], texts: Ids) -> dict[str, float]:
    """The largest magnitude in any text of each of these values of the graph, whatever their shapes.

    Args:
        model: has further outputs meanwhile.
        values: their names.
        texts: the ids of each text.
    """
    found = _watched(model, {value: value for value in values}, texts, axes=[0, 1])
    return {name: float(np.max(peaks)) for name, peaks in found.items()}


def _watched(
    model: onnx.ModelProto, values: Mapping[str, str], texts: Ids, axes: list[int]
) -> dict[str, tuple[Floats, ...]]:
    """For each text the largest magnitudes of values, of which the last dimension alone is kept apart."""
    graph = model.graph
    before = len(graph.node), len(graph.output)
    outputs = [f"{name}.watched.peaks" for name in values]
    try:
        # Not in a copy, which would have all weights.
        for (name, value), output in zip(values.items(), outputs, strict=True):
            parts = [f"{name}.watched.{step}" for step in ("magnitudes", "rows")]
            graph.node.append(helper.make_node("Abs", [value], parts[:1]))
            graph.node.append(helper.make_node("Flatten", parts[:1], parts[1:], axis=-1))
            graph.node.append(helper.make_node("ReduceMax", parts[1:], [output], axes=axes, keepdims=0))
            shape = [f"channels of {name}"][: 2 - len(axes)]
            graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, shape))
        session = _open(model)
    finally:
        del graph.node[before[0] :], graph.output[before[1] :]
    found = [session.run(outputs, _feeds(session, ids)) for ids in texts]
    return dict(zip(values, zip(*found, strict=True), strict=True))


def _open(model: onnx.ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    # What is measured must not depend on how many cores there are.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    if fits(model, _SMALL):
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(path, model)
        return onnxruntime.InferenceSession(path, options, providers=providers)


def _feeds(session: Any, ids: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    row = ids[None]
    values = {
        "input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)
    }  # fmt: skip
    return {node.name: values[node.name] for node in session.get_inputs()}
