"""Scoring a model on tasks: mteb's metrics, each text encoded once, no finished task done again."""

from __future__ import annotations

import contextlib
import io
import math
import platform
import statistics
import tempfile
import time
import warnings
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import make_folder
from yuyi.errors import InputError, MissingExtra, TaskError, YuyiError, YuyiWarning
from yuyi.evaluate.adapter import MtebModel, write_at_once
from yuyi.evaluate.comparing.examples import examples_path, write_examples
from yuyi.evaluate.comparing.predictions import examples_of
from yuyi.evaluate.offline import offline
from yuyi.evaluate.results import Result, read_result, result_path, write_result
from yuyi.evaluate.settings import Sweep, readers
from yuyi.evaluate.tasks.fetch import first_line
from yuyi.evaluate.vectors import VectorFile, VectorMemory
from yuyi.extras import require
from yuyi.pipeline import read_similarity

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from yuyi.evaluate.results import Judged, Setting
    from yuyi.evaluate.settings import Reader
    from yuyi.evaluate.tasks.task import EvalTask
    from yuyi.types import Encoder

_LIBRARIES = (
    *("yuyi", "mteb", "numpy", "onnxruntime", "pytrec-eval-terrier", "scikit-learn", "scipy", "tokenizers"),
    "torch",
)
# A result of another version of these is not taken for finished.
_DECIDING = ("mteb", "scikit-learn")
# Texts come to the encoder all at once; batches are its own affair.
_ENCODE_SETTINGS = {"batch_size": 4096, "show_progress_bar": False}


def evaluate(
    model: Encoder | str | os.PathLike[str] | None,
    tasks: Sequence[EvalTask],
    sweep: Sweep = Sweep(),  # noqa: B008 - it is frozen.
    *,
    results: str | os.PathLike[str] | None = None,
    vectors: str | os.PathLike[str] | None = None,
    on_task: Callable[[str, int, int], None] | None = None,
) -> list[Result]:
    """A result for each task under each setting, settings in the order of the sweep.

    Args:
        model: an encoder, whoever made it, or what `yuyi.load` opens; sweeps over number types and lengths
            need the latter.
        tasks: what to score it on, as `local_tasks` and `named_tasks` give them.
        sweep: the settings.
        results: folder of results. A task whose result is there, of the same weights, setting, data and
            version of mteb, is not scored again; each result is written as soon as it is known.
        vectors: folder where vectors are kept, so that a further run encodes none of these texts again.
        on_task: called before each task with its name, its place from 0, and the number of places; a task
            has a place for every time that its texts are encoded.

    Raises:
        TaskError: a task could not be scored, or the model not be opened under a later setting; the error
            holds the results of those before it.
        InputError: an impossible setting, two tasks of one name, or a folder that cannot be used.
        ModelError: the model cannot be opened.
        MissingExtra: mteb or pyarrow is not installed.
    """
    require("eval")
    _check_names(tasks)
    results_folder = None if results is None else Path(results)
    vectors_folder = None if vectors is None else Path(vectors)
    for folder, what in ((results_folder, "results"), (vectors_folder, "vectors")):
        if folder is not None:
            make_folder(folder, what)
    found: list[Result] = []
    start = 0
    seen: set[tuple[Judged, str]] = set()
    with _finished_kept(found):
        for reader in readers(model, sweep):
            if not seen:
                _warn_of_similarity(reader)
            # Two ways to ask for the same, as "auto" and the type that it chooses, are one setting.
            way = (reader.judged, reader.overflow)
            left = () if way in seen else tasks
            seen.add(way)
            judge = _Judge(reader, reader.checked(sweep.dims), results_folder, vectors_folder)
            for place, task in enumerate(left, start):
                if on_task:
                    on_task(task.name, place, len(tasks) * sweep.readers)
                with _named(task, found):
                    found += judge.results(task)
            start += len(tasks)
            del reader, judge  # Before the next model is opened.
    return found


def _check_names(tasks: Sequence[EvalTask]) -> None:
    names = [task.name for task in tasks]
    if not names:
        raise InputError("No tasks: there is nothing to score. Name at least one.")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name}: two tasks have this name. Rename or leave out one of them.")


def _warn_of_similarity(reader: Reader) -> None:
    """Say so where a model's folder wants its vectors compared by something other than their cosine."""
    folder = getattr(reader.encoder, "folder", None)
    wanted = read_similarity(folder) if folder else "cosine"
    if wanted != "cosine":
        warnings.warn(
            f"{folder}: compares by {wanted}, and scores are by the cosine. With vectors as they are (--raw) "
            f"the metrics {wanted}_* of pairs and summaries are by {wanted}.",
            YuyiWarning,
            stacklevel=3,
        )


@contextlib.contextmanager
def _finished_kept(found: list[Result]) -> Iterator[None]:
    """What goes wrong with a later model holds what was finished before."""
    try:
        yield
    except TaskError:
        raise
    except YuyiError as error:
        if not found:
            raise
        raise TaskError(str(error), found) from error


@contextlib.contextmanager
def _named(task: EvalTask, found: list[Result]) -> Iterator[None]:
    """Whatever goes wrong with a task names it, and holds what was finished before."""
    try:
        yield
    except MissingExtra:
        raise
    except YuyiError as error:
        raise TaskError(f"{task.name}: {error}", found) from error
    except (OSError, MemoryError) as error:
        raise TaskError(
            f"{task.name}: could not be scored, for this machine refused ({_reason(error)}). Make room on "
            "its disk or in its memory, and run again.",
            found,
        ) from error
    except Exception as error:
        raise TaskError(
            f"{task.name}: could not be scored ({_reason(error)}). Check the task's rows and the model, or "
            "leave the task out.",
            found,
        ) from error


def _reason(error: Exception) -> str:
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"


@dataclass(frozen=True, slots=True)
class _Judge:
    """One open model under the settings that share its vectors."""

    reader: Reader
    dims: list[int]
    folder: Path | None
    vectors: Path | None

    def results(self, task: EvalTask) -> list[Result]:
        """The task's result at each dimension, read where it is finished."""
        settings = [self.reader.setting(dim) for dim in self.dims]
        done = [self._finished(task, setting) for setting in settings]
        if all(done):
            return [result for result in done if result]
        with offline():
            return self._scored(task, settings, done)

    def _scored(self, task: EvalTask, settings: list[Setting], done: list[Result | None]) -> list[Result]:
        """The task's results, with those that are missing scored."""
        opened = task.open()
        write_at_once(opened)
        seeds = deepcopy((opened.rng_state, opened.np_rng))
        kept = VectorFile(self.vectors, self.reader) if self.vectors else None
        memory = VectorMemory(self.reader, task.name, kept)
        found = []
        for setting, result in zip(settings, done, strict=True):
            # What is drawn at random must not depend on what was drawn for the settings before.
            opened.rng_state, opened.np_rng = deepcopy(seeds)
            found.append(result or self._score(task, opened, memory, setting))
        return found

    def _finished(self, task: EvalTask, setting: Setting) -> Result | None:
        """The result on disk, if it is of this task, setting and model and has all that is asked for.

        What it has of other splits and subsets is left out.
        """
        if self.folder is None:
            return None
        path = result_path(self.folder, self.reader.judged, setting, task.name, task.part)
        if not path.exists():
            return None
        result = read_result(path)
        same = (
            result.setting == setting
            and result.model == self.reader.judged
            and result.data == task.data
            and result.metric == task.metric
            and all(result.versions.get(name) == version(name) for name in _DECIDING)
        )
        if same and tuple(result.sources) != tuple(task.sources):
            # No score depends on what the task says of its data's origin, and it may say more than it did.
            result = replace(result, sources=tuple(task.sources))
            write_result(self.folder, result)
        return _narrowed(result, task) if same else None

    def _score(self, task: EvalTask, opened: Any, memory: VectorMemory, setting: Setting) -> Result:
        """The task's result, written beside its examples where there is a folder for it."""
        start = time.perf_counter()
        model = MtebModel(memory, setting.dim)
        with tempfile.TemporaryDirectory(prefix="yuyi-predictions-") as name:
            predictions = Path(name) if self.folder else None
            scores = {
                split: _quietly(opened, model, split, list(task.languages), predictions)
                for split in task.splits
            }
            result = Result(
                task=task.name,
                type=task.type,
                metric=task.metric,
                main_score=_mean(task, scores, setting),
                scores=scores,
                languages={subset: tuple(codes) for subset, codes in task.languages.items()},
                rows=task.rows,
                data=task.data,
                model=self.reader.judged,
                setting=setting,
                seed=opened.seed,
                versions=_versions(),
                made=datetime.now(UTC).isoformat(timespec="seconds"),
                seconds=round(time.perf_counter() - start, 3),
                sources=tuple(task.sources),
                part=task.part,
            )
            if self.folder and predictions:
                examples = examples_of(opened, result, predictions)
                path = result_path(self.folder, result.model, setting, task.name, task.part)
                make_folder(path.parent, "results")
                # Those of an older result would be taken for this one's.
                examples_path(path).unlink(missing_ok=True)
                if examples is not None:
                    write_examples(examples_path(path), examples)
                # Last, because a result that is there counts as finished.
                write_result(self.folder, result)
        return result


def _narrowed(result: Result, task: EvalTask) -> Result | None:
    """The result with no splits and subsets but a task's; None where one of them, or a score, is missing."""
    scores = {
        split: {subset: result.scores.get(split, {}).get(subset, {}) for subset in task.languages}
        for split in task.splits
    }
    parts = [metrics for subsets in scores.values() for metrics in subsets.values()]
    if not all(name in metrics for metrics in parts for name in (task.metric, *task.further)):
        return None
    if scores == result.scores:
        return result
    return replace(
        result,
        scores=scores,
        main_score=statistics.fmean(metrics[task.metric] for metrics in parts),
        languages={subset: tuple(codes) for subset, codes in task.languages.items()},
        rows=task.rows,
    )


def _quietly(
    opened: Any, model: MtebModel, split: str, subsets: list[str], predictions: Path | None
) -> dict[str, dict[str, Any]]:
    # mteb draws progress bars that cannot be switched off, and passes on scikit-learn's warnings about
    # classifiers that stop at mteb's own limit of steps.
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = opened.evaluate(
            model, split, subsets, encode_kwargs=_ENCODE_SETTINGS, prediction_folder=predictions
        )
    return {subset: _plain(metrics) for subset, metrics in found.items()}


def _plain(metrics: Any) -> Any:
    """Metrics as JSON can hold them: numbers of Python's own, and none that is not a number."""
    if isinstance(metrics, dict):
        drop = ("main_score", "hf_subset", "languages")
        plain = {str(name): _plain(value) for name, value in metrics.items() if name not in drop}
        return {name: value for name, value in plain.items() if value is not None}
    if isinstance(metrics, list | tuple):
        return [_plain(value) for value in metrics]
    if isinstance(metrics, str | bool | None):
        return metrics
    number = getattr(metrics, "item", lambda: metrics)()
    return number if math.isfinite(number) else None


def _mean(task: EvalTask, scores: dict[str, dict[str, dict[str, Any]]], setting: Setting) -> float:
    """The mean of the score that counts, over splits and subsets."""
    parts = [metrics for subsets in scores.values() for metrics in subsets.values()]
    if not parts:
        raise InputError(
            f"no subset of it is among {', '.join(task.languages)}. Name subsets that the task has."
        )
    for metrics in parts:
        if task.metric not in metrics:
            raise InputError(
                f"{task.metric} has no value at dimension {setting.dim}: the model gives all texts the same "
                "similarity, or mteb has no such score for this type of task. Check that the model knows the "
                "language, and the name of the metric."
            )
    return statistics.fmean(metrics[task.metric] for metrics in parts)


def _versions() -> dict[str, str]:
    """Versions of the libraries that decide the figures, as far as installed, and of Python."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
