"""Graphs in onnxruntime beside the modules that they are written from, for every architecture."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.export.graphs.encoder import STATES, VECTORS, encoder_graph
from yuyi.export.graphs.graph import OPSET
from yuyi.model.config import read_config
from yuyi.model.embedder import Embedder, Pooler, load_embedder
from yuyi.model.encoder import TransformerEncoder
from yuyi.model.heads import DenseHead, UnitLength
from yuyi.pipeline import POOLINGS, read_pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Rows = Sequence[Sequence[int]]
    Floats = NDArray[np.float32]

TINY = Path(__file__).parent.parent / "tiny"
MODELS = ("bert-dense", "bert-plain", "bert-zh", "gte-new", "modernbert", "roberta", "xlm-roberta")
CLOSE = 1e-5


@cache
def embedder(name: str) -> Embedder:
    return load_embedder(read_pipeline(TINY / name, pooling="mean" if name == "bert-plain" else None))


def session_of(model: Embedder) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = encoder_graph(model, "test").SerializeToString()
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


@cache
def session(name: str) -> onnxruntime.InferenceSession:
    return session_of(embedder(name))


@cache
def every_pooling(name: str) -> Embedder:
    return Embedder(embedder(name).encoder, Pooler(POOLINGS, (), 32))


@cache
def every_pooling_session(name: str) -> onnxruntime.InferenceSession:
    return session_of(every_pooling(name))


def by_onnx(
    graph: onnxruntime.InferenceSession, rows: Rows, *, more: int = 0, pad: int = 0, in_front: bool = False
) -> tuple[list[Floats], Floats]:
    """States of each text without its padding, and vectors, from one batch with `more` columns too many."""
    columns = max(map(len, rows)) + more
    ids = np.full((len(rows), columns), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    first = [columns - len(row) if in_front else 0 for row in rows]
    for number, row in enumerate(rows):
        ids[number, first[number] : first[number] + len(row)] = row
        mask[number, first[number] : first[number] + len(row)] = 1
    values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    feeds = {node.name: values[node.name] for node in graph.get_inputs()}
    states, vectors = graph.run([STATES, VECTORS], feeds)
    parts = zip(states, first, rows, strict=True)
    return [state[start : start + len(row)] for state, start, row in parts], vectors


def by_torch(model: Embedder, rows: Rows) -> tuple[list[Floats], Floats]:
    ids = torch.tensor([token for row in rows for token in row], dtype=torch.int32)
    offsets = torch.tensor(np.cumsum([0, *map(len, rows)]))
    with torch.no_grad():
        states, vectors = model.encoder(ids, offsets), model(ids, offsets)
    return [part.numpy() for part in states.split([len(row) for row in rows])], vectors.numpy()


def drawn(name: str, *lengths: int, seed: int = 0) -> list[list[int]]:
    """Texts of these lengths, of any pieces but the padding."""
    config = embedder(name).encoder.config
    random = np.random.default_rng(seed)
    pieces = np.setdiff1d(np.arange(config.vocabulary), [config.pad_id])
    return [random.choice(pieces, length).tolist() for length in lengths]


def check(model: Embedder, graph: onnxruntime.InferenceSession, rows: Rows, **padding: int) -> None:
    states, vectors = by_onnx(graph, rows, **padding)
    wanted_states, wanted = by_torch(model, rows)
    for found, expected in zip(states, wanted_states, strict=True):
        np.testing.assert_allclose(found, expected, atol=CLOSE, rtol=CLOSE)
    np.testing.assert_allclose(vectors, wanted, atol=CLOSE, rtol=CLOSE)


@pytest.mark.parametrize("name", MODELS)
def test_states_and_vectors_are_those_of_the_encoder(name: str) -> None:
    longest = embedder(name).encoder.config.max_positions
    check(embedder(name), session(name), drawn(name, 7, 1, longest, 2, longest - 1, 30))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_one_token_and_of_the_longest_text(name: str) -> None:
    longest = embedder(name).encoder.config.max_positions
    for length in (1, 2, longest):
        check(embedder(name), session(name), drawn(name, length, seed=length))


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=25)
@given(data=st.data())
def test_alone_is_as_in_any_padded_batch(name: str, data: st.DataObject) -> None:
    config = embedder(name).encoder.config
    lengths = data.draw(st.lists(st.integers(1, config.max_positions), min_size=1, max_size=5))
    more = data.draw(st.integers(0, config.max_positions - max(lengths)))
    pad = data.draw(st.sampled_from([0, config.pad_id, config.vocabulary - 1]))
    rows = drawn(name, *lengths, seed=data.draw(st.integers(0, 99)))
    states, vectors = by_onnx(session(name), rows, more=more, pad=pad)
    for number, row in enumerate(rows):
        (alone,), vector = by_onnx(session(name), [row])
        np.testing.assert_allclose(states[number], alone, atol=CLOSE, rtol=CLOSE)
        np.testing.assert_allclose(vectors[number], vector[0], atol=CLOSE, rtol=CLOSE)


# All but those whose positions are columns.
@pytest.mark.parametrize("name", ["gte-new", "modernbert", "roberta", "xlm-roberta"])
@settings(max_examples=10)
@given(data=st.data())
def test_padding_may_stand_in_front(name: str, data: st.DataObject) -> None:
    config = embedder(name).encoder.config
    lengths = data.draw(st.lists(st.integers(1, config.max_positions), min_size=1, max_size=4))
    more = data.draw(st.integers(0, config.max_positions - max(lengths)))
    rows = drawn(name, *lengths, seed=data.draw(st.integers(0, 99)))
    wanted_states, wanted = by_torch(every_pooling(name), rows)
    states, vectors = by_onnx(every_pooling_session(name), rows, more=more, pad=config.pad_id, in_front=True)
    for found, expected in zip(states, wanted_states, strict=True):
        np.testing.assert_allclose(found, expected, atol=CLOSE, rtol=CLOSE)
    np.testing.assert_allclose(vectors, wanted, atol=CLOSE, rtol=CLOSE)


@pytest.mark.parametrize("name", MODELS)
def test_a_row_of_padding_alone_is_zeros_and_spoils_no_other(name: str) -> None:
    rows = drawn(name, 9, 3)
    states, vectors = by_onnx(every_pooling_session(name), [rows[0], [], rows[1]])
    assert not vectors[1].any()
    np.testing.assert_allclose(
        vectors[[0, 2]], by_torch(every_pooling(name), rows)[1], atol=CLOSE, rtol=CLOSE
    )
    assert all(np.isfinite(state).all() for state in states)
    # Behind the heads as well: a dense layer's bias aside, nothing is divided by nothing.
    assert np.isfinite(by_onnx(session(name), [rows[0], []])[1]).all()


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta"])
def test_a_padding_token_that_a_text_has_written_out_takes_no_position(name: str) -> None:
    pad = embedder(name).encoder.config.pad_id
    first, second = drawn(name, 8, 5)
    written = [[*first[:3], pad, pad, *first[3:]], [pad, *second], [*second, pad]]
    check(embedder(name), session(name), [*written, first], more=2, pad=pad)


def test_windows_reach_as_far_as_the_encoders() -> None:
    """A token farther than all windows together changes nothing there; one that a window reaches does."""
    whole = embedder("modernbert")
    config = replace(whole.encoder.config, windows=(8,) * whole.encoder.config.layers)
    encoder = TransformerEncoder(config)
    encoder.load_state_dict(whole.encoder.state_dict())
    model = Embedder(encoder, whole.pooler).eval()
    graph = session_of(model)
    (row,) = drawn("modernbert", 90)
    check(model, graph, [row, row[:17]])
    changed = [*row]
    changed[0] = (row[0] + 1) % config.vocabulary
    (before,), _ = by_onnx(graph, [row])
    (after,), _ = by_onnx(graph, [changed])
    reach = 8 * config.layers
    assert np.abs(after - before)[:9].max(axis=1).all()
    np.testing.assert_array_equal(after[reach + 1 :], before[reach + 1 :])


# Pooling and heads.

PAIRS = [*combinations(POOLINGS, 2), ("mean", "cls"), POOLINGS]


@pytest.mark.parametrize("pooling", [*((mode,) for mode in POOLINGS), *PAIRS], ids="+".join)
@pytest.mark.parametrize("name", ["bert-zh", "roberta"])
def test_every_pooling_and_several_side_by_side(name: str, pooling: tuple[Any, ...]) -> None:
    model = Embedder(embedder(name).encoder, Pooler(pooling, (), 32))
    check(model, session_of(model), drawn(name, 5, 1, 40), more=3)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["identity", "tanh", "relu", "gelu", "silu", "sigmoid"])
def test_dense_layers_with_every_activation(activation: Any, bias: bool) -> None:
    torch.manual_seed(1)
    heads = (DenseHead(32, 56, bias=bias, activation=activation), DenseHead(56, 20), UnitLength())
    model = Embedder(embedder("bert-zh").encoder, Pooler(("mean",), heads, 32)).eval()
    graph = session_of(model)
    check(model, graph, drawn("bert-zh", 5, 1, 40))
    found = by_onnx(graph, drawn("bert-zh", 5, 1))[1]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=CLOSE)


@pytest.mark.parametrize("glu", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "silu"])
def test_layers_with_every_activation(activation: Any, glu: bool) -> None:
    torch.manual_seed(2)
    config = replace(read_config(TINY / "bert-zh"), activation=activation, glu=glu)
    encoder = TransformerEncoder(config)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model = Embedder(encoder, Pooler(("mean",), (), 32)).eval()
    check(model, session_of(model), drawn("bert-zh", 5, 1, 40), more=1)


# What a file says of itself.


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_is_valid_and_says_what_goes_in_and_out(name: str) -> None:
    model = encoder_graph(embedder(name), "模型 🌏")
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
    assert (model.producer_name, model.graph.name) == ("yuyi", "模型 🌏")
    types = ["token_type_ids"] if embedder(name).encoder.config.token_types > 1 else []
    assert [node.name for node in model.graph.input] == ["input_ids", "attention_mask", *types]
    assert types == ["token_type_ids"] * name.startswith("bert")
    free = ["batch_size", "sequence_length"]
    shapes = {
        node.name: [size.dim_param or size.dim_value for size in node.type.tensor_type.shape.dim]
        for node in (*model.graph.input, *model.graph.output)
    }
    assert all(shapes[node.name] == free for node in model.graph.input)
    assert shapes[STATES] == [*free, 32]
    assert shapes[VECTORS] == [free[0], embedder(name).dim]
    assert {entry.key: entry.value for entry in model.metadata_props}["pooling"]


@pytest.mark.parametrize("name", MODELS)
def test_operations_bear_the_names_of_the_parameters(name: str) -> None:
    model = encoder_graph(embedder(name), name)
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    layers = embedder(name).encoder.config.layers
    wanted = {
        f"layers.{n}.{part}.product" for n in range(layers) for part in ("qkv", "attention_out", "down")
    }
    assert wanted <= set(names)
