from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yuyi.train.losses import alignment, cosent, cosines, info_nce, label_contrast, relation
from yuyi.train.matryoshka import matryoshka

SEEDS = st.integers(0, 10_000)


def rows(seed: int, *sizes: int) -> list[torch.Tensor]:
    """Matrices of 6 columns with these numbers of rows; they carry gradients."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 6, generator=generator).requires_grad_() for size in sizes]


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    x, y = a.detach().double(), b.detach().double()
    return float(x @ y / (x.norm() * y.norm()))


def assert_learns(loss: torch.Tensor, *inputs: torch.Tensor) -> None:
    """The loss is a finite scalar, and every input gets a gradient that is finite and not zero."""
    assert loss.shape == ()
    loss.backward()
    for tensor in inputs:
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().max() > 0


def naive_info_nce(
    queries: torch.Tensor,
    documents: torch.Tensor,
    negatives: torch.Tensor,
    temperature: float,
    clashes: np.ndarray,
) -> float:
    n = len(queries)
    total = 0.0
    for i in range(n):
        own = cosine(queries[i], documents[i]) / temperature
        forward = [cosine(queries[i], documents[j]) / temperature for j in range(n) if not clashes[i, j]]
        forward += [cosine(queries[i], negative) / temperature for negative in negatives]
        backward = [cosine(queries[j], documents[i]) / temperature for j in range(n) if not clashes[j, i]]
        for scores in (forward, backward):
            total += math.log(sum(map(math.exp, scores))) - own
    return total / (2 * n)


@given(n=st.integers(2, 6), m=st.integers(0, 4), temperature=st.sampled_from([0.05, 0.3, 1.0]), seed=SEEDS)
def test_info_nce_is_its_formula(n: int, m: int, temperature: float, seed: int) -> None:
    queries, documents, negatives = rows(seed, n, n, m)
    clashes = np.random.default_rng(seed).random((n, n)) < 0.3
    np.fill_diagonal(clashes, False)
    loss = info_nce(
        queries,
        documents,
        *([negatives] if m else []),
        temperature=temperature,
        clashes=torch.from_numpy(clashes),
    )
    expected = naive_info_nce(queries, documents, negatives, temperature, clashes)
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_info_nce_is_that_of_sentence_transformers() -> None:
    from sentence_transformers.losses import MultipleNegativesSymmetricRankingLoss

    queries, documents = rows(3, 8, 8)
    theirs = MultipleNegativesSymmetricRankingLoss(None, scale=20.0)  # type: ignore[arg-type]
    expected = theirs.compute_loss_from_embeddings([queries, documents], None)
    loss = info_nce(queries, documents, temperature=0.05)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert_learns(loss, queries, documents)


def test_a_clash_is_no_negative() -> None:
    queries, documents, negatives = rows(4, 3, 3, 2)
    clashes = ~torch.eye(3, dtype=torch.bool)
    assert info_nce(queries, documents, temperature=0.1, clashes=clashes).item() == pytest.approx(0, abs=1e-5)
    assert info_nce(queries, documents, temperature=0.1).item() > 0.1
    clashes = torch.zeros(3, 3, dtype=torch.bool)
    clashes[0, 1] = True
    loss = info_nce(queries, documents, negatives, temperature=0.1, clashes=clashes)
    assert_learns(loss, queries, documents, negatives)


@given(
    n=st.integers(2, 7), labels=st.sampled_from([2, 3, 50]), scale=st.sampled_from([1.0, 20.0]), seed=SEEDS
)
def test_cosent_is_its_formula(n: int, labels: int, scale: float, seed: int) -> None:
    left, right = rows(seed, n, n)
    judged = torch.from_numpy(np.random.default_rng(seed).integers(0, labels, n).astype(np.float32))
    terms = [
        math.exp(scale * (cosine(left[j], right[j]) - cosine(left[i], right[i])))
        for i in range(n)
        for j in range(n)
        if judged[i] > judged[j]
    ]
    loss = cosent(left, right, judged, scale=scale)
    assert loss.item() == pytest.approx(math.log(1 + sum(terms)), rel=1e-4, abs=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_cosent_is_that_of_sentence_transformers() -> None:
    from sentence_transformers.losses import CoSENTLoss

    left, right = rows(5, 9, 9)
    judged = torch.tensor([0, 1, 0, 1, 1, 0, 0, 1, 0.5])
    expected = CoSENTLoss(None, scale=20.0).compute_loss_from_embeddings([left, right], judged)  # type: ignore[arg-type]
    loss = cosent(left, right, judged, scale=20.0)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert_learns(loss, left, right)


def test_cosent_without_an_order_asks_nothing() -> None:
    left, right = rows(6, 4, 4)
    loss = cosent(left, right, torch.ones(4), scale=20.0)
    loss.backward()
    assert loss.item() == 0
    assert not left.grad.any()


@given(n=st.integers(2, 8), classes=st.integers(1, 4), seed=SEEDS)
def test_label_contrast_is_its_formula(n: int, classes: int, seed: int) -> None:
    (embeddings,) = rows(seed, n)
    labels = np.random.default_rng(seed).integers(0, classes, n)
    shares = []
    for i in range(n):
        others = [j for j in range(n) if j != i]
        partners = [j for j in others if labels[j] == labels[i]]
        whole = math.log(sum(math.exp(cosine(embeddings[i], embeddings[j]) / 0.2) for j in others))
        if partners:
            own = [cosine(embeddings[i], embeddings[j]) / 0.2 - whole for j in partners]
            shares.append(-sum(own) / len(own))
    loss = label_contrast(embeddings, torch.from_numpy(labels), temperature=0.2)
    assert loss.item() == pytest.approx(sum(shares) / len(shares) if shares else 0.0, rel=1e-4, abs=1e-5)
    loss.backward()
    assert torch.isfinite(embeddings.grad).all()


def test_label_contrast_learns() -> None:
    (embeddings,) = rows(7, 6)
    assert_learns(label_contrast(embeddings, torch.tensor([0, 0, 1, 1, 1, 2]), temperature=0.1), embeddings)


@given(n=st.integers(1, 6), seed=SEEDS)
def test_alignment_is_one_minus_the_mean_cosine(n: int, seed: int) -> None:
    student, teacher = rows(seed, n, n)
    expected = 1 - sum(cosine(student[i], teacher[i]) for i in range(n)) / n
    assert alignment(student, teacher).item() == pytest.approx(expected, abs=1e-5)
    assert_learns(alignment(student, teacher), student)
    assert alignment(student, 3 * student).item() == pytest.approx(0, abs=1e-5)


@given(n=st.integers(2, 6), seed=SEEDS)
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
    assert loss.item() == pytest.approx(expected / n, abs=1e-5)


@given(
    weights=st.dictionaries(st.integers(1, 6), st.floats(0.1, 3), min_size=1, max_size=4),
    n=st.integers(2, 5),
    seed=SEEDS,
)
def test_matryoshka_is_the_weighted_mean_over_cuts(weights: dict[int, float], n: int, seed: int) -> None:
    queries, documents = rows(seed, n, n)
    loss = matryoshka(info_nce, weights)(queries, documents, temperature=0.1)
    cuts = [
        weight * info_nce(queries[:, :dim], documents[:, :dim], temperature=0.1).item()
        for dim, weight in weights.items()
    ]
    assert loss.item() == pytest.approx(sum(cuts) / sum(weights.values()), rel=1e-4, abs=1e-5)
    loss.backward()
    largest = max(weights)
    assert not queries.grad[:, largest:].any()


def test_a_text_without_tokens_hurts_nobody() -> None:
    """Its embedding is zero; cosines with it are zero, and gradients stay finite."""
    queries, documents = rows(8, 4, 4)
    with torch.no_grad():
        queries[1] = 0
        documents[2] = 0
    assert cosines(queries, documents)[1].abs().max() == 0
    loss = info_nce(queries, documents, temperature=0.05) + cosent(
        queries, documents, torch.tensor([0.0, 1, 0, 1]), scale=20
    )
    assert_learns(loss, queries, documents)
