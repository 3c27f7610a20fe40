"""Fewer layers, each with the weights it had."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model.oracles import FOLDERS, TEXTS, TINY, flat, token_ids

from yuyi.errors import RecipeError
from yuyi.model.config import read_config
from yuyi.model.weights import load_encoder
from yuyi.pipeline import read_pipeline
from yuyi.train.starting.cut_layers import cut_layers, spread

if TYPE_CHECKING:
    from yuyi.model.encoder import TransformerEncoder


def _encoder(name: str) -> TransformerEncoder:
    return load_encoder(TINY / name, read_config(TINY / name))


@given(st.integers(1, 40).flatmap(lambda layers: st.tuples(st.integers(1, layers), st.just(layers))))
def test_spread_evenly_from_the_first_to_the_last(numbers: tuple[int, int]) -> None:
    count, layers = numbers
    chosen = spread(count, layers)
    assert len(chosen) == count
    assert list(chosen) == sorted(set(chosen))
    assert chosen[0] == 0
    assert count == 1 or chosen[-1] == layers - 1
    gaps = [after - before for before, after in pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_six_of_twelve_as_distilbert() -> None:
    assert spread(6, 12) == (0, 2, 4, 7, 9, 11)
    assert spread(12, 12) == tuple(range(12))


@pytest.mark.parametrize("name", FOLDERS)
def test_all_layers_are_the_same_model(name: str) -> None:
    whole = _encoder(name)
    rows = flat(token_ids(read_pipeline(TINY / name), TEXTS))
    same = cut_layers(whole, whole.config.layers)
    with torch.inference_mode():
        assert torch.equal(whole(*rows), same(*rows))


@pytest.mark.parametrize("name", FOLDERS)
def test_states_of_the_first_layers(name: str) -> None:
    whole = _encoder(name)
    # In the order in which the encoder takes them.
    rows = flat(sorted(token_ids(read_pipeline(TINY / name), TEXTS), key=len))
    seen: list[torch.Tensor] = []
    whole.layers[0].register_forward_hook(lambda *call: seen.append(call[-1]))
    first = cut_layers(whole, (0,))
    assert first.config.layers == 1
    with torch.inference_mode():
        whole(*rows)
        assert torch.equal(whole.final_norm(seen[0]), first(*rows))


def test_windows_and_weights_go_with_their_layers() -> None:
    whole = _encoder("modernbert")
    chosen = cut_layers(whole, (0, 2, 3))
    assert chosen.config.windows == tuple(whole.config.windows[layer] for layer in (0, 2, 3))
    assert chosen.config.ropes == tuple(whole.config.ropes[layer] for layer in (0, 2, 3))
    assert len(set(chosen.config.windows)) == 2
    for place, layer in enumerate((0, 2, 3)):
        assert torch.equal(chosen.layers[place].qkv.weight, whole.layers[layer].qkv.weight)
    assert whole.config.layers == 4


@pytest.mark.parametrize(
    ("name", "keep", "message"),
    [
        ("bert-zh", 3, "keep_layers: 3, and the folder's model has 2"),
        ("bert-zh", (0, 2), r"keep_layers: \(0, 2\), and the folder's model has layers 0 to 1"),
        ("bert-zh", (), r"keep_layers: \(\), and the folder's model has layers 0 to 1"),
        ("bert-zh", (1, 0), r"keep_layers: \(1, 0\) does not rise"),
        ("bert-zh", (1, 1), r"keep_layers: \(1, 1\) does not rise"),
        ("modernbert", (1, 2), r"keep_layers: \(1, 2\), but layer 0 of a modernbert"),
    ],
)
def test_layers_that_cannot_be_kept(name: str, keep: int | tuple[int, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        cut_layers(_encoder(name), keep)
