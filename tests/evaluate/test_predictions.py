"""Examples from mteb's predictions: their statistic is mteb's own score, for every type of task."""

from __future__ import annotations

import contextlib
import io
import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from yuyi.evaluate import Sweep, evaluate, local_tasks
from yuyi.evaluate.comparing.compare import compare, open_columns
from yuyi.evaluate.comparing.predictions import examples_of
from yuyi.evaluate.offline import import_mteb
from yuyi.evaluate.results import Judged, Result, Setting
from yuyi.evaluate.showing.page import page

from .bigrams import BigramEncoder
from .card_results import TINY
from .sets import THINGS

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.evaluate.comparing.examples import Examples

# Longer and shorter relatives of each text, so that similarities are many and no score is perfect.
NEAR = [
    f"{text[: len(text) // 2]}……说到底 {other[:9]}"
    for text, other in zip(THINGS, THINGS[3:] + THINGS[:3], strict=True)
]
FAR = [f"{other[-11:]} and {text[3:9]}" for text, other in zip(THINGS, THINGS[7:] + THINGS[:7], strict=True)]


class BigramModel:
    """The bigram encoder as mteb sees a model."""

    mteb_model_meta = SimpleNamespace(name="bigrams", revision="1")

    def encode(self, inputs: Any, **settings: Any) -> Any:
        return BigramEncoder(32).encode_document([text for batch in inputs for text in batch["text"]])

    def similarity(self, left: Any, right: Any) -> Any:
        from mteb.similarity_functions import cos_sim

        return cos_sim(left, right)

    def similarity_pairwise(self, left: Any, right: Any) -> Any:
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(left, right)


def _task(kind: str, type_: str, metric: str, dataset: Any, langs: Any = None, **members: Any) -> Any:
    """A task of mteb's class `kind` with its data in it."""
    mteb = import_mteb()
    splits = members.pop("splits", ["test"])
    metadata = mteb.TaskMetadata(
        name=f"tiny{type_}",
        description="local",
        dataset={"path": "none", "revision": "1"},
        type=type_,
        category="t2t",
        eval_splits=splits,
        eval_langs=langs or ["zho-Hans"],
        main_score=metric,
    )
    base: Any = getattr(mteb.abstasks, kind, None) or getattr(mteb.abstasks.text.reranking, kind)
    task = type(f"Tiny{type_}", (base,), {"metadata": metadata, **members})(seed=42)
    task.dataset, task.data_loaded = dataset, True
    return task


def _scored(task: Any, folder: Path) -> tuple[Result, Examples | None]:
    """What mteb says of the task, and the examples of its predictions."""
    scores: dict[str, Any] = {}
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for split in task.metadata.eval_splits:
            scores[split] = task.evaluate(
                BigramModel(), split, encode_kwargs={"batch_size": 64}, prediction_folder=folder
            )
    metric = task.metadata.main_score
    found = [metrics[metric] for subsets in scores.values() for metrics in subsets.values()]
    result = Result(
        task=task.metadata.name,
        type=task.metadata.type,
        metric=metric,
        main_score=float(np.mean(found)),
        scores=scores,
        languages={subset: ("zho-Hans",) for subsets in scores.values() for subset in subsets},
        rows=10,
        data="1",
        model=Judged("bigrams", "1", 32),
        setting=Setting(32),
        seed=42,
        versions={},
        made="2026-01-01T00:00:00+00:00",
        seconds=1.0,
    )
    return result, examples_of(task, result, folder)


def _table(**columns: Any) -> Any:
    import datasets

    return datasets.Dataset.from_dict(columns)


def _pairs(values: list[Any], column: str) -> Any:
    return _table(sentence1=THINGS * 2, sentence2=NEAR + FAR, **{column: values})


GRADES = [*[3.0, 4.0, 5.0, 2.5, 4.5] * 2, *[0.0, 1.0, 3.0, 0.5, 2.0] * 2]
LABELS = [1] * 10 + [0, 1] * 5


@pytest.mark.parametrize("metric", ["spearman", "cosine_spearman"])
def test_similarity_of_sentences(metric: str, tmp_path: Path) -> None:
    result, found = _scored(_task("AbsTaskSTS", "STS", metric, {"test": _pairs(GRADES, "score")}), tmp_path)
    assert found is not None
    assert (found.statistic, found.metric, found.of) == ("spearman", metric, "pairs")
    assert found.truth.tolist() == GRADES
    assert spearmanr(found.values, found.truth).statistic == pytest.approx(result.main_score, abs=1e-12)
    assert abs(result.main_score) < 1


@pytest.mark.parametrize("column", ["label", "labels"])
@pytest.mark.parametrize(
    ("metric", "told"),
    [("cosine_ap", "cosine_ap"), ("similarity_ap", "similarity_ap"), ("max_accuracy", "cosine_ap")],
)
def test_pair_classification(column: str, metric: str, told: str, tmp_path: Path) -> None:
    task = _task(
        "AbsTaskPairClassification",
        "PairClassification",
        metric,
        {"test": _pairs(LABELS, column)},
        label_column_name=column,
    )
    result, found = _scored(task, tmp_path)
    assert found is not None
    assert (found.statistic, found.metric) == ("average_precision", told)
    score = average_precision_score(found.truth, found.values)
    assert score == pytest.approx(result.scores["test"]["default"][told], abs=1e-12)
    assert score < 1


def test_old_pairs_in_a_single_row(tmp_path: Path) -> None:
    row = _table(sentence1=[THINGS * 2], sentence2=[NEAR + FAR], labels=[LABELS])
    task = _task("AbsTaskPairClassification", "PairClassification", "cosine_ap", {"test": row})
    result, found = _scored(task, tmp_path)
    assert found is not None
    assert len(found.values) == 20
    assert average_precision_score(found.truth, found.values) == pytest.approx(result.main_score, abs=1e-12)


def _topics(texts: list[str]) -> Any:
    return _table(text=texts, label=[number % 3 for number in range(len(texts))])


def test_classification_in_two_splits_of_different_size(tmp_path: Path) -> None:
    data = {"train": _topics(THINGS * 4), "test": _topics(NEAR + FAR), "dev": _topics(FAR[:7])}
    task = _task(
        "AbsTaskClassification",
        "Classification",
        "accuracy",
        data,
        splits=["test", "dev"],
        n_experiments=7,
        samples_per_label=4,
    )
    result, found = _scored(task, tmp_path)
    assert found is not None
    assert (found.statistic, found.metric, found.of) == ("mean", "accuracy", "rows")
    assert len(found.values) == 27
    assert found.values.mean() == pytest.approx(result.main_score, abs=1e-12)
    assert 0 < result.main_score < 1


def _search(**more: Any) -> Any:
    documents = [{"id": f"d{i}", "text": text, "title": ""} for i, text in enumerate(NEAR + FAR + FAR[:3])]
    return {
        "queries": _table(id=[f"d{i}" for i in range(10)], text=THINGS),
        "corpus": _table(**{name: [row[name] for row in documents] for name in ("id", "text", "title")}),
        "relevant_docs": {f"d{i}": {f"d{i}": 2, f"d{(i + 3) % 10 + 10}": 1} for i in range(10)},
        "top_ranked": None,
        **more,
    }


@pytest.mark.parametrize("metric", ["ndcg_at_10", "map_at_1000", "mrr_at_3", "recall_at_5", "precision_at_3"])
@pytest.mark.parametrize("members", [{}, {"ignore_identical_ids": True}, {"skip_first_result": True}])
def test_retrieval(metric: str, members: dict[str, Any], tmp_path: Path) -> None:
    task = _task("AbsTaskRetrieval", "Retrieval", metric, {"default": {"test": _search()}}, **members)
    result, found = _scored(task, tmp_path)
    assert found is not None
    assert (found.statistic, found.metric, found.of) == ("mean", metric, "queries")
    assert len(found.values) == 10
    # mteb rounds means over queries to five decimals.
    assert found.values.mean() == pytest.approx(result.main_score, abs=5.1e-6)


def test_reranking(tmp_path: Path) -> None:
    candidates = {f"d{i}": [f"d{(i + step) % 23}" for step in (0, 3, 7, 13)] for i in range(10)}
    relevant = {f"d{i}": {f"d{i}": 0, f"d{(i + 3) % 23}": 1, f"d{(i + 7) % 23}": 0} for i in range(10)}
    data = {"default": {"test": _search(top_ranked=candidates, relevant_docs=relevant)}}
    result, found = _scored(_task("AbsTaskRetrieval", "Reranking", "map_at_1000", data), tmp_path)
    assert found is not None
    assert found.metric == "map_at_1000"
    assert found.values.mean() == pytest.approx(result.main_score, abs=5.1e-6)


def test_translations(tmp_path: Path) -> None:
    data = {"test": _table(sentence1=THINGS * 2, sentence2=NEAR + FAR)}
    result, found = _scored(_task("AbsTaskBitextMining", "BitextMining", "f1", data), tmp_path)
    assert found is not None
    assert (found.metric, found.of) == ("accuracy", "rows")
    accuracy = result.scores["test"]["default"]["accuracy"]
    assert found.values.mean() == pytest.approx(accuracy, abs=1e-12)
    assert 0 < accuracy < 1


def test_translations_side_by_side(tmp_path: Path) -> None:
    data = {"test": _table(zh=THINGS, en=NEAR, de=FAR)}
    langs = {"zh-en": ["zho-Hans", "eng-Latn"], "de-zh": ["deu-Latn", "zho-Hans"]}
    task = _task("AbsTaskBitextMining", "BitextMining", "accuracy", data, langs, parallel_subsets=True)
    result, found = _scored(task, tmp_path)
    assert found is not None
    assert len(found.values) == 20
    assert found.values.mean() == pytest.approx(result.main_score, abs=1e-12)


@pytest.mark.parametrize("evaluator", ["SummarizationEvaluator", "DeprecatedSummarizationEvaluator"])
def test_summaries(evaluator: str, tmp_path: Path) -> None:
    from mteb._evaluators.text import summarization_evaluator

    data = _table(
        text=THINGS[:4],
        human_summaries=[[NEAR[i], FAR[i]] for i in range(4)],
        machine_summaries=[[THINGS[i], NEAR[i + 1], FAR[i], FAR[i + 2]] for i in range(4)],
        relevance=[[5.0, 1.0, 4.0, 2.0], [3.0, 3.0, 1.0, 2.0], [2.0, 2.0, 2.0, 2.0], [5.0, 4.0, 1.0, 3.0]],
    )
    task = _task(
        "AbsTaskSummarization",
        "Summarization",
        "cosine_spearman",
        {"test": data},
        min_score=1,
        max_score=5,
        evaluator=getattr(summarization_evaluator, evaluator),
    )
    result, found = _scored(task, tmp_path)
    assert found is not None
    assert len(found.values) == 3  # one text's summaries are all judged alike
    assert found.values.mean() == pytest.approx(result.main_score, abs=1e-12)


@pytest.mark.parametrize("kind", ["AbsTaskClustering", "AbsTaskClusteringLegacy"])
def test_clusters(kind: str, tmp_path: Path) -> None:
    texts, labels = THINGS * 3 + NEAR * 3, [number % 2 for number in range(60)]
    if kind == "AbsTaskClustering":
        data = _table(sentences=texts, labels=[[label, number % 5] for number, label in enumerate(labels)])
        members: dict[str, Any] = {"max_document_to_embed": 50, "max_documents_per_cluster": 20}
    else:
        data = _table(
            sentences=[texts[:30], texts[30:], texts[:5]], labels=[labels[:30], labels[30:], [1] * 5]
        )
        members = {}
    result, found = _scored(
        _task(
            kind,
            "Clustering",
            "v_measure",
            {"test": data},
            max_fraction_of_documents_to_embed=None,
            **members,
        ),
        tmp_path,
    )
    assert found is not None
    assert (found.metric, found.of) == ("v_measure", "draws")
    assert found.values.mean() == pytest.approx(result.main_score, abs=1e-12)
    assert len(found.values) == (20 if kind == "AbsTaskClustering" else 3)


def test_correlations_over_several_parts_have_no_examples(tmp_path: Path) -> None:
    data = {split: _pairs(GRADES, "score") for split in ("test", "dev")}
    task = _task("AbsTaskSTS", "STS", "spearman", data, splits=["test", "dev"])
    assert _scored(task, tmp_path)[1] is None


def test_unknown_types_and_missing_predictions_have_no_examples(tmp_path: Path) -> None:
    task = _task("AbsTaskSTS", "STS", "spearman", {"test": _pairs(GRADES, "score")})
    result, _ = _scored(task, tmp_path)
    assert examples_of(task, result, tmp_path / "elsewhere") is None
    task.metadata.type = "Regression"
    assert examples_of(task, _scored(task, tmp_path)[0], tmp_path) is None


def test_from_evaluation_to_comparison(folder: Path, tmp_path: Path) -> None:
    """A token table and its cut, judged, compared, and shown on a page."""
    tasks = local_tasks(folder, ["similar", "same", "found"])
    results = evaluate(str(TINY / "static"), tasks, Sweep(dims=(32, 16)), results=tmp_path)
    sides = open_columns([tmp_path])
    assert [column.name for column in sides] == ["32 dim", "16 dim"]
    [found] = compare(sides)
    assert [change.name for change in found.tasks] == ["same", "found", "similar"]
    scores = {(result.task, result.setting.dim): result.main_score for result in results}
    for change in (*found.tasks, found.overall):
        assert change.interval
        assert change.interval.low <= change.interval.difference <= change.interval.high
        assert change.value == pytest.approx(100 * change.interval.difference, abs=0.002)
        if change.metric:
            assert change.value == pytest.approx(100 * (scores[change.name, 16] - scores[change.name, 32]))
    text = page(results, [found])
    assert f"{100 * scores['similar', 16]:.2f}" in text
    assert text.count("<figure>") == 4
