"""ONNX files in one piece and with their weights beside them, opened by onnxruntime and by yuyi."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import yuyi
from yuyi.encode.load import Dtype, find_folder
from yuyi.errors import ModelError
from yuyi.export.base import write_base
from yuyi.export.onnx_file import LARGEST, write_onnx
from yuyi.export.onnx_forms import graph_of
from yuyi.export.smaller import Smaller
from yuyi.export.source import Source, open_source

TINY = Path(__file__).parent.parent / "tiny"
TEXTS = ["今天天气很好。", "The weather is nice today.", ""]


@pytest.fixture(scope="module")
def source() -> Source:
    return open_source(find_folder(TINY / "bert-dense"), Smaller())


def folder_of(folder: Path, source: Source, largest: int = LARGEST, name: str = "model.onnx") -> Path:
    """A folder with the tokenizer and one ONNX file."""
    write_base(folder, source, ("onnx",))
    (folder / "onnx").mkdir()
    write_onnx(folder / "onnx" / name, graph_of(source), largest=largest)
    return folder


def test_weights_beside_the_file_change_no_vector(tmp_path: Path, source: Source) -> None:
    graph = graph_of(source)
    (tmp_path / "whole").mkdir()
    assert write_onnx(tmp_path / "whole" / "model.onnx", graph) == ("model.onnx",)
    (tmp_path / "split").mkdir()
    names = write_onnx(tmp_path / "split" / "model.onnx", graph, largest=50_000)
    assert names == ("model.onnx", "model.onnx_data")  # As hubs and Transformers.js know them.
    assert {path.name for path in (tmp_path / "split").iterdir()} == set(names)
    assert (tmp_path / "split" / "model.onnx").stat().st_size < 50_000
    ids = np.array([[2, 9, 30, 7, 3], [2, 8, 3, 0, 0]], dtype=np.int64)
    feeds = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64), "token_type_ids": ids * 0}
    found = [
        onnxruntime.InferenceSession(tmp_path / kind / "model.onnx").run(None, feeds)
        for kind in ("whole", "split")
    ]
    for whole, split in zip(*found, strict=True):
        np.testing.assert_array_equal(whole, split)


@pytest.mark.parametrize("largest", [LARGEST, 50_000])
def test_types_are_checked_wherever_the_weights_lie(tmp_path: Path, source: Source, largest: int) -> None:
    graph = onnx.ModelProto()
    graph.CopyFrom(graph_of(source))
    product = next(node for node in graph.graph.node if node.op_type == "MatMul")
    product.input[0] = "input_ids"  # whole numbers, times floats
    with pytest.raises((onnx.checker.ValidationError, onnx.shape_inference.InferenceError)):
        write_onnx(tmp_path / "model.onnx", graph, largest=largest)


def test_the_graph_itself_stays_as_it_is(tmp_path: Path, source: Source) -> None:
    graph = graph_of(source)
    before = graph.SerializeToString()
    write_onnx(tmp_path / "model.onnx", graph, largest=1_000)
    assert graph.SerializeToString() == before
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)


@pytest.mark.parametrize(("name", "dtype"), [("model.onnx", "float32"), ("model_fp16.onnx", "float16")])
def test_yuyi_opens_a_split_file_and_counts_both_parts(
    tmp_path: Path, source: Source, name: str, dtype: Dtype
) -> None:
    folder = folder_of(tmp_path, source, largest=50_000, name=name)
    encoder = yuyi.load(folder, backend="onnx", dtype=dtype)
    np.testing.assert_allclose(encoder.encode(TEXTS), source.reference.encode(TEXTS), atol=1e-5)
    data = folder / "onnx" / f"{name}_data"
    before = encoder.fingerprint
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    assert yuyi.load(folder, backend="onnx", dtype=dtype).fingerprint != before


def test_weights_that_are_missing_or_cut_short(tmp_path: Path, source: Source) -> None:
    folder = folder_of(tmp_path, source, largest=50_000)
    data = folder / "onnx" / "model.onnx_data"
    data.write_bytes(data.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"model\.onnx: .*data files beside it"):
        yuyi.load(folder, backend="onnx")
    data.unlink()
    with pytest.raises(ModelError, match=r"model\.onnx: .*data files beside it"):
        yuyi.load(folder, backend="onnx")


def test_a_folder_can_be_moved_with_its_weights(tmp_path: Path, source: Source) -> None:
    (tmp_path / "here").mkdir()
    folder = folder_of(tmp_path / "here", source, largest=50_000)
    wanted = yuyi.load(folder, backend="onnx").encode(TEXTS)
    shutil.move(folder, tmp_path / "那里")
    np.testing.assert_array_equal(yuyi.load(tmp_path / "那里", backend="onnx").encode(TEXTS), wanted)
