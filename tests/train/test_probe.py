from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from train.runs import column, learner, sources
from yuyi.errors import RecipeError
from yuyi.text.overflow import fit
from yuyi.train.reading.sources import Column, Source
from yuyi.train.running.probe import Patience, Probe, embed_all
from yuyi.train.table import Parts, TokenTable
from yuyi.types import TokenBatch

PIECES = 40
PARTS = Parts.of([f"p{number}" for number in range(PIECES)])


def table(seed: int = 0) -> TokenTable:
    return TokenTable(PARTS, np.random.default_rng(seed).normal(size=(PIECES, 6)).astype(np.float32))


def single(pieces: list[int]) -> Column:
    """Texts of one piece each."""
    ids = np.array(pieces, dtype=np.int32)
    return Column(TokenBatch(ids, np.arange(len(ids) + 1, dtype=np.int64)), ids.astype(np.int64))


def made(kind: str, left: list[int], right: list[int], labels: list[float] | None = None) -> Source:
    values = None if labels is None else np.array(labels, dtype=np.float32)
    return Source.of("made", kind, single(left), single(right), values)


def cosines(subject: TokenTable, left: list[int], right: list[int]) -> np.ndarray:
    rows = subject.vectors.double().numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows[left] @ rows[right].T


@given(seed=st.integers(0, 40), pairs=st.lists(st.tuples(*[st.integers(0, PIECES - 1)] * 2), min_size=2))
def test_retrieval_is_that_of_a_plain_search(seed: int, pairs: list[tuple[int, int]]) -> None:
    left, right = (list(side) for side in zip(*pairs, strict=True))
    subject = table(seed)
    reciprocal, first = [], []
    documents = sorted(set(right))
    similar = cosines(subject, left, documents)
    for row, query in enumerate(left):
        answers = {answer for asked, answer in pairs if asked == query}
        best = max(similar[row, documents.index(answer)] for answer in answers)
        ahead = sum(
            similar[row, place] >= best - 1e-12
            for place, document in enumerate(documents)
            if document not in answers
        )
        reciprocal.append(1 / (1 + ahead))
        first.append(ahead == 0)
    found = Probe([made("qa", left, right)]).score(subject)
    assert found == pytest.approx(
        {"score": np.mean(reciprocal), "made/mrr": np.mean(reciprocal), "made/accuracy@1": np.mean(first)}
    )


def test_a_model_that_makes_all_texts_equal_finds_nothing() -> None:
    subject = TokenTable(PARTS, np.ones((PIECES, 6), dtype=np.float32))
    found = Probe([made("qa", [0, 1, 2, 3], [4, 5, 6, 7])]).score(subject)
    assert found["made/accuracy@1"] == 0 and found["made/mrr"] == 0.25
    labelled = made("sts", [0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3])
    assert Probe([labelled]).score(subject)["score"] == 0


def test_labels_are_compared_by_rank() -> None:
    left, right, labels = [0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [0.0, 2.5, 5.0, 1.0, 2.5]
    expected = spearmanr(np.diag(cosines(table(), left, right)), labels).statistic
    found = Probe([made("sts", left, right, labels)]).score(table())
    assert found == pytest.approx({"score": expected, "made/spearman": expected})


def test_topics_are_those_of_the_nearest_other_text() -> None:
    pieces, labels = list(range(12)), [0.0, 1.0, 2.0] * 4
    similar = cosines(table(), pieces, pieces)
    np.fill_diagonal(similar, -2)
    expected = np.mean([labels[near] == label for near, label in zip(similar.argmax(1), labels, strict=True)])
    found = Probe([made("classification", pieces, pieces, labels)]).score(table())
    assert found == pytest.approx({"score": expected, "made/accuracy@1": expected})


def test_sources_count_alike_and_are_told_apart() -> None:
    qa, sts = made("qa", [0, 1, 2], [3, 4, 5]), made("sts", [0, 1, 2], [3, 4, 5], [0, 1, 2])
    found = Probe([qa, sts]).score(table())
    assert set(found) == {"score", "made (qa)/accuracy@1", "made (qa)/mrr", "made (sts)/spearman"}
    assert found["score"] == pytest.approx((found["made (qa)/mrr"] + found["made (sts)/spearman"]) / 2)


def test_a_probe_changes_neither_the_model_nor_random_numbers() -> None:
    subject = learner(dropout=0.5)
    probe = Probe(sources(), longest=16)
    before = {name: tensor.clone() for name, tensor in subject.weights().items()}
    state, numbers = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    first = probe.score(subject)
    assert torch.equal(state, torch.random.get_rng_state())
    assert np.array_equal(numbers, np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002
    assert subject.embedder.training and torch.is_grad_enabled()
    assert all(torch.equal(tensor, subject.weights()[name]) for name, tensor in before.items())
    assert all(parameter.grad is None for parameter in subject.embedder.parameters())
    assert probe.score(subject) == first


def test_embeddings_are_those_of_the_finished_model() -> None:
    """Without dropout, whatever the chunks are."""
    texts = fit(
        column(("今天天气很好", "A vector is a list of numbers", "胡子")).tokens, learner().frame, "cut"
    ).batch
    subject = learner(dropout=0.5)
    subject.token_budget = 1
    served = learner(dropout=0.0)
    served.embedder.eval()
    with torch.no_grad():
        expected = served.embed(texts)
    torch.testing.assert_close(embed_all(subject, texts), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (made("qa", [0], [1]), "1 rows of made cannot be told apart"),
        (made("sts", [0, 1], [1, 2], [3, 3]), "2 rows of made cannot be told apart"),
    ],
)
def test_rows_that_tell_nothing_are_refused(source: Source, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Probe([source])
    with pytest.raises(RecipeError, match="the probe has no rows"):
        Probe([])


def test_patience_ends_after_so_many_probes_without_a_better_score() -> None:
    patience, weights = Patience(2), {"w": torch.zeros(2)}
    over = []
    for number, score in enumerate([0.1, 0.3, 0.3, 0.2, 0.9]):
        weights["w"].fill_(number)
        patience.see(score, weights)
        over.append(patience.over)
    assert over == [False, False, False, True, False]
    assert patience.weights["w"].tolist() == [4, 4]
    endless = Patience(None)
    for score in (0.2, 0.1, 0.1):
        endless.see(score, weights)
    assert not endless.over and not endless.weights and endless.best == 0.2
