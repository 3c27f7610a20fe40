"""A graph in half precision, with float32 where sums are long or ranges wide.

Half precision counts to 2,048 without gaps and ends at 65,504: too little for the places of long texts, for
sums over all tokens, and for what normalising adds under its root. Some models have values of their own that
go beyond; where these are is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from yuyi.export.quantizing.rebuilt import rebuilt
from yuyi.export.quantizing.running import largest_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from yuyi.export.quantizing.running import Ids

_FLOAT, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16
_KEPT_KINDS = ("LayerNormalization", "Softmax")
# Places and angles, masks, and all that follows the layers.
_KEPT_PARTS = ("rope", "mask.", "window", "pooling.", "pooled", "heads.")
_KEPT_SUMS = ".seen"
_NAMES = {_FLOAT: "float32", _HALF: "float16"}
# A quarter of the greatest value of half precision: other texts go further than those that were measured.
_LARGEST = 65_504 / 4


def half_graph(model: onnx.ModelProto, wide: Collection[str] = ()) -> onnx.ModelProto:
    """The model in float16 with float32 outputs; norms, softmax, masks, pooling and heads stay float32.

    Args:
        model: in float32; stays as it is.
        wide: names of further operations that stay float32.
    """
    halving = _Halving(model)
    for node in model.graph.node:
        halving.add(node, _FLOAT if node.name in wide or _is_kept(model, node) else _HALF)
    return rebuilt(model, halving.nodes, halving.weights.values())


def too_large(model: onnx.ModelProto, texts: Ids) -> list[str]:
    """The names of the operations that half precision is too short for, with what they take or give.

    Args:
        model: in float32; stays as it is.
        texts: ids of texts that are run through it.
    """
    nodes = [node for node in model.graph.node if not _is_kept(model, node)]
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    floats = {value.name for value in _values_of(model) if value.type.tensor_type.elem_type == _FLOAT}
    names = dict.fromkeys(name for node in nodes for name in (*node.input, *node.output))
    largest = largest_of(model, [name for name in names if name in floats and name not in weights], texts)
    for name in names:
        if name in weights and weights[name].data_type == _FLOAT:
            largest[name] = float(np.abs(numpy_helper.to_array(weights[name])).max(initial=0))
    # What is no number is not below either.
    fit = {name for name, value in largest.items() if value <= _LARGEST}
    return [node.name for node in nodes if not fit.issuperset(largest.keys() & {*node.input, *node.output})]


def _is_kept(model: onnx.ModelProto, node: onnx.NodeProto) -> bool:
    """Whether an operation stays float32 in every model."""
    return (
        node.op_type in _KEPT_KINDS
        or node.name.startswith(_KEPT_PARTS)
        or node.name.endswith(_KEPT_SUMS)
        or any(value.name in node.output for value in model.graph.output)
    )


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
