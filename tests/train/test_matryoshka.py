from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yuyi.train.losses import alignment, info_nce, relation, spread_out
from yuyi.train.matryoshka import matryoshka


def rows(seed: int, *sizes: int) -> list[torch.Tensor]:
    """Matrices of 6 columns with these numbers of rows, in float64; they carry gradients."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 6, generator=generator, dtype=torch.float64).requires_grad_() for size in sizes]


def gradients(loss: torch.Tensor, *inputs: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, inputs, retain_graph=True))


@given(
    weights=st.dictionaries(st.integers(1, 6), st.floats(0.1, 3), min_size=1, max_size=4),
    n=st.integers(2, 5),
    seed=st.integers(0, 10_000),
)
def test_it_is_the_weighted_mean_over_cuts(weights: dict[int, float], n: int, seed: int) -> None:
    queries, documents, negatives = inputs = rows(seed, n, n, 3)
    options = {"temperature": 0.1, "form": "improved", "owners": torch.tensor([0, 1, 1]), "hardness": 5.0}
    loss = matryoshka(info_nce, weights)(*inputs, **options)
    expected = sum(
        weight * info_nce(queries[:, :dim], documents[:, :dim], negatives[:, :dim], **options)  # type: ignore[arg-type]
        for dim, weight in weights.items()
    ) / sum(weights.values())
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for own, other in zip(gradients(loss, *inputs), gradients(expected, *inputs), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-12)
        assert not own[:, max(weights) :].any()
        if max(weights) > 1:
            assert own.abs().max() > 1e-12


class Given(torch.nn.Module):
    """In the place of a model of sentence-transformers: its input is its embeddings."""

    def get_embedding_dimension(self) -> int:
        return 6

    def __getitem__(self, index: int) -> torch.nn.Module:
        return torch.nn.Identity()

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"sentence_embedding": features["given"]}


def test_it_is_that_of_sentence_transformers() -> None:
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss

    inputs = rows(3, 7, 7, 7)
    weights = {6: 1.0, 4: 0.5, 2: 0.25}
    model = Given()
    theirs = MatryoshkaLoss(
        model,  # type: ignore[arg-type]
        MultipleNegativesRankingLoss(model, scale=20.0),  # type: ignore[arg-type]
        list(weights),
        list(weights.values()),
    )
    expected = theirs([{"given": column} for column in inputs], None) / sum(weights.values())
    loss = matryoshka(info_nce, weights)(*inputs, temperature=0.05, form="forward", owners=torch.arange(7))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    for own, other in zip(gradients(loss, *inputs), gradients(expected, *inputs), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)
        assert own.abs().max() > 1e-3


def test_a_teacher_is_cut_by_position_and_whole_by_name() -> None:
    student, teacher = rows(5, 4, 4)
    weights = {6: 1.0, 2: 1.0}
    cut = matryoshka(alignment, weights)(student, teacher)
    expected = (alignment(student, teacher) + alignment(student[:, :2], teacher[:, :2])) / 2
    assert cut.item() == pytest.approx(expected.item(), rel=1e-12)
    wide = torch.cat([teacher, teacher.flip(1) ** 2], dim=1)
    whole = matryoshka(relation, weights)(student, teacher=wide, temperature=0.1)
    expected = (
        relation(student, wide, temperature=0.1) + relation(student[:, :2], wide, temperature=0.1)
    ) / 2
    assert whole.item() == pytest.approx(expected.item(), rel=1e-12)


def test_what_is_named_is_never_cut() -> None:
    """Keys and owners have a length of their own, here above and below the cut."""
    queries, documents, negatives = rows(6, 3, 3, 5)
    owners = torch.tensor([0, 1, 1, 2, 2])
    keys = [torch.arange(3), torch.arange(3, 6), torch.tensor([0, 7, 8, 9, 9])]
    options = {"temperature": 0.1, "owners": owners, "keys": keys}
    loss = matryoshka(info_nce, {2: 3.0})(queries, documents, negatives, **options)
    expected = info_nce(queries[:, :2], documents[:, :2], negatives[:, :2], **options)  # type: ignore[arg-type]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)


def test_no_negatives_may_be_none() -> None:
    queries, documents = rows(7, 3, 3)
    weights = {6: 1.0, 3: 1.0}
    with_none = matryoshka(info_nce, weights)(queries, documents, None, temperature=0.1)
    assert with_none.item() == matryoshka(info_nce, weights)(queries, documents, temperature=0.1).item()
    assert matryoshka(spread_out, weights)(queries, documents).item() > 0


def test_a_cut_beyond_the_embeddings_is_refused() -> None:
    queries, documents = rows(7, 3, 3)
    with pytest.raises(ValueError, match="6 dimensions have no cut to 8"):
        matryoshka(info_nce, {8: 1.0})(queries, documents, temperature=0.1)
