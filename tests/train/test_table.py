from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.train.distributed import World
from yuyi.train.table import Parts, TokenTable, parts_of
from yuyi.types import TokenBatch

PIECES = (
    *("[UNK]", "胡", "子", "胡子", "胡须", "长胡子", "大胡子", "天天", "passport", "passports", "pass", "a"),
    *("?", "3", "\x1e"),
)
PARTS = Parts.of(PIECES)


def batch(*texts: list[int]) -> TokenBatch:
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64)
    return TokenBatch(np.array([piece for text in texts for piece in text], dtype=np.int32), offsets)


BATCHES = (
    st.lists(st.lists(st.integers(0, len(PIECES) - 1), max_size=5), min_size=1, max_size=8)
    .filter(any)
    .map(lambda texts: batch(*texts))
)


def table(seed: int = 0, dim: int = 4) -> TokenTable:
    vectors = np.random.default_rng(seed).normal(size=(PARTS.count, dim)).astype(np.float32)
    return TokenTable(PARTS, vectors)


@pytest.mark.parametrize(
    ("piece", "parts"),
    [
        ("胡", ["=胡"]),
        ("胡子", ["=胡子", "c胡", "c子"]),
        ("大胡子", ["=大胡子", "c大", "c胡", "c子", "b大胡", "b胡子"]),
        ("passports", ["=passports", "spassp"]),
        ("pass", ["=pass"]),
        ("3", ["=3"]),
        ("[UNK]", ["=[UNK]"]),
        ("a天", ["=a天"]),
    ],
)
def test_parts_of_a_piece(piece: str, parts: list[str]) -> None:
    assert parts_of(piece) == parts


def test_parts_are_shared_where_pieces_are_related() -> None:
    numbers = [set(PARTS.ids[a:b].tolist()) for a, b in pairwise(PARTS.offsets)]
    rows = {piece: row for row, piece in enumerate(PIECES)}
    assert all(row in numbers[row] for row in rows.values())
    # A character that is a piece lends its own vector to the words that hold it.
    assert {rows["胡"], rows["子"], rows["胡子"]} == numbers[rows["胡子"]]
    # Two words share 胡子 as a two-character word; 长 and 大 occur once, and stand for nothing alone.
    shared = numbers[rows["长胡子"]] & numbers[rows["大胡子"]]
    assert len(shared) == 3
    assert len(numbers[rows["passport"]] & numbers[rows["passports"]]) == 1
    assert numbers[rows["pass"]] == {rows["pass"]}
    assert set(PARTS.ids.tolist()) == set(range(PARTS.count))


@given(BATCHES)
def test_embedded_texts_are_sums_of_folded_rows(texts: TokenBatch) -> None:
    subject = table()
    folded = subject.fold()
    expected = [folded[texts.ids[a:b]].sum(axis=0) for a, b in pairwise(texts.offsets)]
    np.testing.assert_allclose(subject.embed(texts).detach().numpy(), expected, atol=1e-5)


def test_a_folded_row_is_the_sum_of_its_parts() -> None:
    subject = table()
    row = PIECES.index("大胡子")
    expected = subject.vectors[PARTS.ids[PARTS.offsets[row] : PARTS.offsets[row + 1]]].sum(0)
    np.testing.assert_allclose(subject.fold()[row], expected.numpy(), atol=1e-6)
    assert subject.fold().shape == (len(PIECES), 4)


def dense_loss(vectors: torch.Tensor, texts: TokenBatch, target: torch.Tensor) -> torch.Tensor:
    """The loss below, without any of the table's shortcuts."""
    matrix = torch.zeros(len(PIECES), PARTS.count, dtype=vectors.dtype)
    for piece in range(len(PIECES)):
        for part in PARTS.ids[PARTS.offsets[piece] : PARTS.offsets[piece + 1]]:
            matrix[piece, part] += 1
    rows = matrix @ vectors
    loss = torch.zeros(())
    for a, b in pairwise(texts.offsets):
        pieces = torch.from_numpy(texts.ids[a:b].astype(np.int64))
        loss = loss + (rows[pieces].sum(0) - target).square().sum()
    return loss


def table_loss(subject: TokenTable, texts: TokenBatch, target: torch.Tensor) -> torch.Tensor:
    return (subject.embed(texts) - target).square().sum()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@given(st.lists(BATCHES, min_size=1, max_size=6))
def test_updates_are_those_of_sparse_adam(steps: list[TokenBatch]) -> None:
    """torch's SparseAdam also leaves untouched rows and their moments at rest."""
    # In double precision: Adam makes whole steps of gradients that are nothing but rounding.
    vectors = table().vectors.double()
    subject, target = TokenTable(PARTS, vectors.numpy()), torch.tensor([1.0, -1, 2, 0], dtype=torch.float64)
    reference = vectors.clone().requires_grad_()
    optimizer = torch.optim.SparseAdam([reference], lr=0.1)
    for number, texts in enumerate(steps):
        table_loss(subject, texts, target).backward()
        subject.step(0.1)
        optimizer.zero_grad()
        dense_loss(reference, texts, target).backward()
        used = sorted({int(part) for part in PARTS.of_pieces(texts.ids.astype(np.int64))[0]})
        index = torch.tensor([used])
        reference.grad = torch.sparse_coo_tensor(index, reference.grad[index[0]], reference.shape)
        optimizer.step()
        np.testing.assert_allclose(
            subject.vectors.numpy(), reference.detach().numpy(), atol=2e-4, err_msg=f"step {number}"
        )


def test_where_every_row_is_touched_it_is_plain_adam() -> None:
    subject, target = table(), torch.tensor([1.0, -1, 2, 0])
    reference = subject.vectors.clone().requires_grad_()
    optimizer = torch.optim.Adam([reference], lr=0.05)
    everything = batch(list(range(len(PIECES))), list(range(0, len(PIECES), 2)))
    losses = []
    for _ in range(20):
        loss = table_loss(subject, everything, target)
        loss.backward()
        subject.step(0.05)
        losses.append(loss.item())
        optimizer.zero_grad()
        dense_loss(reference, everything, target).backward()
        optimizer.step()
    np.testing.assert_allclose(subject.vectors.numpy(), reference.detach().numpy(), atol=1e-4)
    assert losses[-1] < losses[0] / 2


def test_rows_that_a_batch_does_not_touch_rest() -> None:
    subject, target = table(), torch.ones(4)
    before = subject.vectors.clone()
    table_loss(subject, batch([PIECES.index("胡子")]), target).backward()
    subject.step(0.1)
    moved = (subject.vectors != before).any(dim=1).numpy()
    assert set(np.flatnonzero(moved)) == {PIECES.index(piece) for piece in ("胡子", "胡", "子")}
    assert not subject.moments()["mean"][~moved].any()
    assert not subject.moments()["square"][~moved].any()


def test_an_update_needs_gradients() -> None:
    subject = table()
    with pytest.raises(RuntimeError, match="bug in yuyi"):
        subject.step(0.1)
    table_loss(subject, batch([1]), torch.ones(4)).backward()
    subject.step(0.1)
    with pytest.raises(RuntimeError, match="bug in yuyi"):
        subject.step(0.1)


def test_a_table_has_one_process() -> None:
    with pytest.raises(InputError, match=r"WORLD_SIZE is 2: a token table is trained by one process"):
        table().step(0.1, World(0, 2))
