"""A model around other operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import helper

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import onnx


def rebuilt(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], weights: Iterable[onnx.TensorProto]
) -> onnx.ModelProto:
    """A model with the inputs, outputs and descriptions of another one, which stays as it is.

    Args:
        model: the other.
        nodes: operations, in order.
        weights: those that they take.
    """
    old = model.graph
    graph = helper.make_graph(nodes, old.name, list(old.input), list(old.output), list(weights))
    made = helper.make_model(
        graph,
        opset_imports=list(model.opset_import),
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
    )
    made.metadata_props.extend(model.metadata_props)
    return made
