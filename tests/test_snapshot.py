from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.snapshot import Engine, choose_files, find_lack

TINY = Path(__file__).parent / "tiny" / "static"

SETTINGS = [
    "config.json",
    "tokenizer.json",
    "vocab.txt",
    "modules.json",
    "1_Pooling/config.json",
    "README.md",
]
OTHERS = [
    "modeling.py",
    "1_Pooling/pooling.py",
    "tf_model.h5",
    "rust_model.ot",
    "openvino/openvino_model.bin",
    "onnx/model_quantized.onnx",
    "assets/figure.png",
    ".gitattributes",
]


@pytest.mark.parametrize(
    ("weights", "engine", "wanted"),
    [
        (["model.safetensors", "pytorch_model.bin"], "torch", ["model.safetensors"]),
        (["pytorch_model.bin"], "torch", ["pytorch_model.bin"]),
        (["model.safetensors", "onnx/model.onnx"], "torch", ["model.safetensors"]),
        (["model.safetensors", "onnx/model.onnx"], "onnx", ["onnx/model.onnx"]),
        (["model.safetensors", "pytorch_model.bin"], "onnx", ["model.safetensors"]),
        (["onnx/model.onnx", "onnx/model.onnx_data"], "torch", ["onnx/model.onnx", "onnx/model.onnx_data"]),
        (["model.onnx", "model.onnx.data"], "onnx", ["model.onnx", "model.onnx.data"]),
        (
            [
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model.safetensors.index.json",
                "pytorch_model-00001-of-00001.bin",
                "pytorch_model.bin.index.json",
            ],
            "torch",
            [
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model.safetensors.index.json",
            ],
        ),
        (
            ["model.safetensors", "2_Dense/config.json", "2_Dense/pytorch_model.bin"],
            "torch",
            ["model.safetensors", "2_Dense/config.json", "2_Dense/pytorch_model.bin"],
        ),
        (
            ["model.safetensors", "2_Dense/model.safetensors", "onnx/model.onnx"],
            "onnx",
            ["2_Dense/model.safetensors", "onnx/model.onnx"],
        ),
    ],
)
def test_one_form_of_the_weights_is_fetched(weights: list[str], engine: Engine, wanted: list[str]) -> None:
    assert choose_files(SETTINGS + weights + OTHERS, engine=engine) == sorted(SETTINGS + wanted)


FORMS = ["onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model_quantized.onnx", "onnx/model_int8.onnx"]
DATA = ["onnx/model.onnx_data", "onnx/model.onnx_data_1", "onnx/model_fp16.onnx_data"]


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        ("auto", ["onnx/model.onnx", "onnx/model.onnx_data", "onnx/model.onnx_data_1"]),
        ("float16", ["onnx/model_fp16.onnx", "onnx/model_fp16.onnx_data"]),
        ("int8", ["onnx/model_quantized.onnx"]),
    ],
)
def test_the_onnx_file_of_the_dtype_is_fetched_with_its_data(dtype: str, wanted: list[str]) -> None:
    names = [*SETTINGS, *FORMS, *DATA, "model.onnx", "model.safetensors"]
    assert choose_files(names, engine="onnx", dtype=dtype) == sorted(SETTINGS + wanted)
    assert choose_files(names, engine="torch", dtype=dtype) == sorted([*SETTINGS, "model.safetensors"])


@given(
    st.lists(
        st.sampled_from([*SETTINGS, *OTHERS, "model.safetensors", "pytorch_model.bin", "onnx/model.onnx"])
    ),
    st.sampled_from(["torch", "onnx"]),
)
def test_never_code_and_never_two_forms(names: list[str], engine: Engine) -> None:
    chosen = choose_files(names, engine=engine)
    assert set(chosen) <= set(names)
    assert not any(name.endswith(".py") for name in chosen)
    forms = {"model.safetensors", "pytorch_model.bin", "onnx/model.onnx"}
    assert len(forms & set(chosen)) == bool(forms & set(names))


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


def write_modules(folder: Path, **modules: str) -> Path:
    entries = [
        {"path": path, "type": f"sentence_transformers.models.{kind}"} for kind, path in modules.items()
    ]
    (folder / "modules.json").write_text(json.dumps(entries))
    return folder


WHOLE = ("config.json", "tokenizer.json", "model.safetensors")


@pytest.mark.parametrize(
    "weights", ["model.safetensors", "pytorch_model.bin", "model.onnx", "onnx/model.onnx"]
)
def test_a_plain_folder_is_whole(tmp_path: Path, weights: str) -> None:
    assert find_lack(write(tmp_path, "config.json", "tokenizer.json", weights)) == ""


@pytest.mark.parametrize(
    ("weights", "engine", "lack"),
    [
        ("model.safetensors", "torch", ""),
        ("model.safetensors", "onnx", "no ONNX file"),
        ("onnx/model.onnx", "onnx", ""),
        ("onnx/model.onnx", "torch", "no weights for torch"),
        ("README.md", "onnx", "no weights"),
    ],
)
def test_what_an_engine_lacks(tmp_path: Path, weights: str, engine: Engine, lack: str) -> None:
    folder = write(tmp_path, "config.json", "tokenizer.json", weights)
    assert find_lack(folder, engine=engine) == lack
    write(folder, "1_Pooling/config.json")
    write_modules(folder, Transformer="", Pooling="1_Pooling")
    assert find_lack(folder, engine=engine) == lack


def test_a_copy_without_the_onnx_file_of_the_dtype_lacks_it(tmp_path: Path) -> None:
    folder = write(tmp_path, "config.json", "tokenizer.json", "onnx/model.onnx")
    assert find_lack(folder, engine="onnx", dtype="float32") == ""
    assert find_lack(folder, engine="onnx", dtype="int8") == "no ONNX file in int8"
    write(folder, "onnx/model_int8.onnx")
    assert find_lack(folder, engine="onnx", dtype="int8") == ""


@pytest.mark.parametrize("missing", WHOLE)
def test_what_a_plain_folder_lacks_is_named(tmp_path: Path, missing: str) -> None:
    folder = write(tmp_path, *WHOLE)
    (folder / missing).unlink()
    assert find_lack(folder) == ("no weights" if missing == "model.safetensors" else f"no {missing}")


def test_a_file_whose_bytes_are_gone_is_missing(tmp_path: Path) -> None:
    folder = write(tmp_path, *WHOLE)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "blobs" / "gone")
    assert find_lack(folder) == "no weights"


def test_every_shard_counts(tmp_path: Path) -> None:
    folder = write(tmp_path, "config.json", "tokenizer.json", "a.safetensors", "b.safetensors")
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert find_lack(folder) == ""
    (folder / "b.safetensors").unlink()
    assert find_lack(folder) == "no weights"


def test_every_module_counts(tmp_path: Path) -> None:
    parts = [*WHOLE, "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"]
    folder = write(tmp_path, *parts)
    write_modules(folder, Transformer="", Pooling="1_Pooling", Dense="2_Dense", Normalize="3_Normalize")
    assert find_lack(folder, dim=1792) == ""
    for part in parts:
        kept = (folder / part).read_bytes()
        (folder / part).unlink()
        assert find_lack(folder), part
        (folder / part).write_bytes(kept)


def test_layers_that_were_not_fetched_are_missed(tmp_path: Path) -> None:
    folder = write(tmp_path, *WHOLE)
    (folder / "config.json").write_text('{"hidden_size": 1024}')
    assert find_lack(folder, dim=1024) == find_lack(folder) == ""
    assert find_lack(folder, dim=1792) == "no modules.json"


def test_static_folders(tmp_path: Path) -> None:
    folder = shutil.copytree(TINY, tmp_path / "static")
    assert find_lack(folder) == ""
    (folder / "table.safetensors").unlink()
    assert find_lack(folder) == "no table.safetensors"
    other = write(
        tmp_path / "other", "0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json"
    )
    write_modules(other, StaticEmbedding="0_StaticEmbedding")
    assert find_lack(other) == ""


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"path": 1, "type": "Transformer"}]', "null"])
def test_damaged_settings_are_no_model(tmp_path: Path, text: str) -> None:
    folder = write(tmp_path, *WHOLE)
    (folder / "modules.json").write_text(text)
    assert find_lack(folder) == "its settings cannot be read"


def test_a_list_of_no_modules(tmp_path: Path) -> None:
    folder = write(tmp_path, *WHOLE)
    write_modules(folder)
    assert find_lack(folder) == "no modules in modules.json"


def test_no_folder(tmp_path: Path) -> None:
    assert find_lack(tmp_path / "none") == "not there"
