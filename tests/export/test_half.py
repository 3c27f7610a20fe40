"""The form in half precision beside float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from yuyi.export.onnx_file import write_onnx
from yuyi.export.onnx_forms import graph_of
from yuyi.export.quantizing.forms import write_half
from yuyi.export.quantizing.half import half_graph
from yuyi.export.quantizing.running import vectors_of
from yuyi.export.quantizing.texts import calibration_texts, ids_of
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import Source, open_source

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
