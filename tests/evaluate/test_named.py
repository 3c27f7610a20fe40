"""mteb's own tasks: which are chosen, and what is known of them before they are opened."""

from __future__ import annotations

from typing import Any

import pytest

from yuyi.errors import InputError
from yuyi.evaluate.suites import CMTEB_35, MTEB_CMN_V1, MTEB_ENG_V1, all_suites
from yuyi.evaluate.tasks import named
from yuyi.evaluate.tasks.named import named_tasks


@pytest.mark.parametrize("suite", all_suites(), ids=lambda suite: suite.name)
def test_a_suite_is_scored_as_it_is_pinned(suite: Any) -> None:
    found = named_tasks(suite=suite.name)
    assert [
        (task.name, task.type, task.metric, task.data, task.splits, list(task.languages)) for task in found
    ] == [
        (task.name, task.type, task.metric, task.revision, task.splits, [task.subset]) for task in suite.tasks
    ]
    assert all(task.rows for task in found)


def test_facts_of_a_task() -> None:
    [task] = named_tasks(["STS22"], suite=CMTEB_35)
    assert (task.rows, task.languages) == (656, {"zh": ("cmn-Hans",)})
    [task] = named_tasks(["CmedqaRetrieval"])
    assert (task.rows, task.metric, task.splits) == (3999, "ndcg_at_10", ("dev",))
    assert task.sources == ("mteb/CmedqaRetrieval", "CMedQAv2-reranking")
    assert named_tasks(["CMedQAv1"])[0].name == named_tasks(["CMedQAv1"], suite=CMTEB_35)[0].name
    assert "CMedQAv1" in named_tasks(["CMedQAv1"], suite=CMTEB_35)[0].sources


def test_part_of_the_data_is_named_where_that_is_not_all() -> None:
    parts = {task.name: task.part for task in named_tasks(suite=CMTEB_35)}
    assert {name: part for name, part in parts.items() if part} == {
        "AmazonReviewsClassification": "zh",
        "MassiveIntentClassification": "zh-CN",
        "MassiveScenarioClassification": "zh-CN",
        "STS22": "zh",
    }
    names = ["STS22", "AFQMC", "MassiveIntentClassification"]
    assert {task.part for task in named_tasks(names)} == {""}
    assert [task.part for task in named_tasks(names[::2], languages=["zh"])] == ["zh+zh-en", "zh-CN+zh-TW"]
    [many] = named_tasks(["STS17"], languages=["en"])
    assert many.part.startswith("8 subsets ")


def test_the_same_task_counts_otherwise_in_another_suite() -> None:
    metrics = [named_tasks(["Cmnli"], suite=suite)[0].metric for suite in (CMTEB_35, MTEB_CMN_V1)]
    assert metrics == ["cosine_ap", "max_accuracy"]
    assert named_tasks(["cmnli"])[0].metric == "max_accuracy"


def test_parts_of_a_mean_are_tasks_of_their_own() -> None:
    alone = named_tasks(["CQADupstackRetrieval"])
    assert len(alone) == 12
    assert {task.name for task in named_tasks(["CQADupstackRetrieval"], suite=MTEB_ENG_V1)} == {
        task.name for task in alone
    }


def test_choice_by_type_and_language() -> None:
    chinese = named_tasks(types=["sts"], languages=["zh"])
    assert {"AFQMC", "LCQMC", "STSB"} <= {task.name for task in chinese}
    assert "STS12" not in {task.name for task in chinese}
    for language in ("zh", "ZHO", "cmn"):
        assert len(named_tasks(suite=CMTEB_35, languages=[language])) == 35
    assert {task.type for task in named_tasks(suite=CMTEB_35, types=["Reranking", "STS"])} == {
        "STS",
        "Reranking",
    }
    [task] = named_tasks(["STS22"], languages=["deu"])
    assert set(task.languages) == {"de", "de-en", "de-fr", "de-pl"}
    assert named_tasks(["STS22"], languages=["DEU-latn"])[0].languages == task.languages


def test_a_suite_is_looked_up_before_mteb_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise AssertionError("imported")

    monkeypatch.setattr(named, "import_mteb", refuse)
    with pytest.raises(InputError, match="MTEB: no such suite"):
        named_tasks(suite="MTEB")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "No task is named"),
        ({"names": [""]}, "^: no task of mteb of this name"),
        ({"names": ["AFQMCC"]}, r"AFQMCC: no task of mteb of this name\. Did you mean AFQMC\?"),
        (
            {"names": ["STS12"], "suite": CMTEB_35},
            r"STS12: no task of C-MTEB \(35\) of this name\. Did you mean STS22",
        ),
        ({"suite": "C-MTEB"}, r"C-MTEB: no such suite\. Choose one of: C-MTEB \(35\)"),
        ({"types": ["Similarity"]}, "Similarity: no type of task of this name.* STS, "),
        ({"languages": ["中文"]}, "中文: no code of a language. Write zh, en, or"),
        ({"languages": ["xx"]}, "xx: one of these is no language of mteb"),
        ({"suite": CMTEB_35, "languages": ["en"]}, r"C-MTEB \(35\), en: no task is all of this"),
        ({"names": ["MalteseNewsClassification"]}, "type MultilabelClassification is none of STS"),
    ],
)
def test_what_cannot_be_chosen(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        named_tasks(**asked)
