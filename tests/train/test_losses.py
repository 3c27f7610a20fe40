"""Objectives but InfoNCE, which has a file of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yuyi.train.losses import (
    alignment,
    cosent,
    cosines,
    info_nce,
    label_contrast,
    margin_mse,
    relation,
    score_kl,
    spread_out,
    squared_distance,
    tuple_contrast,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = st.integers(0, 10_000)


def rows(seed: int, *sizes: int) -> list[torch.Tensor]:
    """Matrices of 6 columns with these numbers of rows, in float64; they carry gradients."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 6, generator=generator, dtype=torch.float64).requires_grad_() for size in sizes]


def unit(vectors: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors, dim=1)


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    x, y = a.detach(), b.detach()
    return float(x @ y / (x.norm() * y.norm()))


def gradients(loss: torch.Tensor, *inputs: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, inputs, retain_graph=True))


def assert_learns(loss: torch.Tensor, *inputs: torch.Tensor) -> None:
    """The loss is a finite scalar, and every input gets a gradient that is finite and not zero."""
    assert loss.shape == ()
    assert torch.isfinite(loss)
    for gradient in gradients(loss, *inputs):
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 1e-9


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, *inputs: torch.Tensor) -> None:
    """Equal values and gradients, neither of them zero."""
    assert_learns(ours, *inputs)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)
    for own, expected in zip(gradients(ours, *inputs), gradients(theirs, *inputs), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-9, atol=1e-9)


def test_a_vector_of_no_length_is_at_right_angles_to_all() -> None:
    left, right = rows(1, 3, 4)
    with torch.no_grad():
        left[1] = 0
    found = cosines(left, right, 0.5)
    assert not found[1].any()
    assert found[0, 2].item() == pytest.approx(cosine(left[0], right[2]) / 0.5, rel=1e-12)
    (gradient,) = gradients(found.sum(), left)
    assert not gradient[1].any()
    assert gradient[0].all()


@given(
    n=st.integers(1, 7), labels=st.sampled_from([2, 3, 50]), scale=st.sampled_from([1.0, 20.0]), seed=SEEDS
)
def test_cosent_is_its_formula(n: int, labels: int, scale: float, seed: int) -> None:
    left, right = rows(seed, n, n)
    judged = torch.from_numpy(np.random.default_rng(seed).integers(0, labels, n))
    terms = [
        math.exp(scale * (cosine(left[j], right[j]) - cosine(left[i], right[i])))
        for i in range(n)
        for j in range(n)
        if judged[i] > judged[j]
    ]
    loss = cosent(left, right, labels=judged, scale=scale)
    assert loss.item() == pytest.approx(math.log(1 + sum(terms)), rel=1e-9, abs=1e-12)


def test_cosent_is_that_of_sentence_transformers() -> None:
    from sentence_transformers.sentence_transformer.losses import CoSENTLoss

    left, right = rows(5, 9, 9)
    judged = torch.tensor([0, 1, 0, 1, 1, 0, 0, 1, 0.5])
    expected = CoSENTLoss(None, scale=20.0).compute_loss_from_embeddings([left, right], judged)  # type: ignore[arg-type]
    assert_same(cosent(left, right, labels=judged, scale=20.0), expected, left, right)


@pytest.mark.parametrize("n", [1, 4])
def test_cosent_without_an_order_asks_nothing(n: int) -> None:
    left, right = rows(6, n, n)
    loss = cosent(left, right, labels=torch.ones(n), scale=20.0)
    assert loss.item() == 0
    assert not gradients(loss, left)[0].any()


@given(n=st.integers(1, 8), classes=st.integers(1, 4), seed=SEEDS)
def test_label_contrast_is_its_formula(n: int, classes: int, seed: int) -> None:
    (embeddings,) = rows(seed, n)
    labels = np.random.default_rng(seed).integers(0, classes, n)
    shares = []
    for i in range(n):
        others = [j for j in range(n) if j != i]
        partners = [j for j in others if labels[j] == labels[i]]
        if partners:
            whole = math.log(sum(math.exp(cosine(embeddings[i], embeddings[j]) / 0.2) for j in others))
            own = [cosine(embeddings[i], embeddings[j]) / 0.2 - whole for j in partners]
            shares.append(-sum(own) / len(own))
    loss = label_contrast(embeddings, labels=torch.from_numpy(labels), temperature=0.2)
    assert loss.item() == pytest.approx(sum(shares) / len(shares) if shares else 0.0, rel=1e-9, abs=1e-12)
    assert torch.isfinite(gradients(loss, embeddings)[0]).all()


@given(n=st.integers(1, 8), texts=st.integers(1, 9), seed=SEEDS)
def test_equal_texts_are_no_others_of_one_another(n: int, texts: int, seed: int) -> None:
    (embeddings,) = rows(seed, n)
    draw = np.random.default_rng(seed)
    labels, keys = draw.integers(0, 2, n), draw.integers(0, texts, n)
    shares = []
    for i in range(n):
        others = [j for j in range(n) if keys[j] != keys[i]]
        partners = [j for j in others if labels[j] == labels[i]]
        if partners:
            whole = math.log(sum(math.exp(cosine(embeddings[i], embeddings[j]) / 0.2) for j in others))
            own = [cosine(embeddings[i], embeddings[j]) / 0.2 - whole for j in partners]
            shares.append(-sum(own) / len(own))
    known = {"labels": torch.from_numpy(labels), "keys": torch.from_numpy(keys)}
    loss = label_contrast(embeddings, **known, temperature=0.2)
    assert loss.item() == pytest.approx(sum(shares) / len(shares) if shares else 0.0, rel=1e-9, abs=1e-12)
    assert torch.isfinite(gradients(loss, embeddings)[0]).all()


@given(n=st.integers(1, 9), block=st.integers(1, 9), seed=SEEDS)
def test_blocks_change_nothing(n: int, block: int, seed: int) -> None:
    student, teacher = rows(seed, n, n)
    draw = np.random.default_rng(seed)
    known = {name: torch.from_numpy(draw.integers(0, most, n)) for name, most in (("labels", 3), ("keys", 9))}

    def loss(block: int | None) -> torch.Tensor:
        judged = label_contrast(student, **known, temperature=0.1, block=block)
        return judged + relation(student, teacher, temperature=0.1, block=block)

    blocks, whole = loss(block), loss(None)
    assert blocks.item() == pytest.approx(whole.item(), rel=1e-9, abs=1e-12)
    for own, expected in zip(
        gradients(blocks, student, teacher), gradients(whole, student, teacher), strict=True
    ):
        torch.testing.assert_close(own, expected, rtol=1e-9, atol=1e-9)


@given(n=st.integers(1, 40), labels=st.sampled_from([1, 2, 6, 50]), seed=SEEDS)
def test_the_running_sum_of_cosent_has_the_gradient_of_all_pairs(n: int, labels: int, seed: int) -> None:
    left, right = rows(seed, n, n)
    judged = torch.from_numpy(np.random.default_rng(seed).integers(0, labels, n))
    scores = 20.0 * (unit(left) * unit(right)).sum(1)
    gaps = (scores[None, :] - scores[:, None])[judged[:, None] > judged[None, :]]
    expected = torch.cat([scores.new_zeros(1) + 0 * scores.sum(), gaps]).logsumexp(0)
    loss = cosent(left, right, labels=judged, scale=20.0)
    for own, other in zip(gradients(loss, left, right), gradients(expected, left, right), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "objective",
    [
        lambda a, b, block: cosent(a, b, labels=torch.arange(64) % 5, scale=20.0),
        lambda a, b, block: label_contrast(a + b, labels=torch.arange(64) % 5, temperature=0.1, block=block),
        lambda a, b, block: relation(a, b, temperature=0.1, block=block),
    ],
)
def test_no_matrix_of_all_pairs_is_kept(objective: Callable[..., torch.Tensor]) -> None:
    sides = rows(9, 64, 64)
    largest = 0

    def saved(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal largest
        largest = max(largest, tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(saved, lambda tensor: tensor):
        loss = objective(*sides, 8)
    assert largest == sides[0].numel()
    assert_learns(loss, *sides)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    half = [matrix.detach().to(dtype) for matrix in rows(4, 9, 9, 9)]
    owners, scores = torch.arange(9), torch.randn(18, generator=torch.Generator().manual_seed(0)).to(dtype)
    known = {"owners": owners, "scores": scores}
    single = {"owners": owners, "scores": scores.float()}

    def losses(
        a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, known: dict[str, torch.Tensor]
    ) -> list[torch.Tensor]:
        return [
            cosent(a, b, labels=owners % 4, scale=20.0),
            label_contrast(a, labels=owners % 4, temperature=0.05),
            tuple_contrast(a, b, c, owners=owners, temperature=0.05),
            relation(a, b, temperature=0.05),
            alignment(a, b),
            squared_distance(a, b),
            margin_mse(a, b, c, **known),
            score_kl(a, b, c, **known, temperature=0.05),
            spread_out(a, b),
        ]

    found = losses(*half, known)
    expected = losses(*(each.float() for each in half), single)
    assert [loss.dtype for loss in found] == [torch.float32] * len(found)
    assert [loss.item() for loss in found] == [loss.item() for loss in expected]


def test_label_contrast_learns() -> None:
    (embeddings,) = rows(7, 6)
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    assert_learns(label_contrast(embeddings, labels=labels, temperature=0.1), embeddings)


@given(n=st.integers(1, 5), m=st.integers(0, 8), temperature=st.sampled_from([0.05, 1.0]), seed=SEEDS)
def test_tuple_contrast_is_its_formula(n: int, m: int, temperature: float, seed: int) -> None:
    texts, partners, negatives = rows(seed, n, n, m)
    owners = np.random.default_rng(seed).integers(0, n, m)
    total = 0.0
    for i in range(n):
        own = cosine(texts[i], partners[i]) / temperature
        others = [cosine(texts[i], negatives[k]) / temperature for k in range(m) if owners[k] == i]
        total += math.log(sum(math.exp(score - own) for score in [own, *others]))
    loss = tuple_contrast(
        texts, partners, negatives, owners=torch.from_numpy(owners), temperature=temperature
    )
    assert loss.item() == pytest.approx(total / n, rel=1e-9, abs=1e-12)
    assert all(torch.isfinite(gradient).all() for gradient in gradients(loss, texts, partners))


def test_tuple_contrast_is_cross_entropy_where_each_row_has_as_many() -> None:
    texts, partners, first, second = rows(3, 4, 4, 4, 4)
    scores = torch.stack(
        [(unit(texts) * unit(column)).sum(1) / 0.05 for column in (partners, first, second)], 1
    )
    expected = torch.nn.functional.cross_entropy(scores, torch.zeros(4, dtype=torch.int64))
    owners = torch.arange(4).repeat(2)
    loss = tuple_contrast(texts, partners, torch.cat([first, second]), owners=owners, temperature=0.05)
    assert_same(loss, expected, texts, partners, first, second)


@given(n=st.integers(1, 6), seed=SEEDS)
def test_alignment_is_one_minus_the_mean_cosine(n: int, seed: int) -> None:
    student, teacher = rows(seed, n, n)
    expected = 1 - sum(cosine(student[i], teacher[i]) for i in range(n)) / n
    assert alignment(student, teacher).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert_learns(alignment(student, teacher), student)
    assert alignment(student, 3 * student).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "mse"])
def test_alignments_are_those_of_sentence_transformers(metric: str) -> None:
    from sentence_transformers.sentence_transformer.losses import EmbedDistillLoss

    student, teacher = rows(2, 5, 5)
    theirs = EmbedDistillLoss(None, distance_metric=metric)  # type: ignore[arg-type]
    expected = theirs.compute_loss_from_embeddings([student], [teacher.detach()])
    if metric == "cosine":
        assert_same(alignment(student, teacher.detach()), expected, student)
    else:  # Theirs is a mean over dimensions.
        assert_same(squared_distance(student, teacher.detach()), expected * 6, student)


def test_squared_distance_of_unit_vectors_is_twice_their_alignment() -> None:
    student, teacher = rows(2, 5, 5)
    loss = squared_distance(unit(student), unit(teacher))
    assert_same(loss, 2 * alignment(student, teacher), student, teacher)


@given(n=st.integers(1, 6), seed=SEEDS)
def test_relation_is_a_divergence(n: int, seed: int) -> None:
    student, teacher = rows(seed, n, n)
    teacher = torch.cat([teacher, teacher], dim=1)  # Its length may differ.

    def shares(vectors: torch.Tensor, i: int) -> list[float]:
        powers = [math.exp(cosine(vectors[i], vectors[j]) / 0.5) for j in range(n) if j != i]
        return [power / sum(powers) for power in powers]

    expected = sum(
        wanted * math.log(wanted / found)
        for i in range(n)
        for wanted, found in zip(shares(teacher, i), shares(student, i), strict=True)
    )
    loss = relation(student, teacher.detach(), temperature=0.5)
    assert loss.item() == pytest.approx(expected / n, rel=1e-9, abs=1e-12)
    assert torch.isfinite(gradients(loss, student)[0]).all()
    if n > 2:
        assert_learns(loss, student)


@pytest.mark.parametrize("columns", [1, 3])
def test_margin_mse_is_that_of_sentence_transformers(columns: int) -> None:
    from sentence_transformers.sentence_transformer.losses import MarginMSELoss
    from sentence_transformers.util import pairwise_cos_sim

    queries, documents, *further = rows(4, *(5,) * (2 + columns))
    scores = torch.from_numpy(np.random.default_rng(4).normal(size=(5, 1 + columns)))
    theirs = MarginMSELoss(None, similarity_fct=pairwise_cos_sim)  # type: ignore[arg-type]
    expected = theirs.compute_loss_from_embeddings([queries, documents, *further], scores)
    loss = margin_mse(
        queries,
        documents,
        torch.cat(further),
        owners=torch.arange(5).repeat(columns),
        scores=scores.T.flatten(),
    )
    assert_same(loss, expected, queries, documents, *further)


@pytest.mark.parametrize("columns", [1, 3])
def test_score_kl_is_that_of_sentence_transformers(columns: int) -> None:
    from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss
    from sentence_transformers.util import pairwise_cos_sim

    queries, documents, *further = rows(4, *(5,) * (2 + columns))
    scores = torch.from_numpy(np.random.default_rng(4).normal(size=(5, 1 + columns)))
    theirs = DistillKLDivLoss(
        None,  # type: ignore[arg-type]
        similarity_fct=pairwise_cos_sim,
        student_temperature=0.05,
        teacher_temperature=0.5,
    )
    expected = theirs.compute_loss_from_embeddings([queries, documents, *further], scores)
    loss = score_kl(
        queries,
        documents,
        torch.cat(further),
        owners=torch.arange(5).repeat(columns),
        scores=scores.T.flatten(),
        temperature=0.05,
        teacher_temperature=0.5,
    )
    assert_same(loss, expected / 0.05**2, queries, documents, *further)


@given(n=st.integers(1, 5), m=st.integers(0, 8), seed=SEEDS)
def test_ragged_scores_are_those_of_each_row(n: int, m: int, seed: int) -> None:
    """A row's loss is what it would be alone."""
    queries, documents, negatives = rows(seed, n, n, m)
    draw = np.random.default_rng(seed)
    owners, scores = torch.from_numpy(draw.integers(0, n, m)), torch.from_numpy(draw.normal(size=n + m))

    def both(chosen: torch.Tensor, kept: torch.Tensor, owners: torch.Tensor) -> tuple[float, float]:
        texts = queries[chosen], documents[chosen], negatives[kept]
        wanted = torch.cat([scores[:n][chosen], scores[n:][kept]])
        divergence = score_kl(*texts, owners=owners, scores=wanted, temperature=0.1)
        error = margin_mse(*texts, owners=owners, scores=wanted, scale=4.0)
        assert all(torch.isfinite(one).all() for one in gradients(divergence + error, queries, documents))
        return divergence.item(), error.item()

    whole = both(torch.arange(n), torch.arange(m), owners)
    alone = [
        both(torch.tensor([i]), kept, torch.zeros_like(kept))
        for i in range(n)
        for kept in [torch.nonzero(owners == i)[:, 0]]
    ]
    counts = torch.bincount(owners, minlength=n).tolist()
    divergence = sum(one for one, _ in alone) / n
    error = sum(one * count for (_, one), count in zip(alone, counts, strict=True)) / max(1, m)
    assert whole == (
        pytest.approx(divergence, rel=1e-9, abs=1e-12),
        pytest.approx(error, rel=1e-9, abs=1e-12),
    )


def test_a_teacher_that_agrees_asks_nothing() -> None:
    queries, documents, negatives = rows(9, 3, 3, 4)
    owners = torch.tensor([0, 2, 2, 1])
    own = (unit(queries) * unit(documents)).sum(1)
    others = (unit(queries)[owners] * unit(negatives)).sum(1)
    scores = 3 * torch.cat([own, others]).detach()
    texts = (queries, documents, negatives)
    agreed = score_kl(*texts, owners=owners, scores=scores, temperature=0.1, teacher_temperature=0.3)
    assert agreed.item() == pytest.approx(0, abs=1e-12)
    assert margin_mse(*texts, owners=owners, scores=scores, scale=3.0).item() == pytest.approx(0, abs=1e-12)
    assert_learns(margin_mse(*texts, owners=owners, scores=scores.flip(0)), *texts)
    assert_learns(score_kl(*texts, owners=owners, scores=scores.flip(0), temperature=0.1), *texts)


@given(n=st.integers(1, 9), seed=SEEDS)
def test_spread_out_is_the_mean_square_between_rows(n: int, seed: int) -> None:
    left, right = rows(seed, n, n)
    expected = sum(
        cosine(column[i], column[j]) ** 2 / (n * (n - 1))
        for column in (left, right)
        for i in range(n)
        for j in range(n)
        if i != j
    )
    assert spread_out(left, right).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert spread_out(left).item() <= spread_out(left, right).item() + 1e-12


def test_spread_out_is_that_of_sentence_transformers() -> None:
    """Theirs is above the 1/dim of random directions, and zero below."""
    from sentence_transformers.sentence_transformer.losses import GlobalOrthogonalRegularizationLoss

    left, right = (column + 1 for column in rows(2, 7, 7))
    theirs = GlobalOrthogonalRegularizationLoss(None, mean_weight=None, aggregation="sum")  # type: ignore[arg-type]
    expected = theirs.compute_loss_from_embeddings([left, right])["gor_second_moment"]
    assert_same(spread_out(left, right), expected + 2 / 6, left, right)


@pytest.mark.parametrize(
    "objective",
    [
        lambda a, b: cosent(a, b, labels=torch.tensor([0, 1, 0, 1]), scale=20.0),
        lambda a, b: label_contrast(torch.cat([a, b]), labels=torch.arange(8) % 3, temperature=0.05),
        lambda a, b: tuple_contrast(a, b, b.flip(0), owners=torch.arange(4), temperature=0.05),
        lambda a, b: margin_mse(a, b, b.flip(0), owners=torch.arange(4), scores=torch.arange(8.0)),
        lambda a, b: score_kl(
            a, b, b.flip(0), owners=torch.arange(4), scores=torch.arange(8.0).cos(), temperature=0.05
        ),
        lambda a, b: relation(a, b, temperature=0.05) + alignment(a, b),
        lambda a, b: spread_out(a, b),
        lambda a, b: info_nce(a, b, temperature=0.05),
    ],
)
def test_a_text_without_tokens_hurts_nobody(
    objective: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> None:
    """Its embedding is zero; gradients stay finite and of a common size, and it gets none."""
    left, right = rows(8, 4, 4)
    with torch.no_grad():
        left[1] = 0
        right[3] = 0
    loss = objective(left, right)
    assert_learns(loss, left, right)
    for gradient, empty in zip(gradients(loss, left, right), (1, 3), strict=True):
        assert not gradient[empty].any()
        assert gradient.abs().max() < 1e3
