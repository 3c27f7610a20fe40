"""Every activation, and the smallest window, as transformers computes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers import BertConfig, BertModel, ModernBertConfig, ModernBertModel

from yuyi.model.config import read_config
from yuyi.model.weights import load_encoder

from .oracles import flat

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "initializer_range": 0.5,  # large, so that the bend of each function shows
}
ROWS = [[7], [1, 2, 3, 4, 5], list(range(1, 31))]


def _differences(peer: PreTrainedModel, folder: Path) -> list[float]:
    peer.eval().save_pretrained(folder)
    encoder = load_encoder(folder, read_config(folder))
    with torch.inference_mode():
        states = encoder(*flat(ROWS)).split([len(row) for row in ROWS])
        wanted = [peer(torch.tensor([row])).last_hidden_state[0] for row in ROWS]
    return [(a - b).abs().max().item() for a, b in zip(states, wanted, strict=True)]


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"])
def test_activations(activation: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    assert max(_differences(BertModel(BertConfig(**SIZES, hidden_act=activation)), tmp_path)) <= 1e-5


@pytest.mark.parametrize("window", [1, 2, 3, 16])
def test_windows(window: int, tmp_path: Path) -> None:
    torch.manual_seed(5)
    special = {"bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    config = ModernBertConfig(**SIZES, **special, local_attention=window, hidden_activation="silu")
    assert max(_differences(ModernBertModel(config), tmp_path)) <= 1e-5
