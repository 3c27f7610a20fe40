from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.evaluate.averages import (
    PAIR_METRICS,
    average,
    is_of,
    metric_of,
    modern_name,
    part_scores,
    suite_scores,
)
from yuyi.evaluate.suites import CMTEB_35, MTEB_CMN_V1, MTEB_ENG_V1, find_suite
from yuyi.known import find
from yuyi.known.published import all_runs, published, runs

from .cards import KINDS, TYPES
from .made import made_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CARDS, BOARD = find_suite(CMTEB_35), find_suite(MTEB_CMN_V1)


def test_the_averages_of_the_cards_come_out_of_their_indexes() -> None:
    means = average(published("Dmeta-embedding"), CARDS)
    assert means.overall == pytest.approx(67.506, abs=5e-4)
    assert means.by_type["STS"] == pytest.approx(64.888, abs=5e-4)  # its card prints 64.09
    means = average(published("thenlper/gte-small-zh"), CARDS)
    assert means.overall == pytest.approx(60.081, abs=5e-4)  # its card prints 60.04
    assert means.by_type["Classification"] == pytest.approx(64.485, abs=5e-4)  # and 64.35
    means = average(published("acge_text_embedding"), CARDS)
    assert means.overall == pytest.approx(69.065, abs=5e-4)
    assert means.missing == ()


@pytest.mark.parametrize("model", ["gte-small-zh", "Dmeta-embedding"])
def test_all_other_figures_of_the_tables_agree_by_the_convention_of_the_cards(model: str) -> None:
    known = find(model)
    assert known is not None
    printed = known.scores[CARDS.board]
    means = average(published(model), CARDS)
    wrong = {"gte-small-zh": {"Classification"}, "Dmeta-embedding": {"STS"}}[model]
    for kind, key in zip(TYPES, KINDS, strict=True):
        assert (abs(means.by_type[kind] - printed[key]) < 0.01) is (kind not in wrong), kind
    # Only the average precision of the cosine gives what GTE prints for pairs.
    if model == "gte-small-zh":
        pairs = {
            metric: average(published(model), CARDS, metric).by_type["PairClassification"]
            for metric in PAIR_METRICS
        }
        assert [metric for metric, mean in pairs.items() if abs(mean - 69.99) < 0.01] == ["cosine_ap"]


@pytest.mark.parametrize(
    "run", [run for run in all_runs() if run.printed and run.scores], ids=lambda run: run.setting
)
def test_each_setting_of_acge_averages_to_its_line_of_the_card(run: Any) -> None:
    means = average(run.scores, CARDS)
    assert means.overall == pytest.approx(run.printed["average"], abs=0.0051)
    for kind, key in zip(TYPES, KINDS, strict=True):
        assert means.by_type[kind] == pytest.approx(run.printed[key], abs=0.01), kind


def test_the_board_of_31_leaves_out_four_tasks_and_takes_accuracy() -> None:
    scores = published("acge_text_embedding")
    means = average(scores, BOARD)
    assert means.overall == pytest.approx(68.954, abs=5e-4)
    assert means.by_type["PairClassification"] == pytest.approx(82.332, abs=5e-4)
    assert average(scores, BOARD, "cosine_ap").by_type["PairClassification"] == pytest.approx(
        87.835, abs=5e-4
    )
    assert means.by_type["Retrieval"] == average(scores, CARDS).by_type["Retrieval"]


@given(st.data())
def test_means_are_over_tasks_and_nothing_is_averaged_over_a_gap(data: st.DataObject) -> None:
    suite = data.draw(st.sampled_from([CARDS, BOARD]))
    percents = st.floats(0, 100, allow_nan=False)
    scores = {task.name: {task.metric: data.draw(percents)} for task in suite.tasks}
    means = average(scores, suite)
    counts = {kind: len(tasks) for kind, tasks in suite.by_type().items()}
    whole = sum(means.by_type[kind] * count for kind, count in counts.items()) / suite.size
    assert means.overall == pytest.approx(whole)
    lost = data.draw(st.sampled_from(suite.tasks))
    del scores[lost.name]
    gap = average(scores, suite)
    assert (gap.overall, gap.missing) == (None, (lost.name,))
    assert gap.by_type == {kind: mean for kind, mean in means.by_type.items() if kind != lost.type}


def test_a_task_of_parts_counts_with_their_mean_or_with_a_score_of_its_own() -> None:
    suite = find_suite(MTEB_ENG_V1)
    scores = {task.name: {task.metric: 50.0} for task in suite.tasks}
    assert average(scores, suite).overall == 50
    for number, part in enumerate(suite.by_type()["Retrieval"]["CQADupstackRetrieval"]):
        scores[part.name] = {part.metric: 50.0 + 56 * number}
    assert average(scores, suite).overall == pytest.approx(50 + 5.5)
    scores["CQADupstackRetrieval"] = {"ndcg_at_10": 50.0}
    assert average(scores, suite).overall == 50


def test_both_generations_of_names_are_understood() -> None:
    old = {"cos_sim_spearman": 1.0, "cos_sim_ap": 2.0, "map": 3.0, "mrr": 4.0}
    assert metric_of(old, "cosine_spearman") == 1
    assert metric_of(old, "cosine_ap") == 2
    assert metric_of(old, "max_over_subqueries_map_at_1000") == 3
    assert metric_of({"map_at_1000": 5.0}, "map") == 5
    assert metric_of(old, "accuracy") is None
    assert modern_name("map_at_10") == "map_at_10"


def test_nothing_is_published_of_an_unknown_model() -> None:
    assert published("某个模型") == {}
    assert runs("某个模型") == ()
    assert len(runs("aspire/acge_text_embedding")) == 6


@pytest.mark.shared
def test_published_scores_are_those_of_the_indexes(shared_data: Path) -> None:
    reference = shared_data.parent / "reference"
    index = json.loads((reference / "published.json").read_bytes())["models"]
    for model, card in index.items():
        scores = published(model)
        tasks = {task.older_name or task.name: task.name for task in CARDS.tasks}
        assert len(card["tasks"]) == len(scores) == 35
        for task in card["tasks"]:
            for metric, value in scores[tasks[task["name"].split(" ")[0]]].items():
                assert metric_of(task["metrics"], metric) == pytest.approx(value, abs=5.1e-5)


@pytest.mark.shared
def test_result_files_of_acge_average_to_the_table_of_its_card(shared_data: Path) -> None:
    reference = shared_data.parent / "reference"
    table = json.loads((reference / "published.json").read_bytes())["c_mteb_table_acge_card"]
    files = json.loads((reference / "acge_results.json").read_bytes())
    lines = {
        "a10_bf16": ("A10", "bfloat16"),
        "bf16": ("A100", "bfloat16"),
        "half": ("A100", "float16"),
        "float": ("A100", "float32"),
    }
    assert len(files) == 4
    for folder, tasks in files.items():
        gpu, dtype = lines[folder.removeprefix("acge_text_embedding_")]
        row = next(
            row for row in table if (row["gpu"], row["dtype"], row["sequence_length"]) == (gpu, dtype, 1024)
        )
        scores = {name: _old_metrics(name, task) for name, task in tasks.items()}
        means = average(scores, CARDS)
        assert means.overall == pytest.approx(row["average"], abs=0.0051)
        for kind, key in zip(TYPES, KINDS, strict=True):
            assert means.by_type[kind] == pytest.approx(row[key], abs=0.01), (folder, kind)
        run = next(run for run in runs("acge_text_embedding") if run.source.startswith(f"result/{folder} "))
        stored = average(run.scores, CARDS)
        assert stored.overall == pytest.approx(means.overall, abs=1e-4)


def _old_metrics(name: str, task: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a result file of mteb 1 in percent: those of the split and language that count."""
    splits = {split: values for split, values in task.items() if isinstance(values, dict)}
    found = splits.get("test") or next(iter(splits.values()))
    subset = next(one.subset for one in CARDS.tasks if name in (one.name, one.older_name))
    found = found.get(subset, found)
    flat = {metric: value for metric, value in found.items() if isinstance(value, float)}
    for similarity, values in found.items():
        if isinstance(values, dict):
            flat |= {f"{similarity}_{metric}": value for metric, value in values.items()}
    return {metric: value * 100 for metric, value in flat.items()}


def test_own_results_count_for_a_suite_on_its_own_data_alone() -> None:
    task = next(task for task in CARDS.tasks if task.name == "STS22")
    english = next(task for task in find_suite(MTEB_ENG_V1).tasks if task.name == "STS22")
    result = made_of(task, 0.25)
    assert suite_scores([result], CARDS) == {"STS22": {"cosine_spearman": 25.0}}
    assert suite_scores([result], find_suite(MTEB_ENG_V1)) == {}
    assert suite_scores([made_of(english, 0.5), result], CARDS) == {"STS22": {"cosine_spearman": 25.0}}
    for other in (
        replace(result, data="digest of files"),
        replace(result, data="0" * 40),
        replace(result, scores={"validation": result.scores["test"]}),
    ):
        assert suite_scores([other], CARDS) == {}
        assert not is_of(other, task)


def test_a_task_counts_with_the_mean_over_the_splits_of_the_suite() -> None:
    both = {
        "validation": {"default": {"accuracy": 0.5, "draws": [1]}},
        "test": {"default": {"accuracy": 0.7}},
    }
    [cards] = [task for task in CARDS.tasks if task.name == "MultilingualSentiment"]
    [board] = [task for task in BOARD.tasks if task.name == "MultilingualSentiment"]
    assert part_scores(both, cards) == {"accuracy": 0.5}
    assert part_scores(both, board) == {"accuracy": pytest.approx(0.6)}
    assert part_scores({"validation": both["validation"]}, board) == {}
    assert part_scores({}, board) == {}
