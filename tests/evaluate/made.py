"""Results made by hand, as `evaluate` would give them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from yuyi.evaluate.results import Judged, Result, Setting

if TYPE_CHECKING:
    from yuyi.evaluate.suites import Task

METRICS = {
    "STS": "cosine_spearman",
    "PairClassification": "cosine_ap",
    "Classification": "accuracy",
    "Clustering": "v_measure",
    "Reranking": "map_at_1000",
    "Retrieval": "ndcg_at_10",
}


def made(task: str = "AFQMC", score: float = 0.5, type_: str = "STS", **more: Any) -> Result:
    """A result; `model`, `setting` and `metrics` may be given beside its own attributes."""
    metric = more.pop("metric", METRICS[type_])
    model = more.pop("model", "gte-small-zh")
    setting = more.pop("setting", Setting(512, "float32", 512))
    metrics = {metric: score, **more.pop("metrics", {})}
    result = Result(
        task=task,
        type=type_,
        metric=metric,
        main_score=score,
        scores={"test": {"default": metrics}},
        languages={"default": ("zho-Hans",)},
        rows=100,
        data="b44c3b011063adb25877c13823db83bb193913c4",
        model=model if isinstance(model, Judged) else Judged(model, f"{model}-0123456789abcdef", 512),
        setting=setting,
        seed=42,
        versions={"mteb": "2.26.24", "yuyi": "0.1.0"},
        made="2026-11-26T10:00:00+00:00",
        seconds=1.5,
    )
    return replace(result, **more)


def made_of(task: Task, score: float = 0.5, **more: Any) -> Result:
    """A result of a suite's task, on the very data that the suite pins."""
    metrics = {task.metric: score, **more.pop("metrics", {})}
    parts = {
        "data": task.revision,
        "scores": {split: {task.subset: metrics} for split in task.splits},
        "languages": {task.subset: ("eng-Latn",) if task.subset.startswith("en") else ("zho-Hans",)},
    }
    return made(task.name, score, task.type, metric=task.metric, **{**parts, **more})
