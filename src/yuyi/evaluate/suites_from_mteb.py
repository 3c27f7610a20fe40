"""Writes `known/suites.toml`: which tasks the named suites hold, as the installed mteb 2 has them.

    python -m yuyi.evaluate.suites_from_mteb

It lives beside `suites`, which reads the file, so that both are checked by the same tools and a test can
compare the file with what this makes of the installed mteb. Nothing else needs it while yuyi runs.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yuyi.known
from yuyi.artifacts import publish_file
from yuyi.evaluate.offline import import_mteb
from yuyi.evaluate.suites import CMTEB_35, MTEB_CMN_V1, MTEB_ENG_V1, MTEB_ENG_V2, SUITES_FILE, Task

# The four sets of the cards' 35 that belong to multilingual tasks, with their Chinese part and their split.
_MULTILINGUAL = (
    ("AmazonReviewsClassification", "zh"),
    ("MassiveIntentClassification", "zh-CN"),
    ("MassiveScenarioClassification", "zh-CN"),
    ("STS22", "zh"),
)
_MULTILINGUAL_SPLITS = ("test",)
# What the cards score where mteb 2 has since changed its mind: AP of the cosine, and one split.
_CARD_PAIR_METRIC = "cosine_ap"
_CARD_SPLITS = {"MultilingualSentiment": ("validation",)}
# Names under which older results carry a task.
_OLDER_NAMES = {"CMedQAv1-reranking": "CMedQAv1", "CMedQAv2-reranking": "CMedQAv2"}
# The boards of `known/models.toml` whose averages are those of a suite.
_BOARDS = {CMTEB_35: "C-MTEB (35)", MTEB_ENG_V1: "MTEB English (56)"}

_HEADER = """\
# The named suites: tasks, and the revisions of their data, as mteb {version} pins them.
# Made by `python -m yuyi.evaluate.suites_from_mteb`; make it again rather than editing it.
#
# {cmteb} is the suite of the Chinese cards: {cmn} and the Chinese part of four multilingual tasks, with
# average precision of the cosine for pair classification. A task with `part_of` is one of several whose mean
# counts as one.
"""


def suites_of_mteb() -> dict[str, list[Task]]:
    """The tasks of each suite by its name, in the order of their names.

    Raises:
        MissingExtra: mteb is not installed.
    """
    mteb = import_mteb()
    suites = {
        name: [
            task
            for of_mteb in mteb.get_benchmark(name).tasks
            for task in _tasks(of_mteb, of_mteb.hf_subsets[0], of_mteb.eval_splits)
        ]
        for name in (MTEB_CMN_V1, MTEB_ENG_V1, MTEB_ENG_V2)
    }
    chinese = [_as_cards_have_it(task) for task in suites[MTEB_CMN_V1]]
    for name, subset in _MULTILINGUAL:
        chinese += _tasks(mteb.get_task(name), subset, _MULTILINGUAL_SPLITS)
    return {
        name: sorted(tasks, key=lambda task: task.name)
        for name, tasks in {CMTEB_35: chinese, **suites}.items()
    }


def write_suites(path: Path) -> None:
    """Write the suites of the installed mteb to `path`, whole or not at all."""
    version = import_mteb().__version__
    text = _HEADER.format(version=version, cmteb=CMTEB_35, cmn=MTEB_CMN_V1)
    for name, tasks in suites_of_mteb().items():
        board = f"board = {_quoted(_BOARDS[name])}\n" if name in _BOARDS else ""
        lines = "".join(f"  {_inline(task)},\n" for task in tasks)
        text += f"\n[[suite]]\nname = {_quoted(name)}\n{board}tasks = [\n{lines}]\n"
    with publish_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _tasks(of_mteb: Any, subset: str, splits: Any, part_of: str = "") -> list[Task]:
    """One task of mteb; several where it is the mean of others."""
    metadata = of_mteb.metadata
    parts = getattr(metadata, "tasks", None)
    if parts:
        return [task for part in parts for task in _tasks(part, "default", splits, metadata.name)]
    return [
        Task(
            name=metadata.name,
            type=metadata.type,
            metric=metadata.main_score,
            dataset=metadata.dataset["path"],
            revision=metadata.dataset["revision"],
            splits=tuple(splits),
            subset=subset,
            older_name=_OLDER_NAMES.get(metadata.name, ""),
            part_of=part_of,
        )
    ]


def _as_cards_have_it(task: Task) -> Task:
    metric = _CARD_PAIR_METRIC if task.type == "PairClassification" else task.metric
    return replace(task, metric=metric, splits=_CARD_SPLITS.get(task.name, task.splits))


def _inline(task: Task) -> str:
    """A task as an inline table of TOML, without what is as usual."""
    values = {key: getattr(task, key) for key in ("name", "type", "metric", "dataset", "revision")}
    values["splits"] = list(task.splits)
    for key, usual in (("subset", "default"), ("older_name", ""), ("part_of", "")):
        if getattr(task, key) != usual:
            values[key] = getattr(task, key)
    return "{ " + ", ".join(f"{key} = {_quoted(value)}" for key, value in values.items()) + " }"


def _quoted(value: str | list[str]) -> str:
    # Strings and lists of strings are spelled alike in JSON and TOML.
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    write_suites(Path(yuyi.known.__file__).with_name(SUITES_FILE))
