"""Scoring an encoder on a folder of sets, with every setting stored beside the scores."""

from __future__ import annotations

import json
import math
import platform
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import hash_file
from yuyi.errors import InputError
from yuyi.evaluate.adapter import MtebModel, VectorMemory
from yuyi.evaluate.local import CLASSIFICATION, find_sets
from yuyi.evaluate.tasks import SEED, build_task, score_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from yuyi.evaluate.local import EvalSet
    from yuyi.types import Encoder


@dataclass(frozen=True, slots=True)
class Score:
    """The result of one set at one dimension.

    Attributes:
        set: name of the set.
        task: mteb's name of the task type.
        dim: number of values kept of each vector.
        rows: number of rows; for retrieval the number of queries.
        metric: mteb's name of the main score.
        value: the main score, 0 to 1 (correlations from -1).
        also: further scores of mteb, by name.
    """

    set: str
    task: str
    dim: int
    rows: int
    metric: str
    value: float
    also: dict[str, float]


@dataclass(frozen=True, slots=True)
class Report:
    """Scores and what they depend on.

    Attributes:
        model: name, fingerprint and full dimension of the encoder.
        settings: seed and classification settings.
        versions: of yuyi, mteb, numpy, scikit-learn and Python.
        made: UTC time of the run, ISO 8601.
        seconds: how long it took.
        data: SHA-256 of each data file, by file name.
        scores: one entry for each set and dimension.
    """

    model: dict[str, str | int]
    settings: dict[str, int]
    versions: dict[str, str]
    made: str
    seconds: float
    data: dict[str, str]
    scores: tuple[Score, ...]

    def values(self, dim: int | None = None) -> dict[str, float]:
        """Main score x 100 by set name, at `dim` or at the largest dimension of the report."""
        dim = dim or max(score.dim for score in self.scores)
        return {score.set: 100 * score.value for score in self.scores if score.dim == dim}

    def to_json(self) -> str:
        """The report as JSON text, ending in a newline."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    def to_markdown(self) -> str:
        """The main scores x 100 as a Markdown table, one row a set, one column a dimension."""
        dims = sorted({score.dim for score in self.scores}, reverse=True)
        lines = [
            "| set | task | metric | " + " | ".join(map(str, dims)) + " |",
            "|---|---|---|" + "---:|" * len(dims),
        ]
        columns = [self.values(dim) for dim in dims]
        for score in self.scores:
            if score.dim == dims[0]:
                cells = " | ".join(f"{column[score.set]:.2f}" for column in columns)
                lines.append(f"| {score.set} | {score.task} | {score.metric} | {cells} |")
        return "\n".join(lines) + "\n"


def evaluate(
    encoder: Encoder,
    folder: Path,
    tasks: Sequence[str] | None = None,
    dims: Sequence[int] | None = None,
    *,
    on_set: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Scores of the encoder on every set of the folder.

    Args:
        encoder: anything that turns texts into vectors.
        folder: Parquet files as `yuyi.evaluate.local` describes them.
        tasks: names of the sets to take; None for all.
        dims: lengths to cut the vectors to before they are brought back to unit length; None for no cut.
        on_set: called before each set with its name, its place from 0, and the number of sets.

    Raises:
        InputError: an unknown set, an impossible dimension, or a file that cannot be used.
        MissingExtra: mteb or pyarrow is not installed.
    """
    dims = _checked_dims(encoder, dims)
    sets = _chosen(find_sets(folder), tasks, folder)
    made, start = datetime.now(UTC), time.perf_counter()
    scores: list[Score] = []
    for place, found in enumerate(sets):
        if on_set:
            on_set(found.name, place, len(sets))
        scores += _scores(encoder, found, dims)
    return Report(
        model={
            "name": str(getattr(encoder, "name", type(encoder).__name__)),
            "fingerprint": encoder.fingerprint,
            "dim": encoder.dim,
        },
        settings={"seed": SEED, **dict(CLASSIFICATION.settings)},
        versions={
            **{name: version(name) for name in ("yuyi", "mteb", "numpy", "scikit-learn")},
            "python": platform.python_version(),
        },
        made=made.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - start, 1),
        data={file.name: hash_file(file) for found in sets for file in found.files},
        scores=tuple(scores),
    )


def _checked_dims(encoder: Encoder, dims: Sequence[int] | None) -> list[int]:
    if dims is None:
        return [encoder.dim]
    for dim in dims:
        if not 1 <= dim <= encoder.dim:
            raise InputError(
                f"dimension {dim}: the model gives {encoder.dim}. Choose from 1 to {encoder.dim}."
            )
    return sorted(set(dims), reverse=True)


def _chosen(sets: list[EvalSet], tasks: Sequence[str] | None, folder: Path) -> list[EvalSet]:
    names = [found.name for found in sets]
    for task in tasks or ():
        if task not in names:
            raise InputError(f"{task}: no such set in {folder}. It has {', '.join(names)}.")
    return [found for found in sets if not tasks or found.name in tasks]


def _scores(encoder: Encoder, found: EvalSet, dims: list[int]) -> Iterator[Score]:
    """One score for each dimension; texts are encoded once."""
    task = build_task(found)
    memory = VectorMemory(encoder)
    for dim in dims:
        yield _score(found, dim, score_task(task, MtebModel(memory, dim)))


def _score(found: EvalSet, dim: int, result: dict[str, Any]) -> Score:
    value, kind = float(result["main_score"]), found.kind
    if not math.isfinite(value):
        raise InputError(
            f"{found.name}: {kind.metric} has no value at dimension {dim}, because the model gives every "
            "pair the same similarity. Check that the model knows the language."
        )
    also = {name: round(float(result[name]), 6) for name in kind.also}
    return Score(found.name, kind.name, dim, found.rows, kind.metric, round(value, 6), also)
