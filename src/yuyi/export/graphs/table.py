"""A token table as an ONNX graph: token ids to their rows, and to one vector a text.

Shapes: B rows, S columns (the tokens of the longest text), V pieces, D dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from onnx import TensorProto

from yuyi.encode.static_folder import quantize
from yuyi.export.graphs.encoder import STATES, VECTORS
from yuyi.export.graphs.graph import Graph
from yuyi.export.graphs.pooling import add_heads, add_pooling
from yuyi.model.heads import UnitLength

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

RowType = Literal["float32", "float16", "int8"]


def table_graph(table: NDArray[np.float32], name: str, rows: RowType = "float32") -> onnx.ModelProto:
    """The table with the outputs `last_hidden_state` (B, S, D), its rows, and `sentence_embedding` (B, D).

    Both are float32. A vector is the mean of a text's rows at unit length; zeros for a text without tokens.
    Inputs, both int64 (B, S): `input_ids` and `attention_mask`. Sums are float32 whatever the rows are stored
    in.

    Args:
        table: (V, D).
        name: what the graph is called.
        rows: how they are stored; int8 has a float32 scale a row, as `yuyi.encode.static_folder` has them.
    """
    graph = Graph()
    shape = ("batch_size", "sequence_length")
    ids, mask = graph.input("input_ids", shape), graph.input("attention_mask", shape)
    states = _add_rows(graph, table, ids, rows)
    graph.output(states, STATES, (*shape, table.shape[1]))
    vectors = add_pooling(graph, states, mask, ("mean",))
    graph.output(add_heads(graph, vectors, [UnitLength()]), VECTORS, (shape[0], table.shape[1]))
    return graph.model(name, {"pooling": "mean"})


def _add_rows(graph: Graph, table: NDArray[np.float32], ids: str, kind: RowType) -> str:
    """(B, S, D) float32."""
    if kind == "float32":
        return graph.add("Gather", "rows", graph.weight("table", table), ids)
    stored, scales = quantize(table) if kind == "int8" else (table.astype(np.float16), None)
    rows = graph.add("Gather", "rows.stored", graph.weight("table", stored), ids)
    rows = graph.add("Cast", "rows.float32" if scales is not None else "rows", rows, to=TensorProto.FLOAT)
    if scales is None:
        return rows
    # A column, so that the scales of tokens lie beside their rows as they are.
    of_tokens = graph.add("Gather", "rows.scales", graph.weight("scales", scales[:, None]), ids)
    return graph.add("Mul", "rows", rows, of_tokens)
