"""What stays with a model of how it was made: `training.json` for programs, a section of its card for people.

    {"yuyi": "0.1.0", "license": ..., "languages": [...], "start": ...,
     "teacher": {"name": ..., "licence": ...},
     "stages": [{"name": ..., "steps": ..., "learning_rate": ...,
                 "tasks": [{"objective": ..., "share": ..., "batch": ...}]}],
     "sources": [{"name": ..., "kind": ..., "rows": ..., "replayed": ..., "origin": ..., "licence": ...}],
     "documents": [...], "settings": {...}}

Origins and licences are those of the `manifest.json` that `yuyi data` puts beside a training set; they are
empty where nobody said. No path and no date is in it, so that a resumed run ends with the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yuyi.pipeline import folder_name
from yuyi.train.teaching.continual import REPLAYED
from yuyi.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from yuyi.train.config import Course, Stage
    from yuyi.train.reading.sources import Source
    from yuyi.train.settings import TrainConfig
    from yuyi.train.teaching.teacher import TeacherConfig

TRAINING = "training.json"

_MANIFEST = "manifest.json"


def training_record(course: Course, config: TrainConfig, sources: Sequence[Source]) -> dict[str, Any]:
    """How a run made its model, as JSON.

    Args:
        course: its stages, every task spelled out.
        config: its settings.
        sources: what its tasks drew from.
    """
    origins = _origins(entry.path for entry in (*config.data, *config.replay))
    start = config.model.folder if config.model is not None else ""
    return {
        "yuyi": __version__,
        "license": config.license,
        "languages": list(config.languages),
        "start": folder_name(Path(start)) if start else "",
        "teacher": _teacher(config.teacher) if config.teacher is not None else {},
        "stages": [_stage(stage) for stage in course.stages],
        "sources": [_source(source, origins) for source in sources],
        "documents": [Path(path).stem for path in config.documents],
        "settings": {
            "dims": ", ".join(map(str, config.dims)),
            "exponent": config.exponent,
            "longest": config.longest,
            "precision": config.precision,
            "seed": config.seed,
        },
    }


def training_text(record: Mapping[str, Any]) -> str:
    """Stages, settings and data of a record, for the card that is saved with the model."""
    lines = []
    for stage in record["stages"]:
        total = sum(task["share"] for task in stage["tasks"])
        tasks = ", ".join(
            f"{task['objective']} {100 * task['share'] / total:.0f} % (batches of up to {task['batch']:,})"
            for task in stage["tasks"]
        )
        lines.append(f"- {stage['name']}: {stage['steps']:,} steps at {stage['learning_rate']:g}; {tasks}")
    lines += ["", "| source | kind | rows |", "|---|---|---:|"]
    for each in record["sources"]:
        name = f"{REPLAYED if each['replayed'] else ''}{each['name']}"
        lines.append(f"| {name} | {each['kind']} | {each['rows']:,} |")
    settings = record["settings"]
    lines.append(
        f"\nSources are drawn in proportion to their size to the power {settings['exponent']:g}; texts are "
        f"read up to {settings['longest']} tokens; {settings['precision']}; seed {settings['seed']}."
    )
    return "\n".join(lines)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Put the record into a model folder that is being written."""
    text = json.dumps(record, ensure_ascii=False, indent=1)
    (folder / TRAINING).write_text(text + "\n", "utf-8")


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "steps": stage.steps,
        "learning_rate": stage.highest_rate,
        "tasks": [
            {"objective": task.objective, "share": task.share, "batch": task.batch} for task in stage.tasks
        ],
    }


def _source(source: Source, origins: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    name = source.name.removeprefix(REPLAYED)
    told = origins.get(name, {})
    return {
        "name": name,
        "kind": source.kind,
        "rows": len(source),
        "replayed": name != source.name,
        "origin": told.get("origin") or "",
        "licence": told.get("licence") or "",
    }


def _teacher(config: TeacherConfig) -> dict[str, str]:
    place = config.package or (
        folder_name(Path(config.folder)) if config.folder else Path(config.vectors).stem
    )
    return {"name": place if config.origin == "not stated" else config.origin, "licence": config.licence}


def _origins(files: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """What the manifests beside these files tell of each source; one that cannot be read tells nothing."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in dict.fromkeys(Path(file).with_name(_MANIFEST) for file in files):
        try:
            sources = json.loads(path.read_text("utf-8"))["sources"].items()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        found |= {name: told for name, told in sources if isinstance(told, dict)}
    return found
