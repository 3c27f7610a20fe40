"""A graph in half precision, with float32 where sums are long or ranges wide."""

from __future__ import annotations

import onnx
from onnx import helper
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

# Their sums run over a row of states or of scores; half precision counts no further than 2,048 without gaps
# and overflows at 65,504.
_KEPT = ("LayerNormalization", "Softmax")
# Sums over all tokens of a text, and vectors of unit length.
_KEPT_PARTS = ("pooling.", "pooled", "heads.")


def half_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in float16 with float32 outputs; normalising, softmax, pooling and heads stay float32.

    Args:
        model: in float32; stays as it is.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.value_info.extend(_types(model))
    kept = [node.name for node in copy.graph.node if node.name.startswith(_KEPT_PARTS)]
    half = convert_float_to_float16(
        copy,
        keep_io_types=True,
        op_block_list=list(_KEPT),
        node_block_list=kept,
        disable_shape_infer=True,  # It cannot above 2 GB.
    )
    # Its casts lie behind all other operations, where the checker does not want them.
    sorted_ = OnnxModel(half)
    sorted_.topological_sort()
    result: onnx.ModelProto = sorted_.model
    return result


def _types(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """What is known of the values inside a graph, found without the weights themselves."""
    graph = model.graph
    weights = [helper.make_tensor_value_info(x.name, x.data_type, x.dims) for x in graph.initializer]
    shell = helper.make_graph(graph.node, graph.name, [*graph.input, *weights], graph.output)
    bare = helper.make_model(shell, opset_imports=model.opset_import, ir_version=model.ir_version)
    return list(onnx.shape_inference.infer_shapes(bare).graph.value_info)
