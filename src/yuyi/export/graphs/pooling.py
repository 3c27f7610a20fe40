"""Token states to one vector a text, and the folder's heads, in the operations of ONNX.

As `yuyi.model.pooling` and `yuyi.model.heads` say it of texts laid end to end. Shapes: B rows, S columns, H
hidden.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from yuyi.export.graphs.layer import add_activation, add_linear
from yuyi.model.heads import DenseHead

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import nn

    from yuyi.export.graphs.graph import Graph
    from yuyi.pipeline import Pooling

# Where a vector has no length to divide by; as torch's `normalize` has it.
_TINY = 1e-12
# Below every state that half precision holds.
_LEAST = -65504.0
# Behind the last column, however many there are.
_END = 1 << 62


def add_pooling(graph: Graph, states: str, mask: str, modes: Sequence[Pooling]) -> str:
    """(B, H * modes), zeros for a row without tokens, from states (B, S, H) and the mask (B, S)."""
    kept = graph.add("Cast", "pooling.kept", mask, to=TensorProto.FLOAT)
    kept = graph.add("Unsqueeze", "pooling.mask", kept, graph.integers(2))
    poolers = {"cls": _add_first, "last": _add_last, "max": _add_greatest}
    pooled = [poolers.get(mode, _add_mean)(graph, f"pooling.{mode}", states, kept) for mode in modes]
    return pooled[0] if len(pooled) == 1 else graph.add("Concat", "pooled", *pooled, axis=-1)


def _add_first(graph: Graph, name: str, states: str, kept: str) -> str:
    """The state of the first token: the only one that padding, or nothing, stands before."""
    return _add_edge(graph, name, states, kept, (0, -1), (0, 1, 0, 0, 0, 0))


def _add_last(graph: Graph, name: str, states: str, kept: str) -> str:
    """The state of the last token: the only one that padding, or nothing, stands behind."""
    return _add_edge(graph, name, states, kept, (1, _END), (0, 0, 0, 0, 1, 0))


def _add_edge(
    graph: Graph, name: str, states: str, kept: str, neighbours: tuple[int, int], pads: tuple[int, ...]
) -> str:
    """The state of the token whose neighbour is no token, on whichever side of the texts the padding is."""
    beside = graph.add(
        "Slice", f"{name}.beside", kept, *(graph.integers(value) for value in (*neighbours, 1))
    )
    beside = graph.add("Pad", f"{name}.padded", beside, graph.integers(*pads))
    # Padding next to a token is less than nothing, and not to be counted.
    is_edge = graph.add("Relu", f"{name}.is_edge", graph.add("Sub", f"{name}.steps", kept, beside))
    chosen = graph.add("Mul", f"{name}.chosen", states, is_edge)
    return graph.add("ReduceSum", name, chosen, graph.integers(1), keepdims=0)


def _add_greatest(graph: Graph, name: str, states: str, kept: str) -> str:
    is_kept = graph.add("Cast", f"{name}.is_kept", kept, to=TensorProto.BOOL)
    seen = graph.add("Where", f"{name}.seen", is_kept, states, graph.number(_LEAST))
    greatest = graph.add("ReduceMax", f"{name}.greatest", seen, axes=[1], keepdims=0)
    any_kept = graph.add("ReduceMax", f"{name}.any", kept, axes=[1], keepdims=0)
    return graph.add("Mul", name, greatest, any_kept)


def _add_mean(graph: Graph, name: str, states: str, kept: str) -> str:
    """`mean`, or `mean_sqrt_len`, whose divisor is the root of the number of tokens."""
    seen = graph.add("Mul", f"{name}.seen", states, kept)
    total = graph.add("ReduceSum", f"{name}.total", seen, graph.integers(1), keepdims=0)
    count = graph.add("ReduceSum", f"{name}.tokens", kept, graph.integers(1), keepdims=0)
    count = graph.add("Max", f"{name}.divisor", count, graph.number(1.0))
    if name.endswith("sqrt_len"):
        count = graph.add("Sqrt", f"{name}.root", count)
    return graph.add("Div", name, total, count)


def add_heads(graph: Graph, vectors: str, heads: Iterable[nn.Module]) -> str:
    """(B, dim): what dense layers and normalising make of pooled vectors."""
    for number, head in enumerate(heads):
        name = f"heads.{number}"
        if isinstance(head, DenseHead):
            vectors = add_linear(graph, f"{name}.linear", head.linear, vectors)
            vectors = add_activation(graph, f"{name}.activation", head.activation, vectors)
        else:
            vectors = _add_unit_length(graph, name, vectors)
    return vectors


def _add_unit_length(graph: Graph, name: str, vectors: str) -> str:
    norm = graph.add("ReduceL2", f"{name}.norm", vectors, axes=[-1], keepdims=1)
    divisor = graph.add("Max", f"{name}.divisor", norm, graph.number(_TINY))
    return graph.add("Div", name, vectors, divisor)
