"""The model-index of a card, as hubs and mteb read it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub import ModelCard

from yuyi.evaluate.averages import modern_name
from yuyi.evaluate.cards.card import write_card
from yuyi.evaluate.cards.index import model_index
from yuyi.evaluate.linting.lint import lint
from yuyi.evaluate.suites import CMTEB_35, find_suite

from .card_results import TINY, card_of, judged, result_of, whole_suite, write_all

if TYPE_CHECKING:
    from pathlib import Path


def test_hubs_read_every_metric_under_the_names_of_mteb_1(model: Path) -> None:
    tasks = {result.type: result for result in whole_suite(model)}
    metrics = {
        "STS": ["pearson", "cosine_pearson", "cosine_spearman", "euclidean_spearman", "manhattan_pearson"],
        "PairClassification": ["cosine_ap", "dot_f1", "max_accuracy", "similarity_ap", "manhattan_recall"],
        "Reranking": ["map_at_1000", "mrr_at_10", "ndcg_at_10", "nauc_map_at_10_max"],
        "Retrieval": [
            "map_at_1",
            "mrr_at_3",
            "ndcg_at_10",
            "precision_at_1000",
            "recall_at_5",
            "hit_rate_at_1",
        ],
        "Classification": ["accuracy", "f1", "ap", "f1_weighted"],
        "Clustering": ["v_measure", "v_measure_std"],
    }
    results = []
    for number, (kind, result) in enumerate(tasks.items()):
        values: dict[str, Any] = dict.fromkeys(metrics[kind], (number + 1) / 16)
        if kind == "Clustering":
            values["v_measures"] = {"Level 0": [0.1, 0.2]}
        (split,) = result.scores
        (subset,) = result.scores[split]
        results.append(replace(result, scores={split: {subset: values}}, main_score=(number + 1) / 16))
    card_of(model, *results, name="someone/x")
    data = ModelCard.load(model / "README.md").data
    assert data.model_name == "someone/x"
    found: dict[str, dict[str, float]] = {}
    for each in data.eval_results:
        assert each.dataset_name.startswith("MTEB ")
        assert re.fullmatch("[0-9a-f]{40}", each.dataset_revision)
        found.setdefault(each.task_type, {})[each.metric_type] = each.metric_value
    assert {kind: sorted(values.keys() - {"main_score"}) for kind, values in found.items()} == {
        "STS": ["cos_sim_pearson", "cos_sim_spearman", "euclidean_spearman", "manhattan_pearson"],
        "PairClassification": ["cos_sim_ap", "dot_f1", "manhattan_recall", "max_accuracy"],
        "Reranking": ["map", "mrr"],
        "Retrieval": ["map_at_1", "mrr_at_3", "ndcg_at_10", "precision_at_1000", "recall_at_5"],
        "Classification": ["accuracy", "ap", "f1"],
        "Clustering": ["v_measure"],
    }
    assert all("main_score" in values for values in found.values())
    assert {value for values in found.values() for value in values.values()} == {
        100 * (number + 1) / 16 for number in range(6)
    }


@pytest.mark.shared
def test_the_names_are_those_of_the_seeds_cards(shared_data: Path) -> None:
    models = json.loads((shared_data.parent / "reference" / "published.json").read_bytes())["models"]
    template = {result.task: result for result in whole_suite(TINY / "bert-zh")}
    older = {"CMedQAv1": "CMedQAv1-reranking", "CMedQAv2": "CMedQAv2-reranking"}
    for card in models.values():
        results = []
        for task in card["tasks"]:
            result = template[older.get(name := task["name"].partition(" (")[0], name)]
            scores = {modern_name(metric): value / 100 for metric, value in task["metrics"].items()}
            results.append(replace(result, scores={task["split"]: {task["config"]: scores}}))
        (made,) = model_index("x/y", results, "mteb1")
        got = {each["dataset"]["name"]: each for each in made["results"]}
        assert len(got) == 35
        for task in card["tasks"]:
            each = got[f"MTEB {task['name']}"]
            assert (each["task"]["type"], each["dataset"]["split"]) == (task["task_type"], task["split"])
            values = {metric["type"]: metric["value"] for metric in each["metrics"]}
            assert values.pop("main_score") in values.values()
            assert values == pytest.approx(task["metrics"], abs=1e-6)


@pytest.mark.filterwarnings("ignore:HF deprecated:DeprecationWarning")
def test_the_other_shape_is_that_of_mteb_2(model: Path) -> None:
    from mteb.results import TaskResult

    place = write_all(model.parent / "results", whole_suite(model))
    write_card(model, place, shape="mteb2")
    assert lint(model) == []
    results = ModelCard.load(model / "README.md").data.eval_results
    found = {each.dataset_name: each for each in results}
    assert len(found) == 35
    for name in ("AFQMC (default)", "STS22 (zh)", "T2Reranking (default)", "Cmnli (default)"):
        (file,) = place.rglob(f"{name.partition(' (')[0]}.json")
        (theirs,) = TaskResult.from_disk(file).get_hf_eval_results()
        # Suites choose what pairs count by, and later versions may pin other commits.
        same = {"metric_type": found[name].metric_type, "metric_name": found[name].metric_name}
        assert found[name] == replace(theirs, metric_value=round(theirs.metric_value, 8), **same)


def test_a_task_of_several_parts_has_an_entry_for_each(model: Path) -> None:
    base, setting = judged(model)
    task = next(task for task in find_suite(CMTEB_35).tasks if task.name == "STS22")
    result = result_of(task, {"cosine_spearman": 60.0}, base, setting)
    scores = {"test": {"zh": {"cosine_spearman": 0.6}, "en": {"cosine_spearman": 0.4}}}
    both = replace(result, scores=scores, main_score=0.5, languages={"zh": ("zho",), "en": ("eng",)})
    card = card_of(model, both)
    results = ModelCard(card).data.eval_results
    assert {(each.dataset_name, each.metric_value) for each in results} == {
        ("MTEB STS22 (zh)", 60.0),
        ("MTEB STS22 (en)", 40.0),
    }
    assert "| STS22 | STS | cosine_spearman | 50.00 |" in card
    assert "Average" not in card
