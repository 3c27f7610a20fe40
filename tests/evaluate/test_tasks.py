"""Rows inside mteb's classes: its scores are those that a direct computation gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from yuyi.errors import InputError
from yuyi.evaluate.run import evaluate
from yuyi.evaluate.tasks.kinds import KINDS
from yuyi.evaluate.tasks.local import local_tasks

from .bigrams import BigramEncoder
from .sets import THINGS, write, write_eight_kinds

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.evaluate.results import Result
    from yuyi.evaluate.tasks.task import EvalTask

DIM = 3  # small enough to make mistakes


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eight_kinds(tmp_path_factory.mktemp("eight"))


@pytest.fixture(scope="module")
def tasks(eight: Path) -> dict[str, EvalTask]:
    return {task.name: task for task in local_tasks(eight, all_rows=True)}


@pytest.fixture(scope="module")
def results(tasks: dict[str, EvalTask]) -> dict[str, Result]:
    return {result.task: result for result in evaluate(BigramEncoder(DIM), list(tasks.values()))}


def scores(result: Result) -> Any:
    return result.scores["test"]["default"]


def vectors(texts: list[str]) -> NDArray[np.float64]:
    return BigramEncoder(DIM).encode(texts).astype(np.float64)


def test_every_metric_of_every_type_is_there(results: dict[str, Result]) -> None:
    assert {result.type for result in results.values()} == set(KINDS)
    for result in results.values():
        kind = KINDS[result.type]
        assert {kind.metric} <= set(kind.metrics) <= set(scores(result)), result.task


def test_sts(tasks: dict[str, EvalTask], results: dict[str, Result]) -> None:
    rows = tasks["similar"].open().dataset["test"][:]
    cosines = (vectors(rows["sentence1"]) * vectors(rows["sentence2"])).sum(1)
    found = scores(results["similar"])
    assert found["cosine_spearman"] == pytest.approx(spearmanr(cosines, rows["score"])[0], abs=1e-3)
    assert found["cosine_pearson"] == pytest.approx(pearsonr(cosines, rows["score"])[0], abs=1e-6)


def test_pairs(tasks: dict[str, EvalTask], results: dict[str, Result]) -> None:
    rows = tasks["same"].open().dataset["test"][:]
    cosines = (vectors(rows["sentence1"]) * vectors(rows["sentence2"])).sum(1)
    expected = average_precision_score(rows["label"], cosines)
    assert results["same"].main_score == pytest.approx(expected, abs=1e-6)


def test_classification_with_some_and_with_all_rows(
    eight: Path, tasks: dict[str, EvalTask], results: dict[str, Result]
) -> None:
    data = tasks["topic"].open().dataset
    classifier = LogisticRegression(max_iter=100, random_state=42)
    classifier.fit(vectors(data["train"]["text"]), data["train"]["label"])
    expected = classifier.score(vectors(data["test"]["text"]), data["test"]["label"])
    assert 0.5 < expected < 1
    assert scores(results["topic"])["accuracy_all_rows"] == pytest.approx(expected)
    assert scores(results["topic"])["accuracy"] == results["topic"].main_score != expected
    assert len(scores(results["topic"])["scores_per_experiment"]) == 10
    (without,) = evaluate(BigramEncoder(DIM), local_tasks(eight, ["topic"]))
    assert scores(results["topic"]) == {**scores(without), "accuracy_all_rows": pytest.approx(expected)}


def test_clustering_looks_at_every_row(tasks: dict[str, EvalTask], results: dict[str, Result]) -> None:
    task = tasks["groups.clusters"].open()
    assert set(task.dataset["test"]["label"]) == {0, 1}
    encoder = BigramEncoder(DIM)
    evaluate(encoder, [tasks["groups.clusters"]])
    assert encoder.calls == [("", 30)]
    assert 0 < results["groups.clusters"].main_score < 1


def mean_average_precision(ranked: list[list[bool]]) -> float:
    precisions = [
        np.mean([np.mean(relevant[: at + 1]) for at, good in enumerate(relevant) if good])
        for relevant in ranked
    ]
    return float(np.mean(precisions))


def test_reranking_of_texts(results: dict[str, Result]) -> None:
    ranked = []
    for thing, other in zip(THINGS, [*THINGS[1:], THINGS[0]], strict=True):
        cosines = vectors([f"「{thing}」", f"{thing}!", other, f"{other}?"]) @ vectors([thing])[0]
        ranked.append([place < 2 for place in np.argsort(-cosines)])
    expected = mean_average_precision(ranked)
    assert expected < 1
    assert results["ranked"].main_score == pytest.approx(expected, abs=1e-5)


def test_reranking_of_documents(results: dict[str, Result]) -> None:
    ranked = []
    for row, thing in enumerate(THINGS):
        candidates = [f"这里有{text}, and more" for text in (thing, THINGS[(row + 1) % 10])]
        cosines = vectors(candidates) @ vectors([thing])[0]
        ranked.append([place == 0 for place in np.argsort(-cosines)])
    assert results["chosen"].main_score == pytest.approx(mean_average_precision(ranked), abs=1e-5)
    assert scores(results["chosen"])["recall_at_10"] == 1  # Only two documents are looked at.


def test_retrieval(results: dict[str, Result]) -> None:
    found = vectors(THINGS) @ vectors([f"这里有{thing}, and more" for thing in THINGS]).T
    ranks = (found > np.diag(found)[:, None] + 1e-6).sum(1)
    expected = (1 / np.log2(ranks + 2)).mean()
    assert 0 < expected < 1
    assert results["found"].main_score == pytest.approx(expected, abs=1e-5)


def test_summaries(tasks: dict[str, EvalTask], results: dict[str, Result]) -> None:
    rows = tasks["summed"].open().dataset["test"][:]
    correlations = []
    for human, machine, relevance in zip(
        rows["human_summaries"], rows["machine_summaries"], rows["relevance"], strict=True
    ):
        best = (vectors(machine) @ vectors(human).T).max(1)
        correlations.append(spearmanr(best, relevance)[0])
    assert results["summed"].main_score == pytest.approx(np.mean(correlations), abs=1e-6)


def test_bitext(results: dict[str, Result]) -> None:
    found = vectors(THINGS) @ vectors([f"「{thing}」" for thing in THINGS]).T
    expected = (found.argmax(1) == np.arange(10)).mean()
    assert results["translated"].main_score == pytest.approx(expected)


def plain(data: Any) -> Any:
    """What is in the data of a task, without classes of libraries."""
    if isinstance(data, dict):
        return {name: plain(part) for name, part in data.items()}
    return data.to_list() if hasattr(data, "to_list") else getattr(data, "_columns", data)


def test_columns_of_other_names_change_nothing(tmp_path: Path, tasks: dict[str, EvalTask]) -> None:
    write_eight_kinds(tmp_path)
    described: list[dict[str, Any]] = []
    for name, known in tasks.items():
        kind = KINDS[known.type]
        files = sorted(tmp_path.glob(f"{name}.*parquet"))
        for file in files:
            rows = pq.read_table(file)
            pq.write_table(rows.rename_columns([f"列 {column}" for column in rows.column_names]), file)
        several = {file.name.split(".")[1]: file.name for file in files}
        columns = (
            {column for part in kind.parts.values() for column in part} if len(files) > 1 else {*kind.columns}
        )
        columns |= {"split"} if name == "topic" else set()
        described.append(
            {
                "name": name,
                "type": kind.name,
                "files": several if len(files) > 1 else files[0].name,
                "columns": {column: f"列 {column}" for column in columns},
            }
        )
    (tmp_path / "tasks.yaml").write_text(yaml.safe_dump({"tasks": described}, allow_unicode=True), "utf-8")
    again = local_tasks(tmp_path)
    assert {task.name for task in again} == set(tasks)
    for task in again:
        assert plain(task.open().dataset) == plain(tasks[task.name].open().dataset), task.name


def test_order_of_rows_changes_no_score(tmp_path: Path, tasks: dict[str, EvalTask]) -> None:
    rows = tasks["similar"].open().dataset["test"].to_list()
    for name, order in (("forth", 1), ("back", -1)):
        write(tmp_path / f"{name}.parquet", rows[::order])
    forth, back = evaluate(BigramEncoder(DIM), local_tasks(tmp_path))
    assert forth.main_score == pytest.approx(back.main_score, abs=1e-9)


def test_several_splits(tmp_path: Path) -> None:
    rows = [
        {"sentence1": thing, "sentence2": thing[cut:], "score": cut / len(thing), "fold": fold}
        for fold, cuts in (("dev", (1, 3)), ("final", (2, 4)), ("unused", (0,)))
        for cut in cuts
        for thing in THINGS
    ]
    write(tmp_path / "rows.parquet", rows)
    (tmp_path / "tasks.yaml").write_text(
        "tasks: [{name: 剪短, type: STS, files: rows.parquet, splits: [dev, final], columns: {split: fold}}]",
        "utf-8",
    )
    [task] = local_tasks(tmp_path)
    assert (task.rows, task.splits) == (40, ("dev", "final"))
    [result] = evaluate(BigramEncoder(DIM), [task])
    of_splits = [result.scores[split]["default"]["cosine_spearman"] for split in ("dev", "final")]
    assert result.main_score == pytest.approx(np.mean(of_splits)) and of_splits[0] != of_splits[1]


def test_rows_that_tell_nothing_apart(tmp_path: Path) -> None:
    pair = {"sentence1": "a", "sentence2": "b"}
    write(tmp_path / "even.parquet", [{**pair, "score": 1.0}] * 3)
    with pytest.raises(InputError, match=r"even\.parquet: score has the same value in every row"):
        local_tasks(tmp_path)[0].open()
    write(tmp_path / "even.parquet", [{"text": "a", "label": 1, "split": s} for s in ("train", "test")])
    with pytest.raises(InputError, match=r"even\.parquet: label of the split train has the same value"):
        local_tasks(tmp_path)[0].open()
    rows = [("a", "train"), ("b", "train"), ("c", "test")]
    write(tmp_path / "even.parquet", [{"text": "t", "label": label, "split": split} for label, split in rows])
    with pytest.raises(InputError, match="no label of the split test is one of the split train"):
        local_tasks(tmp_path)[0].open()
