"""Node and Chromium give the vectors that Python gives."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from model.oracles import FOLDERS, TEXTS, TINY

import yuyi
from yuyi.errors import InputError, ModelError
from yuyi.export.base import write_base
from yuyi.export.javascript.run import embed, find_runtimes
from yuyi.export.onnx_forms import write_float32
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import open_source

from .conftest import CLOSE

if TYPE_CHECKING:
    from pathlib import Path

RUNTIMES = ("node", "chromium")
# Chromium takes seconds to start; it runs one model of each kind of tokenizer.
CASES = [("node", name) for name in FOLDERS] + [("chromium", name) for name in ("bert-dense", "modernbert")]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def test_both_are_found(modules: Path) -> None:
    assert find_runtimes(modules) == ["node", "chromium"]


@pytest.mark.filterwarnings("ignore::yuyi.errors.YuyiWarning")
@pytest.mark.parametrize(("runtime", "name"), CASES)
def test_float32(runtime: str, name: str, modules: Path, tmp_path: Path) -> None:
    source = open_source(TINY / name, Smaller())
    write_base(tmp_path, source, ("onnx",))
    write_float32(tmp_path, source, ExportSettings(targets=("onnx",)))
    found = embed(runtime, tmp_path, "fp32", TEXTS, modules)
    expected = yuyi.load(TINY / name, backend="torch", dtype="float32", device="cpu").encode(list(TEXTS))
    assert np.allclose(_unit(found.vectors), expected, atol=1e-5)
    assert found.texts_per_second > 0 < found.cold_start


@pytest.mark.filterwarnings("ignore::yuyi.errors.YuyiWarning")
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("model", ["encoder", "embedded"])
def test_int8(runtime: str, model: str, modules: Path, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(model)
    found = _unit(embed(runtime, folder, "q8", TEXTS, modules).vectors)
    alone = yuyi.load(folder, backend="onnx", dtype="int8")
    expected = np.stack([alone.encode(text) for text in TEXTS])
    kept = np.linalg.norm(expected, axis=1) > 0  # A table has no vector for a text of unknown characters.
    assert np.array_equal(kept, np.linalg.norm(found, axis=1) > 0)
    assert (found * expected).sum(axis=1)[kept].min() > CLOSE


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_cannot_be_run_is_said(runtime: str, encoder: Path, modules: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"{runtime} cannot run it as fp16: .*model_fp16.onnx"):
        embed(runtime, encoder, "fp16", ["x"], modules)
    folder = tmp_path / "damaged"
    shutil.copytree(encoder, folder)
    (folder / "onnx" / "model_quantized.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=f"{runtime} cannot run it as q8: "):
        embed(runtime, folder, "q8", ["x"], modules)


def test_a_folder_without_packages_is_refused(tmp_path: Path) -> None:
    assert find_runtimes(None) == []
    with pytest.raises(InputError, match="npm install @huggingface/transformers"):
        find_runtimes(tmp_path)
