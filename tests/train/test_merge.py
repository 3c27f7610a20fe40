"""Model folders merged into one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import yuyi
from yuyi.errors import InputError
from yuyi.train.starting.merge import merge_folders
from yuyi.train.starting.model_config import ModelConfig
from yuyi.train.starting.save import save_model
from yuyi.train.starting.start import open_start

from .settings_files import TINY

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["护照 办理", "kettle descale"]


@pytest.fixture
def relatives(tmp_path: Path) -> list[Path]:
    """Two models, the second with every weight moved a little."""
    generator = torch.Generator().manual_seed(1)
    folders = []
    for number in range(2):
        model = open_start(ModelConfig(folder=str(TINY / "bert-zh")))
        with torch.no_grad():
            for parameter in model.embedder.parameters():
                parameter += number * 0.05 * torch.randn(parameter.shape, generator=generator)
        folders.append(tmp_path / f"model{number}")
        save_model(folders[-1], model, dims=(32, 16) if number else (32, 16, 8))
    return folders


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("along_arc", [False, True])
def test_a_merged_model_lies_between(relatives: list[Path], tmp_path: Path, along_arc: bool) -> None:
    out = tmp_path / "out"
    merge_folders(relatives, out, [1, 3], along_arc=along_arc)
    first, second, merged = map(tensors, (*relatives, out))
    for name in first:
        if not along_arc:
            torch.testing.assert_close(merged[name], 0.25 * first[name] + 0.75 * second[name])
        gaps = [float((merged[name] - each[name]).norm()) for each in (first, second)]
        assert gaps[1] <= gaps[0] + 1e-6
    encoder = yuyi.load(out)
    assert encoder.dims == (32, 16)
    assert np.isfinite(encoder.encode(TEXTS)).all()
    assert "share 3" in (out / "README.md").read_text("utf-8")


def test_all_of_one_share_gives_that_model(relatives: list[Path], tmp_path: Path) -> None:
    for number, shares in enumerate(([1, 0], [0, 1])):
        merge_folders(relatives, tmp_path / f"out{number}", shares, along_arc=True)
        merged, own = tensors(tmp_path / f"out{number}"), tensors(relatives[number])
        for name, tensor in own.items():
            torch.testing.assert_close(merged[name], tensor)


def test_what_cannot_be_merged_is_named(relatives: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 model: there is nothing to merge"):
        merge_folders(relatives[:1], tmp_path / "out", [1])
    with pytest.raises(InputError, match=r"model1: is there already"):
        merge_folders(relatives, relatives[1], [1, 1])
    with pytest.raises(InputError, match=r"modernbert: architecture modernbert, and bert"):
        merge_folders([relatives[0], TINY / "modernbert"], tmp_path / "out", [1, 1])
    with pytest.raises(InputError, match="shares"):
        merge_folders(relatives, tmp_path / "out", [1, -1])
    assert not (tmp_path / "out").exists()
