from __future__ import annotations

from pathlib import Path

import pytest

from yuyi.errors import ModelError
from yuyi.layout import LAYOUTS, find_layout, has_onnx_weights, has_torch_weights

TINY = Path(__file__).parent / "tiny"


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("static", "yuyi-static"),
        ("bert-zh", "sentence-transformers"),
        ("bert-plain", "transformers"),
        ("gte-new", "sentence-transformers"),
    ],
)
def test_committed_models_are_of_their_kind(folder: str, name: str) -> None:
    assert find_layout(TINY / folder).name == name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_marks_decide(tmp_path: Path, layout: object) -> None:
    assert find_layout(touch(tmp_path, *layout.marks)) is layout  # type: ignore[attr-defined]


def test_folders_that_are_no_model_or_two(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        find_layout(tmp_path / "absent")
    with pytest.raises(ModelError, match=r"needs one of these sets of files.*config\.json"):
        find_layout(tmp_path)
    touch(tmp_path, "one/config.json", "two/yuyi.json", "two/tokenizer.json", "two/table.safetensors", "x/y")
    with pytest.raises(ModelError, match=r"it holds one, two. Give the path of one of them"):
        find_layout(tmp_path)
    touch(tmp_path / "two", "config.json", "model.safetensors")
    with pytest.raises(ModelError, match="holds 2 models"):
        find_layout(tmp_path / "two")


def test_where_weights_are_looked_for(tmp_path: Path) -> None:
    assert has_torch_weights(TINY / "bert-zh")
    assert has_torch_weights(TINY / "roberta")  # In parts.
    assert has_torch_weights(TINY / "bert-dense")  # In a pickle.
    assert not has_torch_weights(touch(tmp_path / "a", "onnx/model.onnx"))
    assert has_onnx_weights(tmp_path / "a")
    assert has_onnx_weights(touch(tmp_path / "b", "model_quantized.onnx"))
    assert not has_onnx_weights(TINY / "bert-zh")
