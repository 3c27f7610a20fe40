"""What is written of an encoder is what was read, for every architecture."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import safetensors.torch
import torch

from yuyi.model.config import Rope, read_config
from yuyi.model.weights import load_encoder
from yuyi.model.write import config_values, disk_tensors

from .oracles import FOLDERS, TINY

if TYPE_CHECKING:
    from pathlib import Path

ALL = (*FOLDERS, "bert-plain")


@pytest.mark.parametrize("name", ALL)
def test_a_config_that_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    config = read_config(TINY / name)
    (tmp_path / "config.json").write_text(json.dumps(config_values(config)))
    if config.architecture == "new":
        config = replace(config, architecture="gte")
    assert read_config(tmp_path) == config


@pytest.mark.parametrize("rope", [Rope(20_000.0), Rope(10_000.0, 2.5), Rope(160_000.0, 8 ** (2 / 8))])
def test_rotary_positions_of_every_kind(rope: Rope, tmp_path: Path) -> None:
    config = read_config(TINY / "gte-new")
    config = replace(config, architecture="gte", ropes=(rope,) * config.layers)
    (tmp_path / "config.json").write_text(json.dumps(config_values(config)))
    assert read_config(tmp_path) == config


@pytest.mark.parametrize("name", ALL)
def test_tensors_that_are_written_are_read_again(name: str, tmp_path: Path) -> None:
    config = read_config(TINY / name)
    encoder = load_encoder(TINY / name, config)
    safetensors.torch.save_file(disk_tensors(encoder), tmp_path / "model.safetensors")
    again = load_encoder(tmp_path, config).state_dict()
    assert again.keys() == encoder.state_dict().keys()
    for key, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, again[key]), key


@pytest.mark.parametrize("name", ["bert-zh", "roberta", "xlm-roberta", "modernbert"])
def test_names_are_those_of_transformers(name: str) -> None:
    from transformers import AutoModel

    wanted = AutoModel.from_pretrained(TINY / name).state_dict()
    written = disk_tensors(load_encoder(TINY / name, read_config(TINY / name)))
    for key, tensor in written.items():
        assert torch.equal(tensor, wanted[key]), key
    assert all(key in written or key.startswith("pooler.") for key in wanted)
