"""What mteb says of each example, from the file of predictions that it writes beside a score.

mteb keeps what a model answered (similarities, neighbours, labels, ranked documents), not what each answer
was worth. Here the answers meet the data of the task, and become examples whose statistic is the score.

| type | an example | its value | statistic |
|---|---|---|---|
| STS | pair | similarity; truth: the people's score | Spearman correlation |
| pair classification | pair | similarity; truth: the label | average precision |
| classification | test row | share of the classifiers that were right | mean |
| retrieval, reranking | query | its nDCG, MAP ... | mean |
| bitext mining | sentence | 1 where its nearest neighbour is its translation | mean |
| summarisation | text | correlation over its summaries | mean |
| clustering | draw | v-measure | mean |

Where a task has several parts (splits, languages), its score is the mean of theirs. A mean over examples is
made to agree: values of a part are scaled by how much smaller or larger than the average part it is. Other
statistics of several parts are not statistics of their examples, and such tasks have no examples.
"""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.evaluate.averages import modern_name
from yuyi.evaluate.comparing.examples import Examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from yuyi.evaluate.results import Result

# trec_eval's names of mteb's metrics, to which a cutoff belongs.
_TREC = {
    "ndcg": "ndcg_cut",
    "map": "map_cut",
    "recall": "recall",
    "precision": "P",
    "hit_rate": "success",
    "mrr": "recip_rank",
}


def examples_of(task: Any, result: Result, folder: Path) -> Examples | None:
    """The examples of a task that mteb has just scored, None where its predictions do not tell them.

    None is what comes back for types that are not in the table above, for correlations over several parts,
    and for classification by cross-validation, whose folds mteb does not keep.

    Args:
        task: mteb's task, its data still loaded.
        result: what mteb made of it.
        folder: where mteb wrote the predictions; it names the file after the task.
    """
    if result.type == "Clustering":  # Its predictions lack the rows that were drawn; its scores have all.
        return _mean("v_measure", "draws", [_draws(metrics) for _, _, metrics in _scored(result)])
    examples = _BY_TYPE.get(result.type)
    path = folder / task.prediction_file_name
    if examples is None or not path.exists():
        return None
    answers = json.loads(path.read_text("utf-8"))
    # Of texts in many languages side by side, the pairs of languages are the parts, answered in one go.
    together = "parallel" if getattr(task, "parallel_subsets", False) else None
    parts = [
        (_rows(task, subset, split), answers[together or subset][split], subset)
        for split, subset, _ in _scored(result)
    ]
    return examples(task, parts, result)


def _scored(result: Result) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Split, subset and metrics of each part."""
    for split, subsets in result.scores.items():
        for subset, metrics in subsets.items():
            yield split, subset, metrics


def _rows(task: Any, subset: str, split: str) -> Any:
    """The data of a part, found as mteb finds them."""
    return task.dataset.get(subset, task.dataset)[split]


_Parts = list[tuple[Any, Any, str]]


def _sts(task: Any, parts: _Parts, result: Result) -> Examples | None:
    if len(parts) > 1:
        return None
    [(data, answers, _)] = parts
    own = result.metric == "spearman" and answers["similarity_scores"] is not None
    return Examples(
        "spearman",
        "spearman" if own else "cosine_spearman",
        _array(answers["similarity_scores" if own else "cosine_scores"]),
        _array(data["score"]),
        "pairs",
    )


def _pairs(task: Any, parts: _Parts, result: Result) -> Examples | None:
    """Average precision, also where the metric is an accuracy: its threshold is not an example's own."""
    if len(parts) > 1:
        return None
    [(data, answers, _)] = parts
    rows = data[0] if len(data) == 1 else data  # Some old sets are a single row of lists.
    own = result.metric.startswith("similarity")
    return Examples(
        "average_precision",
        "similarity_ap" if own else "cosine_ap",
        _array(answers["similarity_scores" if own else "cosine_scores"]),
        _array(rows[task.label_column_name]),
        "pairs",
    )


def _classification(task: Any, parts: _Parts, result: Result) -> Examples | None:
    if task.is_cross_validation:
        return None
    right = [
        (np.asarray(answers) == np.asarray(data[task.label_column_name])).mean(axis=0)
        for data, answers, _ in parts
    ]
    return _mean("accuracy", "rows", right)


def _retrieval(task: Any, parts: _Parts, result: Result) -> Examples | None:
    metric, _, cutoff = modern_name(result.metric).rpartition("_at_")
    if metric not in _TREC:
        metric, cutoff = "ndcg", "10"
    values = [
        _of_queries(metric, int(cutoff), _ranked(task, answers), data["relevant_docs"])
        for data, answers, _ in parts
    ]
    return _mean(f"{metric}_at_{cutoff}", "queries", values)


def _ranked(task: Any, answers: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Similarities by query and document, without those that the task ignores."""
    if task.ignore_identical_ids:
        answers = {
            query: {document: score for document, score in found.items() if document != query}
            for query, found in answers.items()
        }
    if task.skip_first_result:
        answers = {
            query: dict(sorted(found.items(), key=lambda item: item[1], reverse=True)[1:])
            for query, found in answers.items()
        }
    return answers


def _of_queries(
    metric: str, cutoff: int, ranked: dict[str, dict[str, float]], relevant: dict[str, dict[str, int]]
) -> list[float]:
    """The metric of each query, in the order of the judgments, from the package that mteb takes it from."""
    import pytrec_eval

    name = _TREC[metric]
    if metric == "mrr":  # trec_eval has no cutoff for it; a first hit below the cutoff counts nothing.
        scores = pytrec_eval.RelevanceEvaluator(relevant, {name}).evaluate(ranked)
        found = [scores[query][name] for query in relevant if query in scores]
        return [value if value * (cutoff + 0.5) > 1 else 0.0 for value in found]
    scores = pytrec_eval.RelevanceEvaluator(relevant, {f"{name}.{cutoff}"}).evaluate(ranked)
    return [scores[query][f"{name}_{cutoff}"] for query in relevant if query in scores]


def _bitext(task: Any, parts: _Parts, result: Result) -> Examples | None:
    """Accuracy, also where the metric is F1, which is not a mean over sentences."""
    right = []
    for data, answers, subset in parts:
        near = answers[subset] if subset in answers else answers["sentence1-sentence2"]
        found = np.array([neighbour["corpus_id"] for neighbour in near])
        known = isinstance(data, dict) and "gold" in data
        gold = [pair[1] for pair in data["gold"]] if known else np.arange(len(found))
        right.append(found == gold)
    return _mean("accuracy", "rows", right)


def _summaries(task: Any, parts: _Parts, result: Result) -> Examples | None:
    """The metric of each text by mteb's own function, which reads nothing of the evaluator it belongs to."""
    metrics = task.evaluator._calculate_metrics
    values = [
        [
            metrics(None, {name: [rows[text]] for name, rows in answers.items()})[result.metric]
            for text in range(len(answers["human_scores"]))
        ]
        for _, answers, _ in parts
    ]
    return _mean(result.metric, "texts", values)


def _draws(metrics: Mapping[str, Any]) -> Sequence[float]:
    """The v-measure of every draw; a task with several levels of labels has some for each of them."""
    found = metrics.get("v_measures", ())
    return list(chain.from_iterable(found.values())) if isinstance(found, dict) else found


def _mean(metric: str, of: str, parts: Sequence[Sequence[float] | Any]) -> Examples | None:
    """Examples whose mean is the mean over parts of their means."""
    arrays = [_array(part) for part in parts]
    total = sum(map(len, arrays))
    if not all(map(len, arrays)):
        return None
    scaled = [array * (total / (len(arrays) * len(array))) for array in arrays]
    return Examples("mean", metric, np.concatenate(scaled), np.empty(0), of)


def _array(values: Any) -> Any:
    return np.asarray(values, np.float64)


_BY_TYPE: Mapping[str, Callable[[Any, _Parts, Result], Examples | None]] = {
    "STS": _sts,
    "PairClassification": _pairs,
    "Classification": _classification,
    "Retrieval": _retrieval,
    "InstructionRetrieval": _retrieval,
    "Reranking": _retrieval,
    "InstructionReranking": _retrieval,
    "BitextMining": _bitext,
    "Summarization": _summaries,
}
