"""Cards of tiny models, from results that are made up of published figures."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub import ModelCard

import yuyi
from yuyi.artifacts import is_sealed
from yuyi.evaluate.cards.words import LANGUAGES, WORDS
from yuyi.evaluate.linting.lint import lint
from yuyi.evaluate.results import write_result
from yuyi.evaluate.suites import find_suite

from .card_results import body, card_of, copy, judged, result_of, whole_suite

if TYPE_CHECKING:
    from pathlib import Path


# What is written.


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["bert-zh", "static"])
def test_the_averages_of_the_whole_suite_come_out(tmp_path: Path, name: str, language: Any) -> None:
    text = card_of(copy(name, tmp_path), language=language)
    cards, board = re.findall(rf"^\| {name} \| 32 \| (.*) \|$", text, re.MULTILINE)
    assert cards == "60.08 | 64.48 | 48.95 | 70.00 | 66.21 | 65.51 | 49.72"
    assert board == "60.05 | 69.32 | 48.95 | 64.87 | 66.21 | 65.51 | 47.29"
    assert "(35)" in text
    assert "### MTEB(cmn, v1)" in text
    assert is_sealed(text)


# Each task scores its type's figure, but the first of a type more: as many points as the type has tasks.
SCORED = {
    "Classification": 10,
    "Clustering": 20,
    "PairClassification": 30,
    "Reranking": 40,
    "Retrieval": 50,
    "STS": 60,
    "Summarization": 70,
}
AVERAGED = {
    "C-MTEB (35)": "37.29 | 11.00 | 21.00 | 31.00 | 41.00 | 51.00 | 61.00",
    "MTEB(cmn, v1)": "39.06 | 11.00 | 21.00 | 31.00 | 41.00 | 51.00 | 61.00",
    "MTEB(eng, v1)": "36.89 | 11.00 | 21.00 | 31.00 | 41.00 | 51.00 | 61.00 | 71.00",
    "MTEB(eng, v2)": "38.07 | 11.00 | 21.00 | 31.00 | 41.00 | 51.00 | 61.00 | 71.00",
}


@pytest.mark.parametrize("shape", ["mteb1", "mteb2"])
@pytest.mark.parametrize("name", AVERAGED)
def test_every_named_suite_is_averaged(tmp_path: Path, name: str, shape: Any) -> None:
    folder, suite = copy("static", tmp_path), find_suite(name)
    base, setting = judged(folder)
    results = []
    for kind, tasks in suite.by_type().items():
        more = len(tasks)
        for parts in tasks.values():
            for task in parts:
                results.append(result_of(task, {task.metric: SCORED[kind] + more}, base, setting))
            more = 0
    card = card_of(folder, *results, shape=shape)
    assert f"### {name}\n" in card
    assert f"| static | 32 | {AVERAGED[name]} |" in card


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_checks_read_its_tables(model: Path, language: Any) -> None:
    text, path = card_of(model, language=language), model / "README.md"
    for printed in ("60.08", "64.48", "48.95", "70.00", "66.21", "65.51", "49.72", "47.29"):
        path.write_text(text.replace(f"| {printed} |", f"| {float(printed) + 0.3:.2f} |", 1), "utf-8")
        assert [finding.rule for finding in lint(path)][:1] == ["average"]
        path.write_text(text, "utf-8")
    for fact in (f"| {WORDS[language]['dimensions']} | ", "| bert-zh | "):
        path.write_text(text.replace(f"{fact}32 |", f"{fact}64 |"), "utf-8")
        assert {finding.rule for finding in lint(path)} == {"dimension"}


@pytest.mark.parametrize("name", ["bert-zh", "static", "xlm-roberta", "modernbert", "bert-dense"])
def test_facts_of_the_folder(tmp_path: Path, name: str) -> None:
    import torch

    from yuyi.model.embedder import load_embedder
    from yuyi.pipeline import read_pipeline

    folder = copy(name, tmp_path)
    text = body(card_of(folder))
    opened = yuyi.load(folder)
    assert f"| dimensions | {', '.join(map(str, opened.dims))}" in text
    assert f"| vocabulary | {opened.vocabulary_size} pieces |" in text
    assert ("sentence-transformers:" in text) == (name != "static")
    if name == "static":
        assert f"| parameters | {opened.vocabulary_size * 32:,} |" in text
        assert "A token table" in text
        return
    assert f"| longest text | {opened.max_tokens} tokens |" in text
    embedder = load_embedder(read_pipeline(folder)).to(torch.float32)
    count = sum(parameter.numel() for parameter in embedder.parameters())
    # Weights that only torch reads are not counted.
    assert (f"| parameters | {count:,} |" in text) == (name != "bert-dense")


def test_a_model_that_needs_code_of_its_own_has_no_snippet_for_others(tmp_path: Path) -> None:
    text = card_of(copy("gte-new", tmp_path))
    assert "sentence_transformers" not in text
    assert "library_name: yuyi\n" in text


# Settings.


def test_several_dimensions_are_one_table(tmp_path: Path) -> None:
    folder = copy("static", tmp_path)
    small = whole_suite(folder, "Dmeta-embedding", dim=16)
    card = card_of(folder, *small, *whole_suite(folder))
    rows = re.findall(r"^\| static \| (\d+) \| ([\d.]+)", card, re.MULTILINE)
    assert rows == [("32", "60.08"), ("16", "67.51"), ("32", "60.05"), ("16", "67.68")]
    assert "| Task | Type | Metric | 32 | 16 |" in card
    assert "| AFQMC | STS | cosine_spearman | 36.69 | 71.13 |" in card
    assert ModelCard(card).data.eval_results[0].metric_value == 36.689


def test_other_settings_stand_beside_the_one_of_the_index(model: Path) -> None:
    short = whole_suite(model, "Dmeta-embedding", max_length=32, dtype="bfloat16")
    card = card_of(model, *short[:-1], *whole_suite(model))
    # A setting that lacks a task has no average over all of them, but over those of the 31 that are there.
    assert "| Model | Dimension | Average (35) |" in card
    card = card_of(model, *short)
    assert "| Model | Dimension | Number type | Read up to | Average (35) |" in card
    assert "| bert-zh | 32 | bfloat16 | 32 | 67.51 |" in card
    assert "| bert-zh | 32 | float32 | 48 | 60.08 |" in card


def test_what_is_no_whole_suite_is_averaged_over_what_is_there(model: Path) -> None:
    some = [result for result in whole_suite(model) if result.task in ("AFQMC", "BQ", "Waimai")]
    card = card_of(model, *some)
    assert "### All tasks scored (3)" in card
    assert "| bert-zh | 32 | 57.09 | 84.96 | 43.16 |" in card
    assert "Average (3) | Classification (1) | STS (2)" in card
    assert "C-MTEB (35)" not in card


def test_a_task_that_was_judged_twice_counts_as_it_was_judged_last(model: Path) -> None:
    old, *others = whole_suite(model)
    (split,) = old.scores
    new = replace(
        old,
        made="2026-11-27T00:00:00+00:00",
        scores={split: {"default": {"cosine_spearman": 0.5}}},
    )
    write_result(model.parent / "results" / "a later run", new)
    card = card_of(model, old, *others)
    assert ModelCard(card).data.eval_results[0].metric_value == 50
    assert "- made: 2026-11-26 – 2026-11-27\n" in card


def test_the_usual_setting_of_several_is_that_of_the_index(model: Path) -> None:
    unusual = [
        whole_suite(model, "Dmeta-embedding", **changes)
        for changes in ({"dtype": "bfloat16"}, {"overflow": "pool"}, {"device": "a"}, {"normalize": False})
    ]
    card = card_of(model, *(result for results in unusual for result in results[:4]), *whole_suite(model))
    assert ModelCard(card).data.eval_results[0].metric_value == 36.689
    card = card_of(model, *(result for results in unusual[:2] for result in results))
    assert ModelCard(card).data.eval_results[0].metric_value == 36.689
    assert "| Model | Dimension | Number type | Longer texts | Average (35) |" in card
    assert "| bert-zh | 32 | float32 | pool | 67.51 |" in card


def test_digests_of_local_files_are_called_so(model: Path) -> None:
    results = whole_suite(model)
    assert "digests of local files" not in card_of(model, *results)
    card = card_of(model, *(replace(result, data=result.data[:16]) for result in results))
    assert "Revisions of other than 40 digits are digests of local files" in card
    first = ModelCard(card).data.eval_results[0]
    assert (first.dataset_type, first.dataset_name, len(first.dataset_revision)) == (
        "AFQMC",
        "MTEB AFQMC",
        16,
    )


def test_classifiers_fitted_on_all_rows_have_a_table_of_their_own(model: Path) -> None:
    first, *others = whole_suite(model)
    name, alone = next((each.task, each) for each in others if each.type == "Classification")
    split, subsets = next(iter(alone.scores.items()))
    more = {part: {**metrics, "accuracy_all_rows": 0.8765} for part, metrics in subsets.items()}
    fitted = replace(alone, scores={split: more})
    assert "### One classifier on all rows" not in card_of(model)
    card = card_of(model, first, *(fitted if each is alone else each for each in others))
    assert "### One classifier on all rows\n" in card
    assert f"| Task | 32 |\n| --- | ---: |\n| {name} | 87.65 |\n" in card
    assert lint(model) == []
    chinese = card_of(model, *others[:3], fitted, language="zh")
    assert "### 用全部训练数据的分类器\n" in chinese


def test_a_metric_that_is_not_usual_is_averaged_as_it_counts(model: Path) -> None:
    scores = {"f1": 0.25, "accuracy": 0.4, "recall": 0.4}
    bitext = replace(
        whole_suite(model)[0],
        **{"task": "平行句", "type": "BitextMining", "metric": "accuracy", "main_score": 0.4},
        scores={"test": {"default": scores}},
        languages={"default": ("zho-Hans", "eng-Latn")},
    )
    card = card_of(model, bitext)
    assert "| Model | Dimension | Average (1) | Bitext Mining (1) |" in card
    assert "| bert-zh | 32 | 40.00 | 40.00 |" in card
    assert [(each.metric_type, each.metric_value) for each in ModelCard(card).data.eval_results] == [
        ("accuracy", 40.0),
        ("f1", 25.0),
        ("main_score", 40.0),
        ("recall", 40.0),
    ]
    usual = card_of(model, replace(bitext, metric="f1", main_score=0.25))
    assert "| bert-zh | 32 | 25.00 | 25.00 |" in usual
    assert lint(model) == []
