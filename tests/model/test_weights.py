"""Weight files: every form that people have on disk, and an exact error for each way they are broken."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import safetensors.torch
import torch

from yuyi.errors import ModelError
from yuyi.model.config import read_config
from yuyi.model.weights import load_encoder

from .oracles import FOLDERS, TINY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(TINY / "bert-zh", tmp_path / "model")


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def _load(folder: Path) -> dict[str, torch.Tensor]:
    return load_encoder(folder, read_config(folder)).state_dict()


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _break(folder: Path, **changed: torch.Tensor | None) -> None:
    """Rewrite the weights; a name with dots is given with double underscores, None drops the tensor."""
    tensors = {**_weights(folder), **{name.replace("__", "."): value for name, value in changed.items()}}
    kept = {name: value for name, value in tensors.items() if value is not None}
    safetensors.torch.save_file(kept, folder / "model.safetensors")


@pytest.mark.parametrize("prefix", ["", "bert.", "model.", "0.auto_model."])
def test_prefixes_heads_and_old_names(prefix: str, folder: Path) -> None:
    wanted = _load(folder)
    old = {
        prefix + name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): tensor
        for name, tensor in _weights(folder).items()
    }
    old[f"{prefix}embeddings.position_ids"] = torch.arange(64)[None]
    old[f"{prefix}pooler.dense.weight"] = torch.zeros(4)
    old["cls.predictions.bias"] = torch.zeros(4)
    safetensors.torch.save_file(old, folder / "model.safetensors")
    assert _same(_load(folder), wanted)


def test_shards_pickles_and_old_pickles_hold_the_same(folder: Path) -> None:
    wanted, tensors = _load(folder), _weights(folder)
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    assert _same(_load(folder), wanted)
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert _same(_load(folder), wanted)
    (folder / "pytorch_model.bin").unlink()
    names = sorted(tensors)
    placed = {name: f"pytorch_model-0000{1 + index % 2}-of-00002.bin" for index, name in enumerate(names)}
    for shard in set(placed.values()):
        torch.save({name: tensors[name] for name in names if placed[name] == shard}, folder / shard)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": placed}))
    assert _same(_load(folder), wanted)


def test_halves_on_disk_are_widened(folder: Path) -> None:
    wanted = {name: tensor.half().float() for name, tensor in _load(folder).items()}
    safetensors.torch.save_file(
        {name: tensor.half() for name, tensor in _weights(folder).items()}, folder / "model.safetensors"
    )
    assert _same(_load(folder), wanted)


def test_training_does_not_reach_the_file(folder: Path) -> None:
    before = (folder / "model.safetensors").read_bytes()
    encoder = load_encoder(folder, read_config(folder))
    with torch.no_grad():
        for parameter in encoder.parameters():
            assert parameter.requires_grad
            parameter.add_(1)
    assert (folder / "model.safetensors").read_bytes() == before


def test_missing_unknown_and_misshapen_tensors(folder: Path) -> None:
    name = "encoder__layer__1__output__dense__weight"
    _break(folder, **{name: None})
    with pytest.raises(ModelError, match=r"lack encoder\.layer\.1\.output\.dense\.weight"):
        _load(folder)
    _break(folder, **{name: torch.zeros(32, 60)})
    with pytest.raises(ModelError, match=r"layer\.1\.output\.dense\.weight has shape \(32, 60\).*\(32, 64\)"):
        _load(folder)
    _break(folder, **{name: torch.zeros(32, 64, dtype=torch.int8)})
    with pytest.raises(ModelError, match=r"holds torch\.int8"):
        _load(folder)
    _break(folder, **{name: torch.zeros(32, 64), "adapter__weight": torch.zeros(2)})
    with pytest.raises(ModelError, match=r"hold adapter\.weight, for which the config has no place"):
        _load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_no_numbers(value: float, folder: Path) -> None:
    broken = _weights(folder)["embeddings.word_embeddings.weight"]
    broken[7, 3] = value
    _break(folder, embeddings__word_embeddings__weight=broken)
    with pytest.raises(ModelError, match=r"word_embeddings\.weight holds values that are no"):
        _load(folder)


def test_a_config_that_contradicts_its_weights(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    for changed, message in (
        (
            {"vocab_size": 999},
            r"word_embeddings\.weight has shape \(\d+, 32\), and the config asks for \(999, 32\)",
        ),
        ({"num_hidden_layers": 3}, r"lack encoder\.layer\.2\.attention\.self\.query\.weight.* 3 layers"),
        ({"num_hidden_layers": 1}, r"hold encoder\.layer\.1\..* 1 layers"),
        ({"model_type": "modernbert"}, "no token table"),
    ):
        (folder / "config.json").write_text(json.dumps(config | changed))
        with pytest.raises(ModelError, match=message):
            _load(folder)


@pytest.mark.parametrize("part", [0, 4, 200, 5000, -1])
def test_a_file_cut_short(part: int, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(ModelError, match="damaged or cut short"):
        _load(folder)


def test_a_header_that_promises_too_much(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])
    with pytest.raises(ModelError, match="damaged or cut short"):
        _load(folder)


class _Payload:
    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.touched}",)


def test_a_pickle_that_wants_to_run_code(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    payload = {"embeddings.word_embeddings.weight": _Payload(tmp_path / "touched")}
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(payload, protocol=2))
    with pytest.raises(ModelError, match=r"wants to run \w+\.system while it is read, so it was not read"):
        _load(folder)
    torch.save(payload, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"wants to run \w+\.system"):
        _load(folder)
    assert not (tmp_path / "touched").exists()


def test_pickles_that_are_damaged(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    torch.save({"a": torch.zeros(100)}, path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PK", b"nonsense", whole[:-200]):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"cut short|damaged"):
            _load(folder)
    torch.save([torch.zeros(1)], path)
    with pytest.raises(ModelError, match="no table of tensors"):
        _load(folder)


def test_no_weights_two_candidates_and_lost_shards(folder: Path) -> None:
    path = folder / "model.safetensors"
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(ModelError, match=r"two candidate models, model\.safetensors and the shards"):
        _load(folder)
    twice = {
        f"{side}.{name}": tensor.clone()
        for name, tensor in _weights(folder).items()
        for side in ("query", "passage")
    }
    content = path.read_bytes()
    (folder / "model.safetensors.index.json").unlink()
    safetensors.torch.save_file(twice, path)
    with pytest.raises(ModelError, match="2 candidate models"):
        _load(folder)
    path.write_bytes(content)
    path.rename(folder / "weights.safetensors")
    with pytest.raises(ModelError, match=r"no weights.* holds weights\.safetensors: rename"):
        _load(folder)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights; looked for model\.safetensors, pytorch_model\.bin"):
        _load(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    with pytest.raises(ModelError, match=r"names the file model-1\.safetensors, which is not beside it"):
        _load(folder)
    index.write_text(json.dumps({"weight_map": {"a": "../model-1.safetensors"}}))
    with pytest.raises(ModelError, match="not beside it"):
        _load(folder)


def test_opening_imports_no_more_of_torch() -> None:
    """Some of torch's conveniences, such as a random table on the meta device, import for two seconds."""
    code = f"""
import sys, torch
from pathlib import Path
from yuyi.pipeline import read_pipeline
from yuyi.model.embedder import load_embedder
before = set(sys.modules)
load_embedder(read_pipeline(Path({str(TINY / "bert-zh")!r})))
print(len([name for name in set(sys.modules) - before if name.startswith("torch.")]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10


@pytest.mark.parametrize("name", [*FOLDERS, "bert-plain"])
def test_every_parameter_has_a_value(name: str) -> None:
    encoder = load_encoder(TINY / name, read_config(TINY / name))
    assert not encoder.training
    assert all(parameter.device.type == "cpu" and parameter.any() for parameter in encoder.parameters())
