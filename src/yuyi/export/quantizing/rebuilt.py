"""A model around other operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    from collections.abc import Iterable


def rebuilt(
    model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto], weights: Iterable[onnx.TensorProto]
) -> onnx.ModelProto:
    """A model with the inputs, outputs and descriptions of another one, which stays as it is.

    Args:
        model: the other.
        nodes: operations, in order.
        weights: those that they take.
    """
    # The helpers of onnx would copy all weights twice.
    made = onnx.ModelProto(
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        opset_import=model.opset_import,
        metadata_props=model.metadata_props,
    )
    made.graph.name = model.graph.name
    made.graph.input.extend(model.graph.input)
    made.graph.output.extend(model.graph.output)
    made.graph.node.extend(nodes)
    for weight in weights:
        made.graph.initializer.append(weight)
    return made
