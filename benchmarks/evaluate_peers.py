"""One contender of `benchmarks/evaluate.py`: python evaluate_peers.py NAME SETTINGS, in a process of its own.

The settings are a `Turn` as JSON. The last line printed is JSON: the scores of each task by mteb's names, the
seconds and the processor seconds of each task, and the memory at the peak. Both contenders hand the same rows
to the same classes of mteb; what differs is the model and what stands between.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from yuyi.evaluate.tasks.task import EvalTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a contender is asked.

    Attributes:
        model: folder of the weights.
        data: folder of the evaluation sets.
        tasks: names of the sets; empty for all.
    """

    model: str
    data: str
    tasks: tuple[str, ...]


# Metrics by task.
Figures = dict[str, dict[str, float]]


def run_yuyi(turn: Turn, tasks: list[EvalTask]) -> Figures:
    """The scores by yuyi, in one run as its users have it."""
    import yuyi
    from yuyi.evaluate import evaluate

    encoder = yuyi.load(turn.model, dtype="float32")
    results = evaluate(encoder, tasks)
    return {
        result.task: {**result.scores["test"]["default"], "main_score": result.main_score}
        for result in results
    }


def run_mteb(turn: Turn, tasks: list[EvalTask]) -> Figures:
    """The scores by mteb with sentence-transformers, both as they come."""
    from yuyi.evaluate.offline import import_mteb

    mteb = import_mteb()
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(turn.model, device="cpu")
    results = mteb.evaluate(
        model, [task.open() for task in tasks], cache=None, co2_tracker=False, show_progress_bar=False
    )
    return {found.task_name: found.scores["test"][0] for found in results.task_results}


CONTENDERS: dict[str, Callable[[Turn, list[EvalTask]], Figures]] = {"yuyi": run_yuyi, "mteb": run_mteb}


def main() -> None:
    """Run one contender and print what it found."""
    from yuyi.evaluate.tasks.local import local_tasks

    name, settings = sys.argv[1], json.loads(sys.argv[2])
    turn = Turn(**{**settings, "tasks": tuple(settings["tasks"])})
    start = time.perf_counter()
    figures = CONTENDERS[name](turn, local_tasks(Path(turn.data), turn.tasks or None))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    report: dict[str, Any] = {
        "seconds": time.perf_counter() - start,
        "processor": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss * 1024,
        "scores": {
            task: {key: value for key, value in metrics.items() if isinstance(value, int | float)}
            for task, metrics in figures.items()
        },
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
