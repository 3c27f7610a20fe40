"""Ragged attention against the plain formula, one text after another."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from yuyi.model.attention import Run, attention, find_spans


def _plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: list[int], window: int | None):
    parts = []
    for q1, k1, v1 in zip(q.split(lengths), k.split(lengths), v.split(lengths), strict=True):
        scores = torch.einsum("ihd,jhd->hij", q1, k1) / math.sqrt(q.shape[-1])
        place = torch.arange(len(q1))
        far = (place[:, None] - place).abs() > (len(q1) if window is None else window)
        shares = scores.masked_fill(far, -math.inf).softmax(-1)
        parts.append(torch.einsum("hij,jhd->ihd", shares, v1))
    return torch.cat(parts)


def _offsets(lengths: list[int]) -> torch.Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    window=st.none() | st.integers(0, 45),
)
def test_any_lengths_and_windows(lengths: list[int], window: int | None) -> None:
    q, k, v = torch.randn(3, sum(lengths), 2, 8, generator=torch.Generator().manual_seed(1))
    got = attention(q, k, v, find_spans(_offsets(lengths)), window=window)
    assert got.shape == q.shape
    if got.numel():
        assert (got - _plain(q, k, v, lengths, window)).abs().max() <= 5e-6


def test_a_text_of_many_blocks() -> None:
    lengths = [500, 500, 3, 200]
    q, k, v = torch.randn(3, sum(lengths), 2, 8, generator=torch.Generator().manual_seed(2))
    got = attention(q, k, v, find_spans(_offsets(lengths)), window=7)
    assert (got - _plain(q, k, v, lengths, 7)).abs().max() <= 1e-6


def test_neighbours_of_equal_length_are_one_run() -> None:
    spans = find_spans(_offsets([3, 3, 0, 5, 3]))
    assert spans.runs == (Run(0, 2, 3), Run(6, 1, 5), Run(11, 1, 3))
    assert spans.longest == 5
    assert spans.offsets.dtype == torch.int32
