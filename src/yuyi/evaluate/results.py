"""Results on disk: one JSON a task and setting, as mteb 2 writes and reads them, and what they depend on.

    RESULTS/<model>/<revision>/<task>.json
    RESULTS/<model>/<revision>/<task>@<part>.json      of a part of the task's data, as STS22@zh.json
    RESULTS/<model>/<revision>/<task>.examples.npz     what a bootstrap needs; see `examples`

A slash in the model's name becomes two underscores, as in mteb's own results; the revision names fingerprint
and setting. mteb ignores the key "yuyi", which holds what its format has no place for.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import hash_json, make_folder, publish_file
from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_OURS = "yuyi"


@dataclass(frozen=True, slots=True)
class Judged:
    """The model that was judged.

    Attributes:
        name: as it calls itself.
        fingerprint: hex digest of what decides its vectors.
        dim: length of its whole vectors.
    """

    name: str
    fingerprint: str
    dim: int


@dataclass(frozen=True, slots=True)
class Setting:
    """How texts became the vectors that were scored, settled and not as asked for.

    Attributes:
        dim: number of values kept of each vector.
        dtype: what the engine computed in; empty where the model does not say, as an endpoint.
        max_length: longest text in tokens, special ones included; None for any length, or unknown.
        overflow: what became of longer texts.
        prompts: what was put before texts, by role: "query", "document" and "" for texts without a role.
        pooling: how vectors of tokens became one; empty where the model does not say.
        backend: the engine: static, torch, onnx, or endpoint.
        device: where it computed.
        normalize: whether vectors were brought to unit length.
    """

    dim: int
    dtype: str = ""
    max_length: int | None = None
    overflow: str = "cut"
    prompts: Mapping[str, str] = field(default_factory=dict)
    pooling: str = ""
    backend: str = ""
    device: str = ""
    normalize: bool = True

    @property
    def label(self) -> str:
        """A short name such as "256-float32-512", with a digest of the rest where it is not the usual."""
        parts = [str(self.dim), self.dtype, str(self.max_length or "")]
        if self.overflow != "cut" or any(self.prompts.values()) or not self.normalize:
            parts.append(hash_json([self.overflow, dict(self.prompts), self.normalize])[:6])
        return "-".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class Result:
    """What a model scored on one task under one setting.

    Attributes:
        task: its name.
        type: mteb's name of its type, such as "PairClassification".
        metric: mteb's name of the score that counts.
        main_score: that score, 0 to 1 (correlations from -1), the mean over splits and subsets.
        scores: all metrics by split and subset; with them what mteb tells of single draws, in lists.
        languages: of its texts, as mteb writes them ("zho-Hans"), by subset.
        rows: how many examples were judged.
        data: commit of the data on the hub, or a digest of local files.
        model: which model.
        setting: how it encoded.
        seed: of what is drawn at random.
        versions: of the libraries that decide the figures, and of Python.
        made: UTC time at the end, ISO 8601.
        seconds: how long the task took.
        sources: names of training sources made from the same data set, beside the task's own name.
        part: which part of the task's data was judged, mostly a language; empty for all of it.
    """

    task: str
    type: str
    metric: str
    main_score: float
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]]
    languages: Mapping[str, Sequence[str]]
    rows: int
    data: str
    model: Judged
    setting: Setting
    seed: int
    versions: Mapping[str, str]
    made: str
    seconds: float
    sources: Sequence[str] = ()
    part: str = ""

    @property
    def label(self) -> str:
        """The task, with the part of its data where that was not all: "STS22 (zh)"."""
        return f"{self.task} ({self.part})" if self.part else self.task

    @property
    def judged_parts(self) -> dict[str, list[str]]:
        """Which subsets of each split were judged."""
        return {split: sorted(subsets) for split, subsets in sorted(self.scores.items())}


def result_path(folder: Path, model: Judged, setting: Setting, task: str, part: str = "") -> Path:
    """Where the result of a task, or of a part of its data, belongs in a folder of results."""
    revision = f"{model.fingerprint[:12]}-{setting.label}"
    name = f"{task}@{part}" if part else task
    return folder / model.name.replace("/", "__") / revision / f"{name}.json"


def write_result(folder: Path, result: Result) -> Path:
    """The file that now holds the result; it is there whole or not at all.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    path = result_path(folder, result.model, result.setting, result.task, result.part)
    make_folder(path.parent, "results")
    with publish_file(path) as temporary:
        text = json.dumps(to_mteb(result), ensure_ascii=False, indent=2, allow_nan=False)
        temporary.write_text(text + "\n", "utf-8")
    return path


def read_result(path: Path) -> Result:
    """The result that `write_result` wrote.

    Raises:
        InputError: the file cannot be read, is damaged, or is not of yuyi's making.
    """
    try:
        return _from_mteb(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}). Make it readable, or choose another folder."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not a result that yuyi wrote ({type(error).__name__}: {error}). "
            "Remove it, and evaluate again."
        ) from error


def read_results(folder: Path) -> list[Result]:
    """All results of a folder and those below it, by model, setting and task.

    Raises:
        InputError: there is no such folder or no result in it, or one of them is damaged.
    """
    return list(find_results(folder).values())


def find_results(folder: Path) -> dict[Path, Result]:
    """The same results by where they lie; files whose names begin with a dot are none.

    Raises:
        InputError: there is no such folder or no result in it, or one of them is damaged.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {what}. Name one that yuyi evaluate --results wrote.")
    # A file with a dot is one that was being written when its run was killed.
    paths = [
        path
        for path in sorted(folder.rglob("*.json"))
        if path.name != "model_meta.json" and not path.name.startswith(".")
    ]
    if not paths:
        raise InputError(f"{folder}: holds no results. Make them with yuyi evaluate --results {folder}.")
    return {path: read_result(path) for path in paths}


def to_mteb(result: Result) -> dict[str, Any]:
    """The result as mteb 2 writes it, with the rest under the key "yuyi"."""
    scores = {
        split: [
            {
                **metrics,
                "main_score": metrics[result.metric],
                "hf_subset": subset,
                "languages": list(result.languages[subset]),
            }
            for subset, metrics in subsets.items()
        ]
        for split, subsets in result.scores.items()
    }
    here = {name.name for name in fields(Result)} - {"scores", "task", "data", "seconds", "made", "languages"}
    return {
        "dataset_revision": result.data,
        "task_name": result.task,
        "mteb_version": result.versions.get("mteb"),
        "scores": scores,
        "evaluation_time": result.seconds,
        "kg_co2_emissions": None,
        "date": datetime.fromisoformat(result.made).timestamp(),
        _OURS: {
            "made": result.made,
            **{name: value for name, value in asdict(result).items() if name in here},
        },
    }


def to_json(results: Sequence[Result]) -> str:
    """Results as a JSON list, a line for each, as mteb 2 writes it; ends in a newline."""
    lines = [
        json.dumps(to_mteb(result), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        for result in results
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def from_json(text: str) -> list[Result]:
    """The results that `to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError: they are not.
    """
    return list(map(_from_mteb, json.loads(text)))


def _from_mteb(record: dict[str, Any]) -> Result:
    ours = dict(record[_OURS])
    entries = {
        (split, entry["hf_subset"]): entry for split, found in record["scores"].items() for entry in found
    }
    scores: dict[str, dict[str, dict[str, Any]]] = {}
    for (split, subset), entry in entries.items():
        metrics = {k: v for k, v in entry.items() if k not in ("main_score", "hf_subset", "languages")}
        scores.setdefault(split, {})[subset] = metrics
    result = Result(
        **{
            **ours,
            "model": Judged(**ours["model"]),
            "setting": Setting(**ours["setting"]),
            "task": record["task_name"],
            "data": record["dataset_revision"],
            "seconds": record["evaluation_time"],
            "sources": tuple(ours.get("sources", ())),
            "scores": scores,
            "languages": {subset: tuple(entry["languages"]) for (_, subset), entry in entries.items()},
        }
    )
    _check_types(result)
    return result


def _check_types(result: Result) -> None:
    """Return when every value is what its attribute is for.

    Raises:
        TypeError, ValueError: one is not; the message names it.
    """
    judged, setting = result.model, result.setting
    texts = {name: getattr(result, name) for name in ("task", "type", "metric", "data", "made", "part")}
    texts |= {f"model's {name}": getattr(judged, name) for name in ("name", "fingerprint")}
    texts |= {name: getattr(setting, name) for name in ("dtype", "overflow", "pooling", "backend", "device")}
    texts |= {f"prompt {role!r}": text for role, text in setting.prompts.items()}
    texts |= {f"version of {name}": version for name, version in result.versions.items()}
    counts = {"rows": result.rows, "seed": result.seed, "model's dim": judged.dim, "dim": setting.dim}
    counts |= {} if setting.max_length is None else {"max_length": setting.max_length}
    numbers: dict[str, Any] = {"main_score": result.main_score, "seconds": result.seconds}
    for split, subsets in result.scores.items():
        for subset, metrics in subsets.items():
            if result.metric not in metrics:
                raise ValueError(f"no {result.metric} of {split}, {subset}")
            numbers |= {
                f"{name} of {split}, {subset}": value
                for name, value in metrics.items()
                # What mteb tells of single draws is in lists.
                if name == result.metric or not isinstance(value, list | dict | None)
            }
    if not result.scores:
        raise ValueError("no scores")
    datetime.fromisoformat(result.made)
    for values, kind, what in ((texts, str, "text"), (counts, int, "whole number")):
        for name, value in values.items():
            if not isinstance(value, kind) or isinstance(value, bool):
                raise TypeError(f"{name} is {value!r}, and no {what}")
    for name, value in numbers.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
            raise TypeError(f"{name} is {value!r}, and no number")
