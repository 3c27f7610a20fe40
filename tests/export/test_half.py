"""The form in half precision beside float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from yuyi.export.graphs.graph import Graph
from yuyi.export.onnx_file import write_onnx
from yuyi.export.onnx_forms import graph_of
from yuyi.export.quantizing.forms import write_half
from yuyi.export.quantizing.half import half_graph, too_large
from yuyi.export.quantizing.running import vectors_of
from yuyi.export.quantizing.texts import calibration_texts, ids_of
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import Source, open_source
from yuyi.model.encoder import EncoderLayer
from yuyi.train.starting.start import TextModel

TINY = Path(__file__).parent.parent / "tiny"
MODELS = ("bert-dense", "bert-plain", "bert-zh", "gte-new", "modernbert", "roberta", "xlm-roberta")
SETTINGS = ExportSettings(targets=("onnx-fp16",))


def source(name: str) -> Source:
    return open_source(TINY / name, Smaller(), pooling="mean" if name == "bert-plain" else None)


@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_in_half_precision_stays_near(name: str) -> None:
    model = source(name)
    whole = graph_of(model)
    half = half_graph(whole)
    onnx.checker.check_model(half, full_check=True)
    rows = ids_of(model.model, calibration_texts(None)[:24])  # type: ignore[arg-type]
    found = (vectors_of(whole, rows) * vectors_of(half, rows)).sum(axis=1)
    assert found.min() > 0.99999
    assert [out.type.tensor_type.elem_type for out in half.graph.output] == [TensorProto.FLOAT] * 2
    assert half.graph.input == whole.graph.input


def test_tables_and_products_are_half_and_norms_and_pooling_are_not() -> None:
    half = half_graph(graph_of(source("bert-zh")))
    types = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert types["tokens.float16"] == types["layers.0.qkv.weight.float16"] == TensorProto.FLOAT16
    assert types["embeddings.norm.weight"] == TensorProto.FLOAT
    inferred = onnx.shape_inference.infer_shapes(half).graph.value_info
    kinds = {value.name: value.type.tensor_type.elem_type for value in inferred}
    assert all(kinds[name] != TensorProto.FLOAT16 for name in kinds if name.startswith(("pooling.", "mask.")))
    assert kinds["layers.0.up.product"] == TensorProto.FLOAT16


def test_places_of_long_texts_are_counted_without_gaps() -> None:
    # Half precision has no number between 2,048 and 2,050; angles of these places would be those of others.
    half = half_graph(graph_of(source("modernbert")))
    inferred = onnx.shape_inference.infer_shapes(half).graph.value_info
    kinds = {value.name: value.type.tensor_type.elem_type for value in inferred}
    assert kinds["rope0.angles"] == kinds["pooling.kept"] == TensorProto.FLOAT


def test_what_is_too_large_for_half_precision_stays_float32(tmp_path: Path) -> None:
    model = source("bert-zh")
    assert isinstance(model.model, TextModel)
    layer = model.model.embedder.encoder.layers[0]
    assert isinstance(layer, EncoderLayer)
    with torch.no_grad():
        # Values in the millions between the two products of a layer, and vectors like before.
        layer.up.weight *= 1e6
        layer.down.weight *= 1e-4
    whole = graph_of(model)
    rows = ids_of(model.model, calibration_texts(None)[:24])
    with np.errstate(over="ignore"):
        plain = vectors_of(half_graph(whole), rows)
    assert not np.isfinite(plain).all()
    form = write_half(tmp_path, model, SETTINGS)
    found = vectors_of(onnx.load(tmp_path / form.files[0]), rows)
    assert (vectors_of(whole, rows) * found).sum(axis=1).min() > 0.9999
    kept = form.facts["kept_float32"]
    assert {"layers.0.up.product", "layers.0.down.product"} <= set(kept)
    assert all(name.startswith("layers.0.") for name in kept)


def test_a_weight_that_is_too_large_stays_float32() -> None:
    graph = Graph()
    ids, mask = (graph.input(name, ("rows", "columns")) for name in ("input_ids", "attention_mask"))
    table = graph.weight("table", np.array([[0, 1], [1, 0]], np.float32))
    rows = graph.add("Gather", "rows", table, ids)
    graph.add("MatMul", "large", rows, graph.weight("large.weight", np.full((2, 3), 1e5, np.float32)))
    graph.output(graph.add("MatMul", "fits", rows, table), "states", ("rows", "columns", 2))
    seen = graph.add("Cast", "kept", mask, to=TensorProto.FLOAT)
    graph.output(graph.add("Mul", "doubled", seen, graph.number(2.0)), "seen", ("rows", "columns"))
    found = too_large(graph.model("two products", {}), [np.array([0, 1, 1])])
    assert found == ["large"]


@pytest.mark.parametrize("name", MODELS)
def test_models_of_usual_values_keep_nothing_more(name: str) -> None:
    model = source(name)
    rows = ids_of(model.model, calibration_texts(None)[:8])  # type: ignore[arg-type]
    assert too_large(graph_of(model), rows) == []


def test_the_model_itself_stays_as_it_is() -> None:
    whole = graph_of(source("bert-zh"))
    before = whole.SerializeToString()
    half_graph(whole)
    assert whole.SerializeToString() == before


def test_padding_is_not_seen() -> None:
    model = half_graph(graph_of(source("bert-zh")))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = np.array([[2, 7, 8, 3]])
    longer = np.pad(ids, ((0, 0), (0, 5)))
    alone, padded = (
        session.run(
            ["sentence_embedding"],
            {"input_ids": row, "attention_mask": (np.arange(row.shape[1]) < 4)[None].astype(np.int64),
             "token_type_ids": np.zeros_like(row)},
        )[0]
        for row in (ids, longer)
    )  # fmt: skip
    assert (alone * padded).sum() / np.linalg.norm(alone) / np.linalg.norm(padded) > 0.99999


def test_weights_may_lie_beside_the_file(tmp_path: Path) -> None:
    model = half_graph(graph_of(source("bert-zh")))
    assert write_onnx(tmp_path / "model_fp16.onnx", model, largest=1_000)[1] == "model_fp16.onnx_data"
    rows = [np.array([2, 7, 8, 3])]
    apart = vectors_of(onnx.load(tmp_path / "model_fp16.onnx"), rows)
    np.testing.assert_array_equal(apart, vectors_of(model, rows))


@pytest.mark.parametrize("name", ["bert-zh", "static"])
def test_the_writer_leaves_half_the_bytes(name: str, tmp_path: Path) -> None:
    form = write_half(tmp_path, source(name), SETTINGS)
    assert form.files == ("onnx/model_fp16.onnx",)
    assert form.options == {"backend": "onnx", "dtype": "float16"}
    model = onnx.load(tmp_path / form.files[0])
    kinds = {tensor.data_type for tensor in model.graph.initializer if np.prod(tensor.dims) > 1_000}
    assert kinds == {TensorProto.FLOAT16}
