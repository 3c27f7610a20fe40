"""What a card averages: the metrics that count, the data that a suite pins, settings over the same tasks."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.evaluate.cards.card import make_card

from .card_results import TINY, card_of, copy, judged, whole_suite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from yuyi.evaluate.results import Result

# Types with metrics that mteb gives them; any may be the one that counts.
METRICS = {
    "STS": ("cosine_spearman", "cosine_pearson", "manhattan_spearman"),
    "Classification": ("accuracy", "f1", "ap"),
    "Clustering": ("v_measure",),
    "PairClassification": ("cosine_ap", "max_ap", "similarity_f1", "cosine_accuracy"),
    "Reranking": ("map_at_1000", "ndcg_at_10", "mrr_at_10"),
    "Retrieval": ("ndcg_at_10", "recall_at_100", "map_at_5"),
    "BitextMining": ("f1", "accuracy"),
}


@cache
def template() -> Result:
    return whole_suite(TINY / "static")[0]


def own(task: str, type_: str, metric: str, scores: Mapping[str, float], data: str = "ab" * 8) -> Result:
    """A result on local files."""
    return replace(
        template(),
        task=task,
        type=type_,
        metric=metric,
        main_score=scores[metric],
        scores={"test": {"default": dict(scores)}},
        languages={"default": ("zho-Hans",)},
        data=data,
        sources=(),
    )


@st.composite
def own_results(draw: st.DrawFn) -> list[Result]:
    known = st.sampled_from(["句对", "AFQMC", "my task", "b", "双语", "BQ"])
    names = draw(st.lists(known, min_size=1, unique=True))
    made = []
    for name in names:
        kind = draw(st.sampled_from(sorted(METRICS)))
        scores = {metric: draw(st.integers(200, 9800)) / 10_000 for metric in METRICS[kind]}
        made.append(own(name, kind, draw(st.sampled_from(METRICS[kind])), scores))
    return made


def by_task(card: str) -> dict[str, float]:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [a-z_0-9]+ \| ([\d.]+) \|$", card, re.MULTILINE)
    return {name: float(figure) for name, figure in rows}


@given(own_results(), st.sampled_from(["mteb1", "mteb2"]))
def test_the_average_is_the_mean_of_the_column_by_task(results: list[Result], shape: Any) -> None:
    card = make_card(TINY / "static", results, shape=shape)
    figures = by_task(card)
    assert figures == {result.task: round(100 * result.main_score, 2) for result in results}
    (printed,) = re.findall(r"^\| static \| 32 \| ([\d.]+) \|", card, re.MULTILINE)
    assert float(printed) == pytest.approx(fmean(figures.values()), abs=0.01)
    assert f"### All tasks scored ({len(results)})" in card


def test_a_bitext_task_counts_by_accuracy(tmp_path: Path) -> None:
    bitext = own("双语", "BitextMining", "accuracy", {"accuracy": 0.3555, "f1": 0.2813, "recall": 0.3555})
    card = card_of(copy("static", tmp_path), bitext)
    assert "| 双语 | Bitext Mining | accuracy | 35.55 |" in card
    assert "| static | 32 | 35.55 | 35.55 |" in card
    assert "| 双语 | 双语匹配 | accuracy | 35.55 |" in card_of(tmp_path / "static", bitext, language="zh")
    assert "28.13" not in card.split("---\n", 2)[2]


@pytest.mark.parametrize("shape", ["mteb1", "mteb2"])
@pytest.mark.parametrize("data", ["0123456789abcdef", "0" * 40])
def test_other_data_under_the_names_of_a_suite_are_no_suite(tmp_path: Path, data: str, shape: Any) -> None:
    folder = copy("static", tmp_path)
    results = whole_suite(folder)
    changed = replace(results[0], data=data)
    card = card_of(folder, changed, *results[1:], shape=shape)
    assert "C-MTEB (35)" not in card
    assert "### All tasks scored (35)" in card
    assert "### C-MTEB (35)" in card_of(folder, *results, shape=shape)


def test_pairs_of_other_data_count_by_their_own_metric(tmp_path: Path) -> None:
    folder = copy("static", tmp_path)
    results = [
        replace(
            result,
            data="ab" * 8,
            metric="cosine_f1",
            main_score=0.5,
            scores={split: {"default": {"cosine_f1": 0.5, "cosine_ap": 0.9}} for split in result.scores},
        )
        if result.type == "PairClassification"
        else result
        for result in whole_suite(folder)
    ]
    card = card_of(folder, *results)
    (row,) = re.findall(r"^\| static \| 32 \| [\d.]+ \| [\d.]+ \| [\d.]+ \| ([\d.]+) \|", card, re.MULTILINE)
    assert row == "50.00"


def test_settings_of_unlike_tasks_stand_in_no_table_together(tmp_path: Path) -> None:
    folder = copy("static", tmp_path)
    first = [own(name, "STS", "cosine_spearman", {"cosine_spearman": 0.4}) for name in ("a", "b")]
    other = [own(name, "Retrieval", "ndcg_at_10", {"ndcg_at_10": 0.6}) for name in ("c", "d")]
    model, setting = judged(folder)
    first = [replace(each, model=model, setting=setting) for each in first]
    short = replace(setting, dim=16)
    other = [replace(each, model=model, setting=short) for each in other]
    card = card_of(folder, *first, *other)
    assert re.findall(r"^\| static \| (\d+) \| ([\d.]+)", card, re.MULTILINE) == [("32", "40.00")]
    lower = {"test": {"default": {"cosine_spearman": 0.3}}}
    same = [replace(each, setting=short, main_score=0.3, scores=lower) for each in first]
    figures = re.findall(r"^\| static \| (\d+) \| ([\d.]+)", make_card(folder, first + same), re.MULTILINE)
    assert figures == [("32", "40.00"), ("16", "30.00")]


def test_parts_of_one_task_stand_apart(tmp_path: Path) -> None:
    folder = copy("static", tmp_path)
    both = []
    for part, score in (("zh", 0.5), ("en", 0.25)):
        scores = {"test": {part: {"cosine_spearman": score}}}
        made = own("STS22", "STS", "cosine_spearman", {"cosine_spearman": score}, "0" * 40)
        both.append(replace(made, scores=scores, languages={part: ("zho-Hans",)}, part=part))
    card = make_card(folder, both)
    assert "| STS22 (zh) | STS | cosine_spearman | 50.00 |" in card
    assert "| STS22 (en) | STS | cosine_spearman | 25.00 |" in card
