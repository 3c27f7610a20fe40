"""Which engine opens which folder, and what is said when none can."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_export import States, export
from transformers import BertModel

import yuyi
from yuyi.errors import InputError, MissingExtra, ModelError

TINY = Path(__file__).parent.parent / "tiny"
TEXTS = ["今天天气很好", "How do I renew my passport?", ""]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights and with an ONNX file, as Supabase/gte-small has them."""
    folder = tmp_path_factory.mktemp("both") / "model"
    shutil.copytree(TINY / "bert-zh", folder)
    model = BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager")
    names = ("input_ids", "attention_mask", "token_type_ids")
    export(States(model, names), folder / "onnx" / "model.onnx")
    return folder


@pytest.fixture(scope="module")
def onnx_alone(both: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "model"
    shutil.copytree(both, folder)
    (folder / "model.safetensors").unlink()
    return folder


def hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let packages look as if they were not installed."""
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


def test_every_engine_gives_the_same_vectors(both: Path, onnx_alone: Path) -> None:
    by_torch = yuyi.load(both, dtype="float32", device="cpu")
    by_onnx = yuyi.load(both, backend="onnx")
    alone = yuyi.load(onnx_alone)
    assert (by_torch.backend_name, by_onnx.backend_name, alone.backend_name) == ("torch", "onnx", "onnx")
    assert (alone.dim, alone.max_tokens, alone.dtype, alone.device) == (32, 48, "float32", "cpu")
    expected = by_torch.encode_query(TEXTS)
    assert np.abs(expected).max() > 0.1
    for encoder in (by_onnx, alone):
        np.testing.assert_allclose(encoder.encode_query(TEXTS), expected, rtol=0, atol=1e-5)
    assert by_onnx.fingerprint == alone.fingerprint != by_torch.fingerprint


def test_the_engine_that_is_installed_is_taken(
    both: Path, onnx_alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        hide(patched, "torch")
        assert yuyi.load(both).backend_name == "onnx"
        with pytest.raises(MissingExtra, match=r"torch: not installed.*yuyi\[torch\]"):
            yuyi.load(both, backend="torch")
        with pytest.raises(MissingExtra, match=r"yuyi\[torch\]"):
            yuyi.load(TINY / "bert-zh")
    with monkeypatch.context() as patched:
        hide(patched, "onnxruntime")
        assert yuyi.load(both).backend_name == "torch"
        with pytest.raises(MissingExtra, match=r"onnxruntime: not installed.*yuyi\[onnx\]"):
            yuyi.load(onnx_alone)


def test_an_engine_without_weights_for_it(onnx_alone: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"an ONNX file alone.*backend='onnx'"):
        yuyi.load(onnx_alone, backend="torch")
    with pytest.raises(ModelError, match=r"no ONNX file.*backend='torch'"):
        yuyi.load(TINY / "bert-zh", backend="onnx")
    with pytest.raises(InputError, match="no token table"):
        yuyi.load(TINY / "bert-zh", backend="static")
    shutil.copytree(TINY / "bert-zh", tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(ModelError, match="holds no weights"):
        yuyi.load(tmp_path / "bare")


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"backend": "tensorflow"}, "choose one of auto, torch, onnx, static"),
        ({"dtype": "float64"}, "choose one of auto, float32, bfloat16, float16, int8"),
        ({"pooling": "middle"}, "Choose one of cls, mean"),
        ({"truncate_dim": 33}, "has 32 dimensions"),
        ({"max_tokens": 49}, "bert-zh reads 48 tokens. Choose at most 48"),
        ({"max_tokens": 0}, "max_tokens=0: not a length"),
        ({"max_tokens": True}, "max_tokens=True: not a length"),
        ({"max_tokens": 2}, "puts 2 special tokens around a text"),
        ({"revision": "main"}, "is a folder"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], cause: str) -> None:
    with pytest.raises((InputError, ModelError), match=cause):
        yuyi.load(TINY / "bert-zh", **options)


@pytest.mark.parametrize("folder", ["bert-zh", "static"])
def test_a_shorter_limit_reads_the_first_tokens_and_is_another_model(folder: str) -> None:
    whole, short = yuyi.load(TINY / folder), yuyi.load(TINY / folder, max_tokens=6)
    assert short.max_tokens == 6
    long = "今天天气很好，我们去公园散步吧。"
    pieces = whole.tokens(long)
    specials = 2 if folder == "bert-zh" else 0
    assert len(pieces) > 6
    start = long[: len("".join(piece.removeprefix("##") for piece in pieces[: 6 - specials]))]
    vectors, info = short.encode([long, "今天"], return_info=True)
    assert (info.used.tolist()[0], info.tokens.tolist()[0]) == (6, len(pieces) + specials)
    np.testing.assert_allclose(vectors, whole.encode([start, "今天"]), atol=1e-3)
    assert short.fingerprint != whole.fingerprint
    assert yuyi.load(TINY / folder, max_tokens=6).fingerprint == short.fingerprint
    assert yuyi.load(TINY / folder, max_tokens=7).fingerprint != short.fingerprint
    if whole.max_tokens is not None:
        assert yuyi.load(TINY / folder, max_tokens=whole.max_tokens).fingerprint == whole.fingerprint


def test_a_shorter_limit_holds_in_worker_processes() -> None:
    short = yuyi.load(TINY / "bert-zh", max_tokens=6, dtype="float32", device="cpu")
    texts = ["今天天气很好，我们去公园散步吧。", "How do I renew my passport?"] * 3
    alone, _ = short.encode(texts, return_info=True)
    shared, info = short.encode(texts, return_info=True, workers=2)
    np.testing.assert_allclose(shared, alone, atol=1e-6)
    assert info.used.max() == 6


def test_a_plain_folder_needs_its_pooling(tmp_path: Path) -> None:
    shutil.copytree(TINY / "bert-plain", tmp_path / "mine")
    with pytest.raises(ModelError, match="one of cls, mean, last, max, mean_sqrt_len"):
        yuyi.load(tmp_path / "mine")
    by_cls = yuyi.load(tmp_path / "mine", pooling="cls", dtype="float32", device="cpu")
    by_mean = yuyi.load(tmp_path / "mine", pooling="mean", dtype="float32", device="cpu")
    assert np.abs(by_cls.encode(TEXTS) - by_mean.encode(TEXTS)).max() > 0.01
    # The name of a known model does not make it one: this has 32 dimensions, gte-small 384.
    (tmp_path / "mine").rename(tmp_path / "gte-small")
    with pytest.raises(ModelError, match="one of cls, mean"):
        yuyi.load(tmp_path / "gte-small")


def test_a_tokenizer_that_is_missing_or_of_another_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(TINY / "bert-zh", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 100}))
    with pytest.raises(ModelError, match=r"tokenizer knows \d+ pieces, its config.json 100"):
        yuyi.load(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="the tokenizer is missing"):
        yuyi.load(folder)


def test_heavy_packages_stay_away(onnx_alone: Path) -> None:
    code = (
        "import sys, yuyi\n"
        "heavy = {'torch', 'transformers', 'pyarrow', 'mteb', 'pandas', 'scipy', 'onnxruntime'}\n"
        "assert not heavy & set(sys.modules), 'import yuyi'\n"
        "yuyi.load().encode(['a'] * 3, precision='int8')\n"
        "assert not heavy & set(sys.modules), 'static'\n"
        f"yuyi.load({str(onnx_alone)!r}).encode(['a'] * 3)\n"
        "assert heavy & set(sys.modules) == {'onnxruntime'}, 'onnx'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
