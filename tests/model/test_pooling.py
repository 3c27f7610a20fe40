"""Pooling over texts laid end to end against sentence-transformers' pooling of padded ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yuyi.model.pooling import pool
from yuyi.pipeline import POOLINGS

PEER_NAMES = {"mean_sqrt_len": "mean_sqrt_len_tokens", "last": "lasttoken"}


def _peer(states: torch.Tensor, lengths: list[int], modes: tuple[str, ...], skip: int) -> torch.Tensor:
    from sentence_transformers.sentence_transformer.modules import Pooling

    rows = states.split(lengths)
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = (torch.arange(padded.shape[1]) < torch.tensor(lengths)[:, None]).long()
    module = Pooling(
        states.shape[1], tuple(PEER_NAMES.get(mode, mode) for mode in modes), include_prompt=False
    )
    features = {"token_embeddings": padded, "attention_mask": mask, "prompt_length": skip}
    return module(features)["sentence_embedding"]


@pytest.mark.parametrize("skip", [0, 2])
@pytest.mark.parametrize("modes", [*((mode,) for mode in POOLINGS), ("cls", "max", "mean")])
def test_as_sentence_transformers_pools(modes: tuple[str, ...], skip: int) -> None:
    lengths = [5, 3, 9, 3, 30]
    states = torch.randn(sum(lengths), 6, generator=torch.Generator().manual_seed(1))
    got = pool(states, torch.tensor([0, *lengths]).cumsum(0), modes, skip)
    wanted = _peer(states, lengths, modes, skip)
    assert got.shape == (5, 6 * len(modes))
    assert (got - wanted).abs().max() <= 1e-6


@given(lengths=st.lists(st.integers(0, 12), min_size=0, max_size=6), skip=st.integers(0, 4))
@pytest.mark.parametrize("mode", POOLINGS)
def test_each_text_by_itself(mode: str, lengths: list[int], skip: int) -> None:
    states = torch.randn(sum(lengths), 4, generator=torch.Generator().manual_seed(2))
    vectors = pool(states, torch.tensor([0, *lengths]).cumsum(0), (mode,), skip)
    assert vectors.shape == (len(lengths), 4)
    assert vectors.dtype == torch.float32
    for vector, own in zip(vectors, states.split(lengths), strict=True):
        if len(own) == 0:
            assert not vector.any()
        else:
            alone = pool(own, torch.tensor([0, len(own)]), (mode,), skip)
            assert torch.equal(vector, alone[0])


def test_a_text_no_longer_than_the_prompt_keeps_its_tokens() -> None:
    states = torch.randn(3, 4, generator=torch.Generator().manual_seed(3))
    offsets = torch.tensor([0, 3])
    assert torch.equal(pool(states, offsets, ("mean",), 3), pool(states, offsets, ("mean",), 0))


def test_half_precision_is_summed_in_float32() -> None:
    states = torch.full((4096, 2), 1.0, dtype=torch.float16) * 33
    vectors = pool(states, torch.tensor([0, 4096]), ("mean",))
    assert torch.equal(vectors, torch.full((1, 2), 33.0))
