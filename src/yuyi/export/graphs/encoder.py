"""An embedder as an ONNX graph: token ids to token states and to one vector a text.

One graph for every architecture, written from the encoder's own description rather than traced: its
operations have the names of the parameters, and the number of rows and of tokens is free.

Shapes: B rows, S columns (the tokens of the longest text), H hidden, N heads, D dimensions of a head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from onnx import TensorProto

from yuyi.export.graphs.graph import Graph
from yuyi.export.graphs.layer import add_layer, add_norm, values_of
from yuyi.export.graphs.pooling import add_heads, add_pooling

if TYPE_CHECKING:
    import onnx

    from yuyi.export.graphs.layer import Rotation
    from yuyi.model.config import EncoderConfig, Rope
    from yuyi.model.embedder import Embedder
    from yuyi.model.encoder import EncoderLayer, TransformerEncoder

STATES, VECTORS = "last_hidden_state", "sentence_embedding"
# Added to the score of a token that is not to be seen: the least that half precision holds, and enough for
# its weight to be exactly nothing.
_UNSEEN = -65504.0


def encoder_graph(embedder: Embedder, name: str) -> onnx.ModelProto:
    """The model in float32, with outputs `last_hidden_state` (B, S, H) and `sentence_embedding` (B, dim).

    Inputs, all int64 (B, S): `input_ids`, `attention_mask` and, where the model tells types of tokens apart,
    `token_type_ids`. Texts are padded behind their end, or in front unless
    columns are rows of a position table, as BERT's are. A prompt takes part in pooling.

    Args:
        embedder: the model, float32.
        name: what the graph is called.
    """
    config, graph = embedder.encoder.config, Graph()
    shape = ("batch_size", "sequence_length")
    ids, mask = graph.input("input_ids", shape), graph.input("attention_mask", shape)
    types = graph.input("token_type_ids", shape) if config.token_types > 1 else None
    states = _add_embeddings(graph, embedder.encoder, ids, types)
    states = _add_layers(graph, embedder.encoder, states, ids, mask)
    graph.output(states, STATES, (*shape, config.hidden))
    vectors = add_pooling(graph, states, mask, embedder.pooler.pooling)
    vectors = add_heads(graph, vectors, embedder.pooler.heads)
    graph.output(vectors, VECTORS, (shape[0], embedder.dim))
    return graph.model(name, {"pooling": "+".join(embedder.pooler.pooling)})


def _add_embeddings(graph: Graph, encoder: TransformerEncoder, ids: str, types: str | None) -> str:
    """States (B, S, H) before the first layer."""
    config, parts = encoder.config, encoder.embeddings
    tokens, row = parts.tokens.weight, None
    if types is None and parts.types is not None:
        row = parts.types.weight[0]  # The same for each token, so it goes into another table.
        tokens = tokens if parts.positions is not None else tokens + row
    states = graph.add("Gather", "embeddings.tokens", graph.weight("tokens", values_of(tokens)), ids)
    if types is not None and parts.types is not None:
        table = graph.weight("types", values_of(parts.types.weight))
        of_types = graph.add("Gather", "embeddings.types", table, types)
        states = graph.add("Add", "embeddings.typed", states, of_types)
    if parts.positions is not None:
        weight = parts.positions.weight
        table = graph.weight("positions", values_of(weight if row is None else weight + row))
        at = graph.add("Gather", "embeddings.positions", table, _add_positions(graph, config, ids))
        states = graph.add("Add", "embeddings.placed", states, at)
    return add_norm(graph, "embeddings.norm", parts.norm, states)


def _add_positions(graph: Graph, config: EncoderConfig, ids: str) -> str:
    """Rows of the position table: (S,), or (B, S) where padding tokens have a row of their own.

    As `yuyi.model.positions` says it of texts laid end to end.
    """
    if not config.position_offset:
        return _add_places(graph, ids)
    is_text = graph.add("Not", "is_text", graph.add("Equal", "is_pad", ids, graph.number(config.pad_id)))
    ones = graph.add("Cast", "ones", is_text, to=TensorProto.INT64)
    counted = graph.add("CumSum", "counted", ones, graph.number(1))
    places = graph.add("Mul", "counted.texts", counted, ones)
    # The first is 1 and owns the row `position_offset`; that of padding tokens lies before it.
    return graph.add("Add", "position_rows", places, graph.number(config.position_offset - 1))


def _add_places(graph: Graph, ids: str) -> str:
    """(S,) int64 from 0 on."""
    length = graph.add("Squeeze", "length", graph.add("Shape", "lengths", ids, start=1, end=2))
    return graph.add("Range", "places", graph.number(0), length, graph.number(1))


def _add_layers(graph: Graph, encoder: TransformerEncoder, states: str, ids: str, mask: str) -> str:
    """States (B, S, H) after the last layer."""
    config = encoder.config
    places = "places" if graph.has("places") else _add_places(graph, ids)
    turns = {
        rope: _add_rotation(graph, rope, config.head_dim, places, f"rope{number}")
        for number, rope in enumerate(dict.fromkeys(config.ropes))
    }
    unseen = {
        window: _add_unseen(graph, mask, places, window) for window in dict.fromkeys((None, *config.windows))
    }
    for index, layer in enumerate(cast("list[EncoderLayer]", list(encoder.layers))):
        turn = turns[config.ropes[index]] if turns else None
        states = add_layer(
            graph, f"layers.{index}", layer, config, states, unseen[config.windows[index]], turn
        )
    return add_norm(graph, "final_norm", encoder.final_norm, states)


def _add_rotation(graph: Graph, rope: Rope, head_dim: int, places: str, name: str) -> Rotation:
    """Cosines and sines (S, 1, D / 2); see `yuyi.model.encoder.rotation`."""
    pairs = np.arange(0, head_dim, 2, dtype=np.float32)
    frequencies = (1.0 / (np.float32(rope.theta) ** (pairs / head_dim) * rope.divisor)).astype(np.float32)
    columns = graph.add(
        "Unsqueeze", f"{name}.columns", graph.add("Cast", f"{name}.places", places, to=TensorProto.FLOAT),
        graph.integers(1, 2),
    )  # fmt: skip
    angles = graph.add("Mul", f"{name}.angles", columns, graph.weight(f"{name}.frequencies", frequencies))
    return graph.add("Cos", f"{name}.cosines", angles), graph.add("Sin", f"{name}.sines", angles)


def _add_unseen(graph: Graph, mask: str, places: str, window: int | None) -> str:
    """What is added to scores (B, N, S, S): (B, 1, 1, S) for padding, and (B, 1, S, S) with a window."""
    if window is None:
        kept = graph.add("Cast", "mask.kept", mask, to=TensorProto.FLOAT)
        hidden = graph.add("Sub", "mask.hidden", graph.number(1.0), kept)
        bias = graph.add("Mul", "mask.bias", hidden, graph.number(_UNSEEN))
        return graph.add("Unsqueeze", "mask.scores", bias, graph.integers(1, 2))
    name = f"window{window}"
    rows = graph.add("Unsqueeze", f"{name}.rows", places, graph.integers(1))
    distance = graph.add("Abs", f"{name}.distance", graph.add("Sub", f"{name}.steps", rows, places))
    far = graph.add("Greater", f"{name}.far", distance, graph.number(window))
    bias = graph.add("Where", f"{name}.bias", far, graph.number(_UNSEEN), graph.number(0.0))
    # Not their sum, which half precision could not hold.
    return graph.add("Min", f"{name}.scores", bias, "mask.scores")
