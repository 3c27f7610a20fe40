"""From a drawn batch to a loss: what each key of a task does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from train.tiny import learner as tiny_learner
from yuyi.errors import RecipeError
from yuyi.text.overflow import Frame
from yuyi.train.config import Stage, Task
from yuyi.train.drawing.contrast_task import contrast_batch, grouped
from yuyi.train.drawing.drawn import Setting
from yuyi.train.drawing.labels_task import companions
from yuyi.train.losses import (
    cosent,
    info_nce,
    label_contrast,
    spread_out,
    tuple_contrast,
)
from yuyi.train.losses.related import Related
from yuyi.train.reading.sources import Column, Source
from yuyi.train.table import TokenTable
from yuyi.train.tasks import EmbeddingRunner, Size
from yuyi.types import TokenBatch

from .small_tasks import (
    DIMS,
    KEPT,
    LEFT,
    NAN,
    OWN,
    OWNERS,
    PARTS,
    RIGHT,
    VECTORS,
    contrast,
    keys,
    loss_of,
    rows,
    runner_of,
    source,
    whole_loss,
    with_negatives,
)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"form": "forward"},
        {"form": "improved"},
        {"form": "improved", "diagonal": "once"},
        {"form": "improved", "margin": 0.05},
        {"form": "forward", "hardness": 5.0},
        {"hardness": 2.0, "hardness_on": "all_negatives"},
    ],
)
def test_every_key_of_contrast_arrives(settings: dict[str, Any]) -> None:
    expected = info_nce(
        *(rows(pieces) for pieces in (LEFT, RIGHT, KEPT)),
        temperature=0.1,
        owners=torch.tensor(OWNERS),
        keys=keys(LEFT, RIGHT, KEPT),
        **settings,
    )
    found = loss_of(contrast(negatives=2, **settings), with_negatives(LEFT, RIGHT, OWN))
    assert found == pytest.approx(expected.item(), rel=1e-4)
    if settings:
        plain = loss_of(contrast(negatives=2), with_negatives(LEFT, RIGHT, OWN))
        assert found != pytest.approx(plain, rel=1e-3)


def test_no_more_negatives_than_wanted() -> None:
    made = with_negatives(LEFT, RIGHT, OWN)
    texts = []
    for most in (0, 1, 2, 5):
        runner = runner_of(contrast(negatives=most), made)
        runner.run([0])
        texts.append(runner.size.texts)
    assert texts == [8, 8 + 3, 8 + 5, 8 + 6]


def test_equal_texts_are_no_negatives_of_each_other() -> None:
    """Queries 0 and 1 are one text, the documents of 2 and 3 are, and a negative is a document elsewhere."""
    left, right, own = [0, 0, 1, 2], [3, 4, 5, 5], [[], [], [3], [4]]
    made = with_negatives(left, right, own)
    known = {"temperature": 0.1, "form": "improved", "owners": torch.tensor([2, 3])}
    columns = [rows(pieces) for pieces in (left, right, [3, 4])]
    expected = info_nce(*columns, keys=keys(left, right, [3, 4]), **known).item()
    found = whole_loss(contrast(form="improved"), made)
    assert found == pytest.approx(expected, rel=1e-4)
    assert found != pytest.approx(info_nce(*columns, **known).item(), rel=1e-3)


def test_no_text_comes_twice_in_a_batch_of_contrast() -> None:
    made = source("qa", [NAN] * 8, [0, 0, 0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 9, 10, 11, 0])
    runner = runner_of(contrast(batch=4), made)
    for step in range(12):
        runner.run([step])
        texts = [text for column in runner.describe()["tokens"] for text in map(tuple, column)]
        assert len(texts) == len(set(texts)) >= 4


def test_spread_and_weight() -> None:
    made = source("qa", [NAN] * 4, LEFT, RIGHT)
    plain = loss_of(contrast(), made)
    spread = spread_out(rows(LEFT), rows(RIGHT)).item()
    assert loss_of(contrast(spread=0.5, weight=3.0), made) == pytest.approx(
        3 * (plain + 0.5 * spread), rel=1e-5
    )


def test_judged_ranks_and_contrasts_with_hard_negatives() -> None:
    left, right, labels = [0, 1, 2, 0, 4], [5, 6, 7, 8, 9], [2.0, 0.0, 2.0, 0.0, 1.0]
    task = Task(objective="judged", temperature=0.1, scale=10.0, ranking=0.7, pairing=0.3, hardness=4.0)
    ranked = cosent(rows(left), rows(right), labels=torch.tensor(labels), scale=10.0).item()
    # Row 3 asks what row 0 asks: its document is a hard negative of that one. Row 1 asks alone.
    paired = info_nce(
        *(rows([0, 2]), rows([5, 7]), rows([6, 8])),
        temperature=0.1,
        owners=torch.tensor([-1, 0]),
        keys=keys([0, 2], [5, 7], [6, 8]),
        hardness=4.0,
    ).item()
    found = loss_of(task, source("nli", labels, left, right))
    assert found == pytest.approx(0.7 * ranked + 0.3 * paired, rel=1e-4)


def test_judged_sts_is_ranked_alone_and_so_is_what_wants_no_pairing() -> None:
    left, right, labels = [0, 1, 2], [5, 6, 7], [5.0, 0.0, 5.0]
    ranked = cosent(rows(left), rows(right), labels=torch.tensor(labels), scale=20.0).item()
    assert loss_of(Task(objective="judged"), source("sts", labels, left, right)) == pytest.approx(
        ranked, rel=1e-5
    )
    alone = Task(objective="judged", pairing=0.0)
    assert loss_of(alone, source("relevance", labels, left, right)) == pytest.approx(ranked, rel=1e-5)


def test_entailments_have_the_contradictions_of_their_premise() -> None:
    """Premises 0, 1, 2; premise 0 entails twice and rules out two, premise 1 rules out none."""
    left, right = [0, 0, 1, 0, 2, 0], [5, 6, 7, 8, 9, 10]
    made = grouped(source("nli", [2, 0, 2, 2, 0, 0], left, right))
    assert made.queries.keys.tolist() == [0, 1, 0]
    assert made.documents.keys.tolist() == [5, 7, 8]
    own = [made.negatives.keys[slice(*made.negative_offsets[row : row + 2])].tolist() for row in range(3)]
    assert own == [[6, 10], [], [6, 10]]
    expected = info_nce(
        *(rows([0, 1, 0]), rows([5, 7, 8]), rows([6, 6])),
        temperature=0.1,
        owners=torch.tensor([0, 2]),
        keys=keys([0, 1, 0], [5, 7, 8], [6, 6]),
    ).item()
    assert whole_loss(contrast(), made) == pytest.approx(expected, rel=1e-4)
    named = source("nli", [2, 0, 2, 2, 0, 0], left, right)
    assert len(runner_of(contrast(kinds=("nli",)), named).sources[0]) == 3
    with pytest.raises(RecipeError, match="no source has pairs"):
        runner_of(contrast(), named)


def test_labels_and_their_partners() -> None:
    pieces, labels = [0, 1, 2, 3], [1.0, 1.0, 0.0, 0.0]
    expected = label_contrast(rows(pieces), labels=torch.tensor(labels), temperature=0.2).item()
    made = source("classification", labels, pieces, pieces)
    assert loss_of(Task(objective="labels", temperature=0.2), made) == pytest.approx(expected, rel=1e-5)


def test_label_negatives_among_the_texts_of_a_batch() -> None:
    """With two texts a class and all others as negatives, the order of the batch does not matter."""
    pieces, labels = [0, 1, 2, 3], [1.0, 1.0, 0.0, 0.0]
    made = source("clustering", labels, pieces, pieces)
    task = Task(objective="labels", labels_by="negatives", temperature=0.2, negatives=9)
    expected = tuple_contrast(
        *(rows(pieces), rows([1, 0, 3, 2]), rows([2, 3, 2, 3, 0, 1, 0, 1])),
        owners=torch.arange(4).repeat_interleave(2),
        temperature=0.2,
    ).item()
    assert loss_of(task, made) == pytest.approx(expected, rel=1e-5)
    # A class of one text has no partner, but is a negative still.
    alone = source("classification", [0.0, 0.0, 7.0], [0, 1, 2], [0, 1, 2])
    expected = tuple_contrast(
        rows([0, 1]), rows([1, 0]), rows([2, 2]), owners=torch.arange(2), temperature=0.2
    ).item()
    assert loss_of(task, alone) == pytest.approx(expected, rel=1e-5)


def test_labels_in_words_are_the_partners() -> None:
    pieces, labels, words = [0, 1, 2, 3], [0.0, 1.0, 2.0, 2.0], [10, 11, 12, 12]
    task = Task(objective="labels", labels_by="negatives", temperature=0.2, negatives=9)
    expected = tuple_contrast(
        *(rows(pieces), rows(words), rows([11, 12, 12, 10, 12, 12, 10, 11, 10, 11])),
        owners=torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3, 3]),
        temperature=0.2,
    ).item()
    assert loss_of(task, source("classification", labels, pieces, words)) == pytest.approx(expected, rel=1e-5)


@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=20),
    most=st.integers(0, 6),
)
def test_companions(rows: list[tuple[int, int]], most: int) -> None:
    labels, texts = zip(*rows, strict=True)
    given = np.array(labels, dtype=np.float32)
    partners, negatives, owners = companions(given, most, np.array(texts))
    for row, (label, text) in enumerate(rows):
        wanted = [other for other, each in enumerate(rows) if each[0] == label and each[1] != text]
        assert partners[row] in (wanted or [-1])
        own = negatives[owners == row].tolist()
        assert len(set(own)) == len(own)
        assert all(labels[other] != label and texts[other] != text for other in own)
        room = min(most, len(labels) - labels.count(label))
        elsewhere = sum(each[0] != label and each[1] == text for each in rows)
        assert room - elsewhere <= len(own) <= room


@given(labels=st.lists(st.integers(0, 4), min_size=2, max_size=20), most=st.integers(1, 6))
def test_every_text_of_a_class_is_a_partner_once(labels: list[int], most: int) -> None:
    partners = companions(np.array(labels, dtype=np.float32), most, np.arange(len(labels)))[0]
    known = partners[partners >= 0].tolist()
    assert sorted(known) == [row for row, label in enumerate(labels) if labels.count(label) > 1]


@pytest.mark.parametrize("labels_by", ["contrast", "negatives"])
def test_equal_texts_of_a_class_are_nothing_to_one_another(labels_by: Any) -> None:
    """Text 0 comes twice with its label, text 1 under both labels, text 4 alone."""
    task = Task(objective="labels", labels_by=labels_by, temperature=0.2, negatives=9)
    pieces, labels = [0, 0, 1, 1, 4], [1.0, 1.0, 1.0, 0.0, 0.0]
    made = source("classification", labels, pieces, pieces)
    found = loss_of(task, made)
    vectors = torch.nn.functional.normalize(rows(pieces), dim=1)
    scores = vectors @ vectors.T / 0.2
    losses = []
    # Each text with its partners and its negatives.
    for row, own, others in [
        (0, [2], [3, 4]),
        (1, [2], [3, 4]),
        (2, [0, 1], [4]),
        (3, [4], [0, 1]),
        (4, [3], [0, 1, 2]),
    ]:
        if labels_by == "contrast":
            whole = scores[row, own + others].logsumexp(0)
            losses.append(whole - scores[row, own].mean())
        else:
            losses.append(scores[row, own[:1] + others].logsumexp(0) - scores[row, own[0]])
    assert found == pytest.approx(torch.stack(losses).mean().item(), rel=1e-4)


@given(
    judged=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12),
    kind=st.sampled_from(["relevance", "nli"]),
)
def test_the_best_of_each_query_are_its_pairs(judged: list[tuple[int, int]], kind: str) -> None:
    """Rows of query and label; in inference the highest label of all is meant."""
    left, labels = zip(*judged, strict=True)
    made = grouped(source(kind, list(labels), list(left), list(range(20, 20 + len(left)))))
    expected = []
    for row, (query, label) in enumerate(judged):
        grades = [grade for other, grade in judged if other == query]
        if label and label == max(grades if kind == "relevance" else labels):
            against = [20 + other for other, each in enumerate(judged) if each == (query, 0)]
            expected.append((query, 20 + row, against))
    bounds = made.negative_offsets
    assert [
        (query, document, made.negatives.keys[bounds[row] : bounds[row + 1]].tolist())
        for row, (query, document) in enumerate(
            zip(made.queries.keys.tolist(), made.documents.keys.tolist(), strict=True)
        )
    ] == expected


def test_first_scores_are_taken_without_dropout() -> None:
    """With dropout the step tells no score, and the next look measures; without, it tells."""
    made = with_negatives(LEFT, RIGHT, [[8], [9], [10], [11]])
    student = tiny_learner("bert-zh")
    for shares in ((0.0, 0.0), (0.3, 0.0), (0.0, 0.3)):
        student.embedder.encoder.set_dropout(*shares)
        student.begin(Stage(name="only", steps=2, tasks=()))
        runner = EmbeddingRunner(contrast(refresh=1, negatives=1), student, [made], {8: 1.0}, 0.5, [0])
        runner.run([0])
        first = runner.tensors()["0.first"]
        assert bool(first.isnan().all()) == any(shares)
        assert len(runner.tensors()["0.waiting"]) == 4
        runner.run([1])
        assert not runner.tensors()["0.first"].isnan().any()


def test_lengths_of_each_side() -> None:
    """Queries are cut to 4 tokens, special tokens included, documents and negatives to 3."""
    long = TokenBatch(np.arange(10, 18, dtype=np.int32), np.array([0, 4, 8]))
    texts = Column(long, np.array([1, 2]))
    made = Source(
        *("long", "qa", texts, Column(long, np.array([3, 4])), np.full(2, NAN, dtype=np.float32)),
        *(Column(long, np.array([5, 6])), np.array([0, 1, 2]), np.zeros(0, dtype=np.float32)),
    )
    student = tiny_learner("bert-zh")
    student.frame = Frame(np.array([2], dtype=np.int32), np.array([3], dtype=np.int32), 5)
    for limits, sizes in (({}, [5, 5, 5]), ({"query_tokens": 4, "document_tokens": 3}, [4, 3, 3])):
        runner = EmbeddingRunner(contrast(**limits), student, [made], {32: 1.0}, 0.5, [0])
        columns = runner.draw().columns
        assert [int(each.lengths.max()) for each in columns] == sizes
        assert all(each.ids[0] == 2 and each.ids[-1] == 3 for each in columns)
        assert runner.size == Size(2, 6, 2 * sum(sizes))


def test_the_last_batch_can_be_looked_at() -> None:
    runner = runner_of(contrast(), with_negatives(LEFT, RIGHT, OWN))
    assert runner.describe() == {}
    runner.run([0])
    told = json.loads(json.dumps(runner.describe()))
    assert (told["source"], told["kind"], told["objective"]) == ("mined", "qa", "contrast")
    assert told["labels"] is None
    assert told["tokens"][0] == [[LEFT[row]] for row in told["rows"]]
    assert sorted(told["tokens"][2]) == [[8], [10], [13]]
    judged = runner_of(Task(objective="judged"), source("sts", [0.0, 5.0], [0, 1], [2, 3]))
    judged.run([0])
    assert sorted(judged.describe()["labels"]) == [0.0, 5.0]
    assert sorted(judged.describe()["tokens"][1]) == [[2], [3]]


def test_rows_of_a_batch_may_be_of_one_length() -> None:
    lengths = np.resize([1, 9], 32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    texts = Column(TokenBatch(np.zeros(offsets[-1], dtype=np.int32), offsets), np.arange(32))
    others = Column(texts.tokens, np.arange(32, 64))
    made = Source.of("uneven", "qa", texts, others)
    for by_length in (False, True):
        runner = runner_of(contrast(batch=8, by_length=by_length), made)
        spread = [np.ptp(runner.draw().columns[0].lengths) for _ in range(4)]
        assert (max(spread) == 0) == by_length


def test_sources_weigh_by_size_and_emphasis() -> None:
    made = [
        source("qa", [NAN] * rows, list(range(rows)), list(range(20 - rows, 20)), name)
        for name, rows in (("a", 4), ("b", 16))
    ]
    task = Task(objective="contrast", batch=2, emphasis={"a": 2.0, "qa": 5.0})
    runner = EmbeddingRunner(task, TokenTable(PARTS, VECTORS), made, DIMS, 0.5, [0])
    drawn = [runner.sampler.draw()[0] for _ in range(2_000)]
    assert np.mean(drawn) == pytest.approx(
        1 / 2, abs=0.05
    )  # 16 ** 0.5 against 2 * 4 ** 0.5; both are of one kind


def test_a_restored_runner_draws_what_would_have_come() -> None:
    made = source("qa", [NAN] * 16, list(range(16)), list(range(16)))
    first, second = (runner_of(Task(objective="contrast", batch=4), made) for _ in range(2))
    for step in range(3):
        first.run([step])
    second.restore(json.loads(json.dumps(first.state())), first.tensors())
    assert first.run([3]) == second.run([3])
    assert first.describe() == second.describe()


def test_negatives_that_have_become_easy_are_replaced_and_the_pool_is_saved() -> None:
    """The first negative is a twin of the query; training drives it away, and the next comes into use."""
    left, right = list(range(4)), list(range(4, 8))
    made = with_negatives(left, right, [[8, 12], [9, 13], [10, 14], [11, 15]])
    vectors = VECTORS.copy()
    vectors[8:12] = vectors[0:4] + 0.3 * VECTORS[16:20]
    task = contrast(refresh=2, negatives=1)

    def learn(steps: int, runner: EmbeddingRunner, table: TokenTable, start: int = 0) -> list[set[int]]:
        seen = []
        for step in range(start, start + steps):
            runner.run([step])
            seen.append({piece for (piece,) in runner.describe()["tokens"][2]})
            table.step(0.05)
        return seen

    table = TokenTable(PARTS, vectors)
    runner = EmbeddingRunner(task, table, [made], DIMS, 0.5, [0])
    seen = learn(12, runner, table)
    assert seen[0] == seen[1] == {8, 9, 10, 11}
    assert seen[-1] & {12, 13, 14, 15}
    again = TokenTable(PARTS, vectors)
    again.restore(
        *({name: each.clone() for name, each in part.items()} for part in (table.weights(), table.moments()))
    )
    second = EmbeddingRunner(task, again, [made], DIMS, 0.5, [0])
    saved = {name: each.clone() for name, each in runner.tensors().items()}
    second.restore(json.loads(json.dumps(runner.state())), saved)
    assert learn(5, second, again, 12) == learn(5, runner, table, 12)
    assert again.vectors.equal(table.vectors)


def test_texts_are_compared_once_for_all_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    made = with_negatives(LEFT, RIGHT, OWN)
    seen = []
    whole = Related.of

    def counted(*given: Any) -> Related:
        seen.append(given)
        return whole(*given)

    monkeypatch.setattr(Related, "of", counted)
    drawn = contrast_batch(Setting(contrast(), Frame(), {6: 1.0, 4: 1.0, 2: 1.0}), made, np.arange(4))
    drawn.loss([rows(each.ids) for each in drawn.columns])
    assert len(seen) == 1
