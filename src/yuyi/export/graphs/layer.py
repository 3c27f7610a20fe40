"""A layer of the encoder, `yuyi.model.encoder.EncoderLayer`, in the operations of ONNX.

Shapes: B rows, S columns, H hidden, N heads, D dimensions of a head.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np
from torch import nn

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.export.graphs.graph import Graph
    from yuyi.model.config import EncoderConfig
    from yuyi.model.encoder import EncoderLayer

    # Names of the cosines and sines that turn queries and keys.
    Rotation = tuple[str, str]


def add_layer(
    graph: Graph,
    name: str,
    layer: EncoderLayer,
    config: EncoderConfig,
    states: str,
    unseen: str,
    turn: Rotation | None,
) -> str:
    """States (B, S, H) behind a layer.

    Args:
        graph: where it is written.
        name: what the layer is called there.
        layer: its weights.
        config: the encoder's shape.
        states: (B, S, H), those before it.
        unseen: (B, 1, 1 or S, S), what is added to the scores.
        turn: cosines and sines (S, 1, D / 2) of rotary positions.
    """
    if config.pre_norm:
        normed = add_norm(graph, f"{name}.attention_norm", layer.attention_norm, states)
        mixed = _add_attention(graph, name, layer, config, normed, unseen, turn)
        states = graph.add("Add", f"{name}.attended", states, mixed)
        normed = add_norm(graph, f"{name}.feed_forward_norm", layer.feed_forward_norm, states)
        return graph.add("Add", f"{name}.fed", states, _add_feed_forward(graph, name, layer, config, normed))
    mixed = _add_attention(graph, name, layer, config, states, unseen, turn)
    states = graph.add("Add", f"{name}.attended", states, mixed)
    states = add_norm(graph, f"{name}.attention_norm", layer.attention_norm, states)
    states = graph.add("Add", f"{name}.fed", states, _add_feed_forward(graph, name, layer, config, states))
    return add_norm(graph, f"{name}.feed_forward_norm", layer.feed_forward_norm, states)


def _add_attention(
    graph: Graph,
    name: str,
    layer: EncoderLayer,
    config: EncoderConfig,
    states: str,
    unseen: str,
    turn: Rotation | None,
) -> str:
    weight, bias = values_of(layer.qkv.weight), _bias(layer.qkv)
    # Scores are divided by the root of D; the queries' weights are instead, once and for all.
    scale = np.repeat(np.array([1 / math.sqrt(config.head_dim), 1, 1], np.float32), config.hidden)
    all_three = add_product(
        graph, f"{name}.qkv", weight * scale[:, None], None if bias is None else bias * scale, states
    )
    parts = graph.split(f"{name}.parts", all_three, 3)
    shape = graph.integers(0, 0, config.heads, config.head_dim)
    q, k, v = (
        graph.add("Reshape", f"{name}.{of}.heads", part, shape) for of, part in zip("qkv", parts, strict=True)
    )
    if turn is not None:
        q, k = (_add_turned(graph, f"{name}.{of}.turned", x, turn) for of, x in (("q", q), ("k", k)))
    q, v = (
        graph.add("Transpose", f"{name}.{of}.rows", x, perm=[0, 2, 1, 3]) for of, x in (("q", q), ("v", v))
    )
    k = graph.add("Transpose", f"{name}.k.columns", k, perm=[0, 2, 3, 1])
    scores = graph.add("Add", f"{name}.seen", graph.add("MatMul", f"{name}.scores", q, k), unseen)
    weights = graph.add("Softmax", f"{name}.weights", scores, axis=-1)
    mixed = graph.add("MatMul", f"{name}.mixed", weights, v)
    mixed = graph.add("Transpose", f"{name}.mixed.rows", mixed, perm=[0, 2, 1, 3])
    mixed = graph.add("Reshape", f"{name}.mixed.heads", mixed, graph.integers(0, 0, config.hidden))
    return add_linear(graph, f"{name}.attention_out", layer.attention_out, mixed)


def _add_turned(graph: Graph, name: str, x: str, turn: Rotation) -> str:
    """(B, S, N, D) with dimension `i` and `i + D / 2` of each head turned as a pair."""
    cosines, sines = turn
    first, second = graph.split(f"{name}.halves", x, 2)
    products = {
        (half, of): graph.add("Mul", f"{name}.{half}.{of}", part, by)
        for half, part in (("first", first), ("second", second))
        for of, by in (("cosines", cosines), ("sines", sines))
    }
    left = graph.add("Sub", f"{name}.left", products["first", "cosines"], products["second", "sines"])
    right = graph.add("Add", f"{name}.right", products["second", "cosines"], products["first", "sines"])
    return graph.add("Concat", name, left, right, axis=-1)


def _add_feed_forward(
    graph: Graph, name: str, layer: EncoderLayer, config: EncoderConfig, states: str
) -> str:
    inner = add_linear(graph, f"{name}.up", layer.up, states)
    if config.glu:
        gate, inner = graph.split(f"{name}.gate", inner, 2)
        opened = add_activation(graph, f"{name}.activation", config.activation, gate)
        inner = graph.add("Mul", f"{name}.gated", opened, inner)
    else:
        inner = add_activation(graph, f"{name}.activation", config.activation, inner)
    return add_linear(graph, f"{name}.down", layer.down, inner)


def add_linear(graph: Graph, name: str, linear: nn.Linear, x: str) -> str:
    """What a linear layer gives, by the operation `{name}.product` and the weights `{name}.weight`."""
    return add_product(graph, name, values_of(linear.weight), _bias(linear), x)


def add_product(
    graph: Graph, name: str, weight: NDArray[np.float32], bias: NDArray[np.float32] | None, x: str
) -> str:
    """(..., out) from (..., in) by a weight (out, in) and a bias (out,)."""
    product = graph.add("MatMul", f"{name}.product", x, graph.weight(f"{name}.weight", weight.T))
    if bias is None:
        return product
    return graph.add("Add", name, product, graph.weight(f"{name}.bias", bias))


def add_norm(graph: Graph, name: str, norm: nn.Module, x: str) -> str:
    """Normalised over the last dimension; `x` itself where the model has an identity in this place."""
    if not isinstance(norm, nn.LayerNorm):
        return x
    parts = [graph.weight(f"{name}.weight", values_of(norm.weight))]
    if norm.bias is not None:
        parts.append(graph.weight(f"{name}.bias", values_of(norm.bias)))
    return graph.add("LayerNormalization", name, x, *parts, axis=-1, epsilon=norm.eps)


def add_activation(graph: Graph, name: str, kind: str, x: str) -> str:
    """A function of each value, by the names that encoders and dense heads give it.

    The two kinds of GELU are written as runtimes know them and put into one operation of their own.
    """
    if kind == "identity":
        return x
    if kind in ("relu", "tanh", "sigmoid"):
        return graph.add(kind.capitalize(), name, x)
    if kind == "silu":
        return graph.add("Mul", name, x, graph.add("Sigmoid", f"{name}.sigmoid", x))
    if kind == "gelu":
        scaled = graph.add("Div", f"{name}.scaled", x, graph.number(math.sqrt(2)))
        erf = graph.add("Erf", f"{name}.erf", scaled)
        whole = graph.add(
            "Mul", f"{name}.whole", x, graph.add("Add", f"{name}.raised", erf, graph.number(1.0))
        )
        return graph.add("Mul", name, whole, graph.number(0.5))
    if kind == "gelu_tanh":
        cube = graph.add("Pow", f"{name}.cube", x, graph.number(3.0))
        part = graph.add("Mul", f"{name}.part", cube, graph.number(0.044715))
        bent = graph.add("Add", f"{name}.bent", x, part)
        inside = graph.add("Mul", f"{name}.inside", bent, graph.number(math.sqrt(2 / math.pi)))
        tanh = graph.add("Tanh", f"{name}.tanh", inside)
        raised = graph.add("Add", f"{name}.raised", graph.number(1.0), tanh)
        return graph.add("Mul", name, graph.add("Mul", f"{name}.half", x, graph.number(0.5)), raised)
    raise AssertionError(f"{kind}: an activation without its ONNX form")


def values_of(tensor: Tensor) -> NDArray[np.float32]:
    """The values of a weight."""
    return cast("NDArray[np.float32]", tensor.detach().cpu().float().numpy())


def _bias(linear: nn.Linear) -> NDArray[np.float32] | None:
    return None if linear.bias is None else values_of(linear.bias)
