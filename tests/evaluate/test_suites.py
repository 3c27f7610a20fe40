from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from yuyi.errors import InputError
from yuyi.evaluate.suites import CMTEB_35, MTEB_CMN_V1, MTEB_ENG_V1, MTEB_ENG_V2, all_suites, find_suite
from yuyi.evaluate.suites_from_mteb import suites_of_mteb
from yuyi.known import all_models
from yuyi.known.published import all_runs

if TYPE_CHECKING:
    from yuyi.evaluate.suites import Suite

CHINESE = {
    "Classification": 9,
    "Clustering": 4,
    "PairClassification": 2,
    "Reranking": 4,
    "Retrieval": 8,
    "STS": 8,
}


@pytest.mark.parametrize(
    ("name", "size"), [(CMTEB_35, 35), (MTEB_CMN_V1, 31), (MTEB_ENG_V1, 56), (MTEB_ENG_V2, 41)]
)
def test_sizes(name: str, size: int) -> None:
    suite = find_suite(name.upper())
    assert suite.name == name
    assert suite.size == size
    assert len({(task.name, task.subset) for task in suite.tasks}) == len(suite.tasks)


def test_the_suite_of_the_cards_has_six_types_and_the_31_within() -> None:
    cards, board = find_suite(CMTEB_35), find_suite(MTEB_CMN_V1)
    assert {kind: len(tasks) for kind, tasks in cards.by_type().items()} == CHINESE
    extra = {(task.name, task.subset) for task in cards.tasks} - {
        (task.name, task.subset) for task in board.tasks
    }
    assert extra == {
        ("AmazonReviewsClassification", "zh"),
        ("MassiveIntentClassification", "zh-CN"),
        ("MassiveScenarioClassification", "zh-CN"),
        ("STS22", "zh"),
    }
    pairs = {
        suite.name: [task.metric for task in suite.tasks if task.type == "PairClassification"]
        for suite in (cards, board)
    }
    assert pairs == {CMTEB_35: ["cosine_ap"] * 2, MTEB_CMN_V1: ["max_accuracy"] * 2}


def test_the_parts_of_a_task_count_as_one() -> None:
    parts = find_suite(MTEB_ENG_V1).by_type()["Retrieval"]["CQADupstackRetrieval"]
    assert len(parts) == 12
    assert len({part.revision for part in parts}) == 12


@pytest.mark.parametrize("suite", all_suites(), ids=lambda suite: suite.name)
def test_every_task_is_pinned(suite: Suite) -> None:
    for task in suite.tasks:
        assert re.fullmatch(r"[0-9a-f]{40}", task.revision), task.name
        assert task.splits
        assert "/" in task.dataset


def test_boards_are_those_of_the_known_models() -> None:
    boards = {board for model in all_models() for board in model.scores}
    assert {suite.board for suite in all_suites() if suite.board} == boards


def test_published_runs_are_of_the_tasks_of_the_cards() -> None:
    names = {task.name for task in find_suite(CMTEB_35).tasks}
    whole = [run for run in all_runs() if set(run.scores) == names]
    assert len(whole) >= 7
    # The one run beside them has averages alone.
    assert [(run.model, run.scores) for run in all_runs() if run not in whole] == [
        ("acge_text_embedding", {})
    ]


def test_an_unknown_suite_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        InputError, match=r"中文: no such suite\. Choose one of: C-MTEB \(35\), MTEB\(cmn, v1\)"
    ):
        find_suite("中文")


def test_the_file_is_what_the_installed_mteb_says() -> None:
    assert suites_of_mteb() == {suite.name: list(suite.tasks) for suite in all_suites()}
