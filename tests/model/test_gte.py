"""GTE's own encoder against a naive padded reference, written from its published shape."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch
from torch.nn import functional

from yuyi.model.config import read_config
from yuyi.model.embedder import load_embedder
from yuyi.model.weights import load_encoder
from yuyi.pipeline import read_pipeline

from .oracles import TEXTS, TINY, flat, token_ids

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

FOLDER = TINY / "gte-new"


def _reference(rows: list[list[int]]) -> list[Tensor]:
    """States of each row: ids padded to the longest, padding masked out of attention."""
    config = json.loads((FOLDER / "config.json").read_text())
    weights = safetensors.torch.load_file(FOLDER / "model.safetensors")
    weights = {name.removeprefix("new."): tensor for name, tensor in weights.items()}
    longest = max(map(len, rows))
    ids = torch.tensor([row + [config["pad_token_id"]] * (longest - len(row)) for row in rows])
    keep = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in rows])
    states = weights["embeddings.word_embeddings.weight"][ids]
    states = states + weights["embeddings.token_type_embeddings.weight"][0]
    states = _norm(states, weights, "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        mixed = _attend(states, keep, weights, f"{at}.attention", config)
        states = _norm(states + mixed, weights, f"{at}.attn_ln")
        up, gate = _linear(states, weights, f"{at}.mlp.up_gate_proj").split(config["intermediate_size"], -1)
        inner = _linear(functional.gelu(gate) * up, weights, f"{at}.mlp.down_proj")
        states = _norm(states + inner, weights, f"{at}.mlp_ln")
    return [states[index, : len(row)] for index, row in enumerate(rows)]


def _attend(
    states: Tensor, keep: Tensor, weights: dict[str, Tensor], at: str, config: dict[str, Any]
) -> Tensor:
    heads = config["num_attention_heads"]
    dim = config["hidden_size"] // heads
    q, k, v = _linear(states, weights, f"{at}.qkv_proj").split(config["hidden_size"], -1)
    out = torch.zeros_like(states)
    for head in range(heads):
        part = slice(head * dim, (head + 1) * dim)
        scores = _turn(q[..., part], config) @ _turn(k[..., part], config).transpose(1, 2) / math.sqrt(dim)
        shares = scores.masked_fill(~keep[:, None, :], -math.inf).softmax(-1)
        out[..., part] = shares @ v[..., part]
    return _linear(out, weights, f"{at}.o_proj")


def _turn(x: Tensor, config: dict[str, Any]) -> Tensor:
    """Dimension i and i + dim / 2 as a complex number, turned by position times frequency."""
    dim, factor = x.shape[-1], config["rope_scaling"]["factor"]
    powers = torch.arange(dim // 2, dtype=torch.float64) * 2 / dim
    frequencies = (config["rope_theta"] * factor) ** -powers / factor ** (2 / dim)
    angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequencies
    turned = torch.complex(x[..., : dim // 2].double(), x[..., dim // 2 :].double()) * torch.exp(1j * angles)
    return torch.cat((turned.real, turned.imag), -1).float()


def _linear(x: Tensor, weights: dict[str, Tensor], at: str) -> Tensor:
    return functional.linear(x, weights[f"{at}.weight"], weights.get(f"{at}.bias"))


def _norm(x: Tensor, weights: dict[str, Tensor], at: str) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], weights[f"{at}.weight"], weights[f"{at}.bias"], 1e-12)


def test_states_are_those_of_the_reference() -> None:
    pipeline = read_pipeline(FOLDER)
    embedder = load_embedder(pipeline)
    rows = token_ids(pipeline, TEXTS)
    wanted = _reference(rows)
    with torch.inference_mode():
        states = embedder.encoder(*flat(rows)).split([len(row) for row in rows])
        vectors = embedder(*flat(rows))
    for got, want in zip(states, wanted, strict=True):
        assert (got - want).abs().max() <= 1e-5
    first = functional.normalize(torch.stack([want[0] for want in wanted]), dim=-1)
    assert (vectors - first).abs().max() <= 1e-5
    assert torch.cosine_similarity(vectors, first).min() >= 0.999999


def test_separate_projections_and_another_prefix_mean_the_same(tmp_path: Path) -> None:
    """The form with `pack_qkv: false`, and weights of the bare model."""
    weights = safetensors.torch.load_file(FOLDER / "model.safetensors")
    apart = {}
    for name, tensor in weights.items():
        bare = name.removeprefix("new.")
        if "qkv_proj" in bare:
            for letter, piece in zip("qkv", tensor.chunk(3), strict=True):
                apart[bare.replace("qkv_proj", f"{letter}_proj")] = piece.clone()
        else:
            apart[bare] = tensor
    safetensors.torch.save_file(apart, tmp_path / "model.safetensors")
    config = json.loads((FOLDER / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "pack_qkv": False}))
    ours = load_encoder(FOLDER, read_config(FOLDER)).state_dict()
    other = load_encoder(tmp_path, read_config(tmp_path)).state_dict()
    assert ours.keys() == other.keys()
    assert all(torch.equal(ours[name], other[name]) for name in ours)


def test_the_class_in_transformers_gives_the_same_states(tmp_path: Path) -> None:
    """Transformers calls the architecture "gte" and has it without NTK scaling."""
    transformers = pytest.importorskip("transformers.models.gte.modeling_gte")
    from transformers import GteConfig

    config = GteConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=96,
        rope_parameters={"rope_theta": 5000.0, "rope_type": "default"},
    )
    torch.manual_seed(5)
    peer = transformers.GteModel(config).eval()
    for parameter in peer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    peer.save_pretrained(tmp_path)
    encoder = load_encoder(tmp_path, read_config(tmp_path))
    row = torch.randint(2, 300, (90,))
    with torch.inference_mode():
        wanted = peer(row[None]).last_hidden_state[0]
        got = encoder(row, torch.tensor([0, 90]))
    assert (got - wanted).abs().max() <= 1e-5
