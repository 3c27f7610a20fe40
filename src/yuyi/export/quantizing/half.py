"""A graph in half precision, with float32 where sums are long or ranges wide.

Half precision counts to 2,048 without gaps and ends at 65,504: too little for the places of long texts, for
sums over all tokens, and for what normalising adds under its root.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from yuyi.export.quantizing.rebuilt import rebuilt

_FLOAT, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16
_KEPT_KINDS = ("LayerNormalization", "Softmax")
# Places and angles, masks, and all that follows the layers.
_KEPT_PARTS = ("rope", "mask.", "window", "pooling.", "pooled", "heads.")
_KEPT_SUMS = ".seen"
_NAMES = {_FLOAT: "float32", _HALF: "float16"}


def half_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in float16 with float32 outputs; norms, softmax, masks, pooling and heads stay float32.

    Args:
        model: in float32; stays as it is.
    """
    graph = model.graph
    outputs = {value.name for value in graph.output}
    halving = _Halving(model)
    for node in graph.node:
        kept = (
            node.op_type in _KEPT_KINDS
            or node.name.startswith(_KEPT_PARTS)
            or node.name.endswith(_KEPT_SUMS)
            or not outputs.isdisjoint(node.output)
        )
        halving.add(node, _FLOAT if kept else _HALF)
    return rebuilt(model, halving.nodes, halving.weights.values())


class _Halving:
    """A graph on its way to half precision: which value is of which kind by now."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._old = {tensor.name: tensor for tensor in model.graph.initializer}
        self._kinds = {value.name: value.type.tensor_type.elem_type for value in _values_of(model)}
        self._cast: set[str] = set()
        self.weights: dict[str, onnx.TensorProto] = {}
        self.nodes: list[onnx.NodeProto] = []

    def add(self, node: onnx.NodeProto, kind: int) -> None:
        """Add an operation whose floats are of a kind."""
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [self._as(name, kind) for name in node.input]
        for attribute in copy.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == _FLOAT:
                attribute.i = kind
        self.nodes.append(copy)
        for name in node.output:
            if self._kinds.get(name) == _FLOAT:
                self._kinds[name] = kind

    def _as(self, name: str, kind: int) -> str:
        """The name of a value in a kind of floats; what is no float is left alone."""
        if name in self._old:
            return self._weight(name, kind)
        if self._kinds.get(name) not in (_FLOAT, _HALF) or self._kinds[name] == kind:
            return name
        other = f"{name}.{_NAMES[kind]}"
        if other not in self._cast:
            self._cast.add(other)
            self.nodes.append(helper.make_node("Cast", [name], [other], name=other, to=kind))
        return other

    def _weight(self, name: str, kind: int) -> str:
        tensor = self._old[name]
        if tensor.data_type != _FLOAT or kind == _FLOAT:
            self.weights[name] = tensor
            return name
        other = f"{name}.{_NAMES[kind]}"
        if other not in self.weights:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            self.weights[other] = numpy_helper.from_array(values, other)
        return other


def _values_of(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The values of a graph and their types, found without the weights themselves."""
    graph = model.graph
    weights = [helper.make_tensor_value_info(x.name, x.data_type, x.dims) for x in graph.initializer]
    shell = helper.make_graph(graph.node, graph.name, [*graph.input, *weights], graph.output)
    bare = helper.make_model(shell, opset_imports=model.opset_import, ir_version=model.ir_version)
    return [*onnx.shape_inference.infer_shapes(bare).graph.value_info, *graph.output]
