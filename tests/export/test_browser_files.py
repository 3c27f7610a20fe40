"""The folder for Transformers.js: which files are in it, and that none is made twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from model.oracles import TEXTS, TINY

import yuyi
from yuyi.export.base import write_base
from yuyi.export.browser import write_browser
from yuyi.export.onnx_forms import write_float32
from yuyi.export.quantizing.forms import write_int8
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.snippets import javascript_snippets
from yuyi.export.source import open_source

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = ExportSettings(targets=("browser",))


def test_the_files_that_a_page_looks_for(tmp_path: Path) -> None:
    source = open_source(TINY / "bert-dense", Smaller())
    assert SETTINGS.written == ["onnx", "browser"]
    write_base(tmp_path, source, SETTINGS.targets)
    write_float32(tmp_path, source, SETTINGS)
    form = write_browser(tmp_path, source, SETTINGS)
    names = ("tokenizer.json", "tokenizer_config.json", "config.json")
    assert form.files == ("onnx/model_quantized.onnx",)
    assert form.facts["download"] == sum((tmp_path / name).stat().st_size for name in (*form.files, *names))
    rounding = json.loads((tmp_path / "quantize_config.json").read_text())
    assert (rounding["modes"], rounding["reduce_range"]) == (["q8"], True)
    assert "transformers.js_config" not in json.loads((tmp_path / "config.json").read_text())
    assert "\n" not in (tmp_path / "tokenizer.json").read_text(encoding="utf-8")
    texts = list(TEXTS[3:8])
    whole = source.reference.encode(texts)
    for dtype, nearest in (("float32", 0.99999), ("int8", 0.99)):
        found = yuyi.load(tmp_path, backend="onnx", dtype=dtype).encode(texts)
        assert np.all((found * whole).sum(axis=1) > nearest)


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    source = open_source(TINY / "bert-zh", Smaller())
    write_base(tmp_path, source, ("onnx", "onnx-int8", "browser"))
    made = [write(tmp_path, source, SETTINGS) for write in (write_float32, write_int8)]
    files = [tmp_path / form.files[0] for form in made]
    before = [file.stat().st_mtime_ns for file in files]
    form = write_browser(tmp_path, source, SETTINGS)
    assert [file.stat().st_mtime_ns for file in files] == before
    assert (form.files, form.least) == (made[1].files, made[1].least)


def test_weights_in_a_second_file_are_named(tmp_path: Path) -> None:
    source = open_source(TINY / "bert-zh", Smaller())
    write_base(tmp_path, source, SETTINGS.targets)
    (tmp_path / "onnx").mkdir()
    for name in ("model.onnx", "model.onnx_data"):
        (tmp_path / "onnx" / name).write_bytes(b"")
    write_browser(tmp_path, source, SETTINGS)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["transformers.js_config"] == {"use_external_data_format": {"model.onnx": 1}}


def test_a_token_table(tmp_path: Path) -> None:
    source = open_source(None, Smaller(dim=64))
    write_base(tmp_path, source, SETTINGS.targets)
    form = write_browser(tmp_path, source, SETTINGS)
    assert form.facts["download"] < 6_000_000
    assert json.loads((tmp_path / "quantize_config.json").read_text())["reduce_range"] is False
    texts = ["护照怎么续签？", "How do I renew my passport?", ""]
    found = yuyi.load(tmp_path, backend="onnx", dtype="int8").encode(texts)
    assert np.allclose(found, source.reference.encode(texts, truncate_dim=64), atol=0.01)


@pytest.mark.parametrize(("prompt", "text"), [("", "text"), ("问\"题'：", r"""'问"题\'：' + text""")])
def test_snippets_take_the_graphs_own_vector(prompt: str, text: str) -> None:
    snippets = javascript_snippets("it's 模型", "q8", prompt)
    assert list(snippets) == ["edge", "browser", "node"]
    for kind, code in snippets.items():
        assert rf"'{'' if kind == 'browser' else './'}it\'s 模型'" in code
        assert "sentence_embedding" in code
        assert f"tokenizer({text}, {{ truncation: true }})" in code
