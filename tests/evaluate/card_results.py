"""Results for the tests of cards, made up from what is published, for a model folder that is there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from yuyi.encode import load
from yuyi.evaluate.cards.card import write_card
from yuyi.evaluate.linting.lint import lint
from yuyi.evaluate.results import Judged, Result, Setting, write_result
from yuyi.evaluate.suites import CMTEB_35, MTEB_CMN_V1, find_suite
from yuyi.known.published import published

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from yuyi.evaluate.suites import Task

TINY = Path(__file__).parent.parent / "tiny"
LANGUAGES = ("cmn-Hans",)
VERSIONS = {"mteb": "2.26.24", "numpy": "2.4.6", "python": "3.11.7", "yuyi": "0.1.0"}
PROMPTS = {"query": "为这个句子生成表示：", "document": "", "": ""}


def judged(folder: Path) -> tuple[Judged, Setting]:
    """The model of a folder, and the setting under which it opens."""
    model = load(folder)
    setting = Setting(
        dim=model.dim,
        dtype=model.dtype,
        max_length=model.max_tokens,
        prompts=PROMPTS if model.prompts else {},
        pooling="cls",
        backend=model.backend_name,
        device=model.device,
    )
    return Judged(folder.name, model.fingerprint, model.dim), setting


def result_of(task: Task, metrics: Mapping[str, float], model: Judged, setting: Setting) -> Result:
    """The result of a task that scored these metrics, in percent, under mteb 2's names."""
    scores = {name: value / 100 for name, value in metrics.items()}
    return Result(
        task=task.name,
        type=task.type,
        metric=task.metric,
        main_score=fmean([scores[task.metric]]),
        scores={split: {task.subset: scores} for split in task.splits},
        languages={task.subset: LANGUAGES},
        rows=100,
        data=task.revision,
        model=model,
        setting=setting,
        seed=42,
        versions=VERSIONS,
        sources=(task.dataset,),
        made="2026-11-26T11:00:00+00:00",
        seconds=1.5,
    )


def whole_suite(folder: Path, source: str = "gte-small-zh", **changes: object) -> list[Result]:
    """The published figures of another model for all 35 tasks, as if that of the folder had made them."""
    model, setting = judged(folder)
    setting = replace(setting, **changes)  # type: ignore[arg-type]
    scores = published(source)
    # That of 31 tasks takes a split more of one of them.
    splits = {task.name: task.splits for name in (CMTEB_35, MTEB_CMN_V1) for task in find_suite(name).tasks}
    tasks = [replace(task, splits=splits[task.name]) for task in find_suite(CMTEB_35).tasks]
    return [result_of(task, scores[task.name], model, setting) for task in tasks]


def copy(name: str, place: Path) -> Path:
    """A copy of a tiny model, in which a card can be written."""
    return shutil.copytree(TINY / name, place / name)


def card_of(folder: Path, *results: Result, **options: Any) -> str:
    """The card of a folder, by default from the whole suite; its checks have to find nothing."""
    place = write_all(folder.parent / "results", results or whole_suite(folder))
    path = write_card(folder, place, **options)
    assert lint(path) == []
    return path.read_text("utf-8")


def write_all(place: Path, results: Iterable[Result]) -> Path:
    """The folder, with the results in it."""
    for result in results:
        write_result(place, result)
    return place


def body(card: str) -> str:
    """A card without its front matter."""
    return card.split("\n---\n", 1)[1]
