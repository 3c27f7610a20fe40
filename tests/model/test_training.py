"""The encoder in training: dropout that replays, checkpoints that change nothing, blocks, half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.model import encoder as encoder_module
from yuyi.model import products
from yuyi.model.embedder import load_embedder
from yuyi.pipeline import read_pipeline

from .oracles import FOLDERS, TEXTS, TINY, flat, token_ids

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from yuyi.model.embedder import Embedder


def _model(folder: str, dtype: torch.dtype = torch.float32) -> Embedder:
    model = load_embedder(read_pipeline(TINY / folder), dtype=dtype).train()
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    return model


def _texts(folder: str) -> tuple[Tensor, Tensor]:
    return flat(token_ids(read_pipeline(TINY / folder), TEXTS))


def _gradients(model: Embedder, ids: Tensor, offsets: Tensor, seed: int = 0) -> tuple[Tensor, list[Tensor]]:
    """The vectors, and the gradients of a sum that weighs each of their values differently."""
    torch.manual_seed(seed)
    model.zero_grad()
    vectors = model(ids, offsets)
    places = torch.arange(vectors.numel(), dtype=vectors.dtype).view_as(vectors)
    (vectors * (places * 0.7).cos()).sum().backward()
    return vectors.detach(), [each.grad.clone() for each in model.parameters() if each.grad is not None]


def _equal(left: list[Tensor], right: list[Tensor]) -> bool:
    return len(left) == len(right) > 0 and all(torch.equal(*pair) for pair in zip(left, right, strict=True))


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_dropout_replays_to_the_bit(folder: str, checkpointing: bool) -> None:
    model, (ids, offsets) = _model(folder), _texts(folder)
    model.encoder.set_dropout(hidden=0.2, attention=0.1)
    first, gradients = _gradients(model, ids, offsets, seed=1)
    model.encoder.checkpointing = checkpointing
    again, others = _gradients(model, ids, offsets, seed=1)
    assert torch.equal(first, again)
    assert _equal(gradients, others)
    with torch.no_grad():
        torch.manual_seed(1)
        assert torch.equal(model(ids, offsets), first)
    other, _ = _gradients(model, ids, offsets, seed=2)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("hidden, attention", [(0.5, 0.0), (0.0, 0.5)])
def test_each_dropout_drops_in_training_only(hidden: float, attention: float) -> None:
    model, (ids, offsets) = _model("bert-zh"), _texts("bert-zh")
    plain = model(ids, offsets)
    model.encoder.set_dropout(hidden, attention)
    assert not torch.allclose(model(ids, offsets), plain, atol=1e-3)
    assert torch.equal(model.eval()(ids, offsets), plain)
    model.train().encoder.set_dropout(0.0, 0.0)
    assert torch.equal(model(ids, offsets), plain)


def test_hidden_dropout_is_behind_the_embeddings_attention_and_feed_forward() -> None:
    model, (ids, offsets) = _model("bert-zh"), _texts("bert-zh")
    model.encoder.set_dropout(hidden=1.0, attention=0.0)
    # With all of it dropped nothing of the text is left: the norms see zeros, then each other's biases.
    states = torch.zeros(model.encoder.config.hidden)
    for layer in model.encoder.layers:
        states = layer.feed_forward_norm(layer.attention_norm(states))
    assert torch.allclose(model.encoder(ids, offsets), states.expand(len(ids), -1), atol=1e-6)


def test_dropout_keeps_the_mean() -> None:
    model, (ids, _) = _model("bert-zh"), _texts("bert-zh")
    embeddings = model.encoder.embeddings
    positions = torch.zeros_like(ids)
    plain = embeddings(ids, positions)
    model.encoder.set_dropout(hidden=0.25, attention=0.0)
    torch.manual_seed(0)
    dropped = torch.stack([embeddings(ids[:50], positions[:50]) for _ in range(400)])
    assert abs((dropped == 0).float().mean().item() - 0.25) < 0.01
    assert (dropped.mean(0) - plain[:50]).abs().mean() < 0.05 * plain.abs().mean()


@pytest.mark.parametrize("folder", FOLDERS)
def test_checkpointing_changes_no_gradient(folder: str) -> None:
    model, (ids, offsets) = _model(folder), _texts(folder)
    plain = _gradients(model, ids, offsets)
    model.encoder.checkpointing = True
    again = _gradients(model, ids, offsets)
    assert torch.equal(plain[0], again[0])
    assert _equal(plain[1], again[1])


def test_checkpointing_keeps_less() -> None:
    model, (ids, offsets) = _model("bert-zh"), _texts("bert-zh")

    def kept() -> int:
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            vectors = model(ids, offsets)
        return sum(sizes.values()) if vectors.requires_grad else 0

    plain = kept()
    model.encoder.checkpointing = True
    assert 0 < kept() < plain / 2


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    block=st.integers(1, 40),
    folder=st.sampled_from(("bert-zh", "modernbert", "gte-new")),
)
def test_gradients_are_those_of_each_text_alone(lengths: list[int], block: int, folder: str) -> None:
    model = _model(folder, torch.float64).double()
    rows = [
        torch.randint(5, 50, (length,), generator=torch.Generator().manual_seed(length)) for length in lengths
    ]
    weights = torch.randn(
        len(rows), model.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    usual = encoder_module._BLOCK_TOKENS
    try:
        encoder_module._BLOCK_TOKENS = block
        ids, offsets = flat([row.tolist() for row in rows])
        vectors = model(ids, offsets)
        (vectors * weights).sum().backward()
    finally:
        encoder_module._BLOCK_TOKENS = usual
    together = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    model.zero_grad()
    for row, weight, vector in zip(rows, weights, vectors, strict=True):
        alone = model(*flat([row.tolist()]))[0]
        assert torch.allclose(alone, vector, atol=1e-10)
        (alone * weight).sum().backward()
    for name, each in model.named_parameters():
        if each.grad is not None and each.grad.any():
            assert torch.allclose(together[name], each.grad, atol=1e-9), name


def test_no_gradient_of_all_texts_for_one_of_them() -> None:
    model = _model("bert-zh")
    vectors = model(*_texts("bert-zh"))
    seen, waiting = set(), [vectors.grad_fn]
    while waiting:
        function = waiting.pop()
        if function is not None and function not in seen:
            seen.add(function)
            waiting += [following for following, _ in function.next_functions]
    names = {function.name() for function in seen}
    assert any("ScaledDotProduct" in name for name in names)
    assert "SliceBackward0" not in names


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("folder", FOLDERS)
def test_half_precision_is_close_to_float32(folder: str, dtype: torch.dtype) -> None:
    model, (ids, offsets) = _model(folder), _texts(folder)
    wanted, gradients = _gradients(model, ids, offsets)
    with torch.autocast("cpu", dtype=dtype):
        states = model.encoder(ids, offsets)
        found, others = _gradients(model, ids, offsets)
    # The residuals and what is pooled stay in float32.
    assert states.dtype == found.dtype == torch.float32
    filled = offsets.diff() > 0
    assert torch.cosine_similarity(found[filled], wanted[filled]).min() > 0.999
    flat_others, flat_wanted = (torch.cat([each.flatten() for each in part]) for part in (others, gradients))
    assert torch.cosine_similarity(flat_others, flat_wanted, dim=0) > 0.99


@pytest.mark.parametrize("folder", FOLDERS)
def test_products_by_onednn_are_those_of_torch(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, (ids, offsets) = _model(folder), _texts(folder)
    asked = []
    monkeypatch.setattr(products, "prefers_onednn", lambda: False)
    wanted, gradients = _gradients(model, ids, offsets)
    monkeypatch.setattr(products, "prefers_onednn", lambda: asked.append(0) or True)
    found, others = _gradients(model, ids, offsets)
    assert len(asked) == 4 * len(model.encoder.layers)
    assert torch.allclose(found, wanted, atol=2e-5)
    for one, other in zip(others, gradients, strict=True):
        assert (one - other).norm() <= 1e-5 * other.norm() + 1e-5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (
            model.encoder.layers[0].qkv(torch.zeros(3, model.encoder.config.hidden)).dtype == torch.bfloat16
        )


def test_rows_without_gradient_ask_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "prefers_onednn", lambda: True)
    linear, x = products.Linear(6, 4), torch.randn(5, 6)
    linear.weight.requires_grad_(False)
    linear(x).sum().backward()
    assert linear.weight.grad is None
    assert linear.bias.grad is not None and linear.bias.grad.tolist() == [5.0] * 4
    assert linear(x[:0]).shape == (0, 4)


@pytest.mark.parametrize(
    "vendor, flags, preferred",
    [
        ("AuthenticAMD", "fpu avx2 avx512f", True),
        ("AuthenticAMD", "fpu avx2", False),
        ("GenuineIntel", "fpu avx2 avx512f", False),
    ],
)
def test_the_processor_decides_on_the_library(
    vendor: str, flags: str, preferred: bool, tmp_path: Path
) -> None:
    about = tmp_path / "cpuinfo"
    about.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    assert products.prefers_onednn(about) == preferred
    assert not products.prefers_onednn(tmp_path / "absent")
