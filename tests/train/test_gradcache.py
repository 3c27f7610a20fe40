from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.train.gradcache import backward, join, replayed
from yuyi.train.losses import cosent, info_nce
from yuyi.train.matryoshka import matryoshka

from .tiny import gradients, learner, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from yuyi.types import TokenBatch

    Objective = Callable[[Sequence[torch.Tensor]], torch.Tensor]

DIMS = {32: 1.0, 16: 0.5, 8: 0.25}
FORMS = [("forward", "twice"), ("symmetric", "twice"), ("improved", "twice"), ("improved", "once")]


def plain(name: str, columns: Sequence[TokenBatch], objective: Objective) -> tuple[float, torch.Tensor]:
    """Loss and gradients with nothing but torch: every text embedded by itself, all graphs kept."""
    subject = learner(name)
    vectors = [
        torch.cat(
            [
                subject.embed(type(column)(column.ids[a:b], np.array([0, b - a])))
                for a, b in zip(column.offsets[:-1], column.offsets[1:], strict=True)
            ]
        )
        for column in columns
    ]
    loss = objective(vectors)
    loss.backward()
    return loss.item(), gradients(subject)


def contrast(form: str, diagonal: str, owners: list[int]) -> Objective:
    wrapped = matryoshka(info_nce, DIMS)

    def objective(vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        return wrapped(
            *vectors,
            temperature=0.05,
            form=form,
            diagonal=diagonal,
            owners=torch.tensor(owners) if owners else None,
        )

    return objective


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    rows=st.integers(1, 7),
    form=st.sampled_from(FORMS),
    budget=st.integers(1, 60),
    name=st.sampled_from(["bert-zh", "bert-dense", "modernbert"]),
)
def test_cached_gradients_are_the_plain_ones(
    data: st.DataObject, rows: int, form: tuple[str, str], budget: int, name: str
) -> None:
    """Over random lengths, negatives, budgets and forms, with Matryoshka; relative error in float64."""
    length = st.integers(1, 12)
    owners = sorted(data.draw(st.lists(st.integers(0, rows - 1), max_size=5)))
    columns = [
        texts(data.draw(st.lists(length, min_size=count, max_size=count)), seed)
        for seed, count in enumerate([rows, rows, *([len(owners)] if owners else [])])
    ]
    objective = contrast(*form, owners)
    wanted, expected = plain(name, columns, objective)
    subject = learner(name, token_budget=budget)
    found = backward(subject, columns, objective, seed=[0, 1])
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    if rows > 1 or owners:
        assert expected.norm() > 0
    assert (gradients(subject) - expected).norm() <= 1e-9 * max(1.0, expected.norm())


def test_any_objective_of_embeddings_goes_through_the_cache() -> None:
    columns = [texts([3, 5, 2, 9], 0), texts([4, 4, 1, 2], 1)]
    objective = partial(cosent, labels=torch.tensor([0.0, 2.0, 1.0, 5.0]), scale=20.0)
    wanted, expected = plain("bert-zh", columns, lambda vectors: objective(*vectors))
    subject = learner(token_budget=7)
    assert backward(subject, columns, lambda vectors: objective(*vectors), seed=[3]) == pytest.approx(wanted)
    assert (gradients(subject) - expected).norm() < 1e-10 * expected.norm()
    assert expected.norm() > 1e-3


def test_two_batches_before_a_step_add_up() -> None:
    """Several losses may be gathered in one step; no batch overwrites another's cache."""
    batches = [[texts([3, 5, 2], seed), texts([4, 1, 6], seed + 9)] for seed in range(2)]
    objective = contrast("symmetric", "twice", [])
    expected = sum(plain("bert-zh", columns, objective)[1] for columns in batches)
    subject = learner(token_budget=6)
    for columns in batches:
        backward(subject, columns, objective, seed=[0])
    assert (gradients(subject) - expected).norm() < 1e-10 * expected.norm()


def test_dropout_is_the_same_the_second_time() -> None:
    """The embeddings that the objective saw are, bit for bit, those that its gradient goes through."""
    columns = [texts([3, 5, 2, 8], 0), texts([4, 4, 7, 2], 1)]
    subject = learner(token_budget=9)
    subject.embedder.encoder.set_dropout(0.2, 0.1)
    passes: list[torch.Tensor] = []
    embed = subject.embed

    def watched(batch: TokenBatch) -> torch.Tensor:
        vectors = embed(batch)
        passes.append(vectors.detach().clone())
        return vectors

    subject.embed = watched  # type: ignore[method-assign]
    backward(subject, columns, contrast("improved", "twice", []), seed=[5, 2])
    half = len(passes) // 2
    assert half > 2
    assert all(torch.equal(a, b) for a, b in zip(passes[:half], passes[half:], strict=True))
    undisturbed = embed(join(columns))
    again = embed(join(columns))
    assert not torch.equal(undisturbed, again)  # Dropout is on, and each pass draws anew.
    subject.embedder.eval()
    assert torch.equal(embed(join(columns)), embed(join(columns)))


def test_chunks_drop_out_differently_and_steps_too() -> None:
    draws = []
    for seed in ([0, 1, 0], [0, 1, 1], [0, 2, 0], [0, 1, 0]):
        with replayed(seed, torch.device("cpu")):
            draws.append(torch.rand(8))
    assert torch.equal(draws[0], draws[3])
    assert not any(torch.equal(draws[0], other) for other in draws[1:3])


def test_random_numbers_outside_go_on_as_before() -> None:
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    with replayed([1], torch.device("cpu")):
        torch.rand(100)
    assert torch.equal(torch.rand(2), expected)


def test_a_single_chunk_is_embedded_once() -> None:
    subject = learner(token_budget=1_000)
    calls = 0
    embed = subject.embed

    def counted(batch: TokenBatch) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return embed(batch)

    subject.embed = counted  # type: ignore[method-assign]
    backward(subject, [texts([3, 5], 0), texts([4, 4], 1)], contrast("forward", "twice", []), seed=[0])
    assert calls == 1


def test_a_text_longer_than_the_budget_gets_a_chunk_of_its_own() -> None:
    columns = [texts([30, 2], 0), texts([4, 25], 1)]
    objective = contrast("improved", "once", [])
    _, expected = plain("bert-zh", columns, objective)
    subject = learner(token_budget=5)
    backward(subject, columns, objective, seed=[0])
    assert (gradients(subject) - expected).norm() < 1e-10 * expected.norm()
