"""Model cards for the tests of lint, built from published facts."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import yaml

from yuyi.evaluate.linting.lint import lint
from yuyi.evaluate.suites import CMTEB_35, find_suite
from yuyi.known import find
from yuyi.known.published import runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from yuyi.evaluate.linting.lint import Finding

KINDS = ("classification", "clustering", "pair_classification", "reranking", "retrieval", "sts")
TYPES = ("Classification", "Clustering", "PairClassification", "Reranking", "Retrieval", "STS")
HEADING = (
    "Model Name",
    "Dimension",
    "Sequence Length",
    "Average (35)",
    "Classification (9)",
    "Clustering (4)",
    "Pair Classification (2)",
    "Reranking (4)",
    "Retrieval (8)",
    "STS (8)",
)


def lint_with(folder: Path, text: str, files: Mapping[str, Any] | None = None) -> list[Finding]:
    """Findings about a card in a new folder, with other files beside it: text, or values for JSON."""
    for name, content in {"README.md": text, **(files or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return lint(folder)


def commit(number: int) -> str:
    return hashlib.sha1(str(number).encode()).hexdigest()


def old_results(scores: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Results as the seeds' cards have them, from scores by mteb 2's names; each with a commit of its own."""
    results = []
    for number, task in enumerate(find_suite(CMTEB_35).tasks):
        name = task.older_name or task.name
        metrics = {
            metric.replace("cosine_", "cos_sim_").replace("map_at_1000", "map"): value
            for metric, value in scores[task.name].items()
        }
        part = "" if task.subset == "default" else f" ({task.subset})"
        data = {
            "type": task.dataset,
            "name": f"MTEB {name}{part}",
            "config": task.subset,
            "split": task.splits[0],
            "revision": commit(number),
        }
        results.append(result(task.type, data, metrics))
    return results


def result(kind: str, data: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    listed = [{"type": name, "value": value} for name, value in metrics.items()]
    return {"task": {"type": kind}, "dataset": dict(data), "metrics": listed}


def front_matter(model: str, results: Sequence[Mapping[str, Any]]) -> str:
    index = {"tags": ["mteb"], "model-index": [{"name": model, "results": list(results)}]}
    return f"---\n{yaml.safe_dump(index, allow_unicode=True)}---\n"


def table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n" + "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines) + "\n"


def board_row(
    name: str, printed: Mapping[str, float] | None = None, tokens: int | None = None
) -> list[object]:
    """A row below `HEADING`, from the averages that are published of a model."""
    model = find(name)
    assert model is not None
    means = printed or model.scores["C-MTEB (35)"]
    figures = [f"{means[kind]:.2f}" for kind in ("average", *KINDS)]
    return [name, model.dim, tokens or model.max_tokens, *figures]


def acge_rows() -> list[list[object]]:
    """The six runs that acge's card prints."""
    heading = [("acge_text_embedding", run.printed, run.setting) for run in runs("acge_text_embedding")]
    rows = []
    for name, printed, setting in heading:
        processor, dtype, length = setting.removesuffix(" tokens").split(", ")
        row = board_row(name, printed, int(length))
        rows.append([row[0], processor, dtype, *row[1:]])
    return sorted(rows, key=lambda row: float(str(row[5])))
