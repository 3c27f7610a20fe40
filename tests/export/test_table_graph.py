"""The graph of a token table beside the table itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.encode.static_backend import StaticBackend
from yuyi.encode.static_folder import read_static
from yuyi.export.graphs.table import RowType, table_graph
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

TINY = Path(__file__).parent.parent / "tiny" / "static"
# Of a value, as far as a row may be off that was stored so.
CLOSE: dict[RowType, float] = {"float32": 1e-6, "float16": 1e-3, "int8": 1e-2}
TEXTS = ["今天天气很好", "The weather is nice", "", "混合 mixed 文本 😀", "天气 " * 50]


def run(model: Any, batch: TokenBatch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows and vectors of texts that are padded with piece 1, which has a row that is not nothing."""
    mask = np.arange(max(1, batch.lengths.max())) < batch.lengths[:, None]
    ids = np.ones(mask.shape, dtype=np.int64)
    ids[mask] = batch.ids
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"input_ids": ids, "attention_mask": mask.astype(np.int64)})
    return found[0], found[1]


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


@pytest.mark.parametrize("rows", list(CLOSE))
def test_vectors_are_those_of_the_table(rows: RowType) -> None:
    model = read_static(TINY)
    batch = BatchTokenizer(model.tokenizer)(TEXTS)
    states, vectors = run(table_graph(model.backend.table(), "tiny", rows), batch)
    assert states.dtype == vectors.dtype == np.float32
    assert states.shape == (len(TEXTS), batch.lengths.max(), 32)
    np.testing.assert_allclose(vectors, unit(model.backend.embed(batch)), atol=CLOSE[rows])
    assert not vectors[2].any()


def test_an_int8_graph_holds_the_rows_that_the_table_has() -> None:
    model = read_static(TINY)
    graph = table_graph(model.backend.table(), "tiny", "int8")
    batch = BatchTokenizer(model.tokenizer)(TEXTS)
    # The table is stored so, hence nothing is rounded again.
    np.testing.assert_allclose(run(graph, batch)[1], unit(model.backend.embed(batch)), atol=1e-6)
    weights = sum(len(weight.raw_data) for weight in graph.graph.initializer)
    assert weights < model.backend.table().nbytes / 3


@given(st.lists(st.lists(st.integers(0, 49), max_size=9), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_a_vector_is_the_mean_of_its_rows(texts: list[list[int]], seed: int) -> None:
    table = np.random.default_rng(seed).normal(size=(50, 8)).astype(np.float32)
    ids = np.array([number for text in texts for number in text], dtype=np.int32)
    batch = TokenBatch(ids, np.cumsum([0, *map(len, texts)]))
    states, vectors = run(table_graph(table, "any"), batch)
    for row, text in enumerate(texts):
        np.testing.assert_array_equal(states[row, : len(text)], table[text])
    np.testing.assert_allclose(vectors, unit(StaticBackend(table, None).embed(batch)), atol=2e-6)
