from __future__ import annotations

import numpy as np
import pytest
import torch

from yuyi.errors import RecipeError
from yuyi.train.config import Task
from yuyi.train.losses import alignment, cosent, info_nce, label_contrast, relation
from yuyi.train.sources import Column, Source
from yuyi.train.table import Parts, TokenTable
from yuyi.train.tasks import EmbeddingRunner, fits
from yuyi.types import TokenBatch

PARTS = Parts.of([f"p{number}" for number in range(20)])
VECTORS = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
DIMS = {6: 1.0}
NAN = float("nan")


def source(kind: str, labels: list[float], left: list[int], right: list[int], name: str = "made") -> Source:
    """Texts of one piece each; equal pieces are equal texts."""
    offsets = np.arange(len(labels) + 1, dtype=np.int64)
    queries, documents = (
        Column(TokenBatch(np.array(side, dtype=np.int32), offsets), np.array(side, dtype=np.int64))
        for side in (left, right)
    )
    return Source.of(name, kind, queries, documents, np.array(labels, dtype=np.float32))


def loss_of(task: Task, made: Source, teacher: np.ndarray | None = None) -> float:
    """The loss of a batch that is the whole source."""
    table = TokenTable(PARTS, VECTORS)
    loss = EmbeddingRunner(task, table, [made], DIMS, 0.5, [0], teacher).run([0])
    assert table.step(0.1) > 0
    return loss


def rows(pieces: list[int]) -> torch.Tensor:
    return torch.from_numpy(VECTORS[pieces])


@pytest.mark.parametrize(
    ("objective", "fitting"),
    [
        ("contrast", {"qa", "title_body"}),
        ("judged", {"paraphrase", "sts"}),
        ("labels", {"classification"}),
        ("align", {"teacher"}),
    ],
)
def test_which_sources_an_objective_draws_from(objective: str, fitting: set[str]) -> None:
    made = [
        *(source(kind, [NAN, NAN], [0, 1], [2, 3]) for kind in ("qa", "title_body", "teacher")),
        *(source(kind, [0, 1], [0, 1], [2, 3]) for kind in ("paraphrase", "sts", "classification")),
    ]
    task = Task(objective=objective)  # type: ignore[arg-type]
    assert {one.kind for one in made if fits(task, one)} == fitting
    only = Task(objective=objective, kinds=(min(fitting), "qa"))  # type: ignore[arg-type]
    assert {one.kind for one in made if fits(only, one)} == fitting & {min(fitting), "qa"}


def test_contrast_masks_pairs_that_share_a_text() -> None:
    left, right = [0, 0, 1, 2], [3, 4, 5, 5]
    clashes = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], dtype=torch.bool)
    expected = info_nce(rows(left), rows(right), temperature=0.1, clashes=clashes).item()
    unmasked = info_nce(rows(left), rows(right), temperature=0.1).item()
    found = loss_of(Task(objective="contrast", temperature=0.1), source("qa", [NAN] * 4, left, right))
    assert found == pytest.approx(expected, rel=1e-5)
    assert found != pytest.approx(unmasked, rel=1e-3)


def test_judged_ranks_and_contrasts_with_hard_negatives() -> None:
    left, right, labels = [0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [1.0, 0.0, 1.0, 0.5, 0.0]
    task = Task(objective="judged", temperature=0.1, scale=10.0, ranking=0.7)
    ranked = cosent(rows(left), rows(right), torch.tensor(labels), scale=10.0).item()
    paired = info_nce(rows([0, 2]), rows([5, 7]), rows([6, 9]), temperature=0.1).item()
    assert loss_of(task, source("nli", labels, left, right)) == pytest.approx(0.7 * ranked + paired, rel=1e-4)


def test_judged_sts_is_ranked_alone() -> None:
    left, right, labels = [0, 1, 2], [5, 6, 7], [5.0, 0.0, 5.0]
    ranked = cosent(rows(left), rows(right), torch.tensor(labels), scale=20.0).item()
    assert loss_of(Task(objective="judged"), source("sts", labels, left, right)) == pytest.approx(
        ranked, rel=1e-5
    )


def test_labels_and_alignment() -> None:
    pieces, labels = [0, 1, 2, 3], [1.0, 1.0, 0.0, 0.0]
    expected = label_contrast(rows(pieces), torch.tensor(labels), temperature=0.2).item()
    made = source("classification", labels, pieces, pieces)
    assert loss_of(Task(objective="labels", temperature=0.2), made) == pytest.approx(expected, rel=1e-5)
    teacher = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    expected = alignment(rows(pieces), torch.from_numpy(teacher)).item()
    made = source("teacher", [NAN] * 4, pieces, pieces)
    assert loss_of(Task(objective="align"), made, teacher) == pytest.approx(expected, rel=1e-5)


def test_alignment_mixes_with_the_relations_in_a_batch() -> None:
    pieces = [0, 1, 2, 3]
    teacher = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    wanted = torch.from_numpy(teacher)
    expected = 0.75 * alignment(rows(pieces), wanted) + 0.25 * relation(rows(pieces), wanted, temperature=0.1)
    task = Task(objective="align", relation=0.25, temperature=0.1)
    found = loss_of(task, source("teacher", [NAN] * 4, pieces, pieces), teacher)
    assert found == pytest.approx(expected.item(), rel=1e-5)


def test_sources_weigh_by_size_and_emphasis() -> None:
    made = [source("qa", [NAN] * 4, [0] * 4, [1] * 4, "a"), source("qa", [NAN] * 16, [0] * 16, [1] * 16, "b")]
    task = Task(objective="contrast", batch=2, emphasis={"a": 2.0, "qa": 5.0})
    runner = EmbeddingRunner(task, TokenTable(PARTS, VECTORS), made, DIMS, 0.5, [0])
    drawn = [runner.sampler.draw()[0] for _ in range(2_000)]
    assert np.mean(drawn) == pytest.approx(
        1 / 2, abs=0.05
    )  # 16 ** 0.5 against 2 * 4 ** 0.5; both are of one kind


def test_a_task_without_a_source_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"task judged \('sts',\): no source has pairs for it"):
        EmbeddingRunner(
            Task(objective="judged", kinds=("sts",)),
            TokenTable(PARTS, VECTORS),
            [source("qa", [NAN], [0], [1])],
            DIMS,
            0.5,
            [0],
        )
