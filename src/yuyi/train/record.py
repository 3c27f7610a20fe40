"""What stays with a model of how it was made: `training.json` for programs, a section of its card for people.

The record is as `yuyi.training_record` describes it, and tells of the whole way: a run that goes on from
another's model, and models merged, have the stages and sources of those before, too. Origins and licences are
those of the `manifest.json` that `yuyi data` puts beside a training set; they are empty where nobody said. No
path and no date is in it, so that a resumed run ends with the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import hash_json
from yuyi.pipeline import folder_name
from yuyi.train.teaching.continual import REPLAYED
from yuyi.training_record import TRAINING, training_of
from yuyi.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from yuyi.train.config import Course, Stage
    from yuyi.train.reading.sources import Source
    from yuyi.train.settings import TrainConfig
    from yuyi.train.teaching.teacher import TeacherConfig
    from yuyi.training_record import Stage as Told

_MANIFEST = "manifest.json"
_SETTINGS = {"exponent", "longest", "precision", "seed"}


def training_record(
    course: Course, config: TrainConfig, sources: Sequence[Source], before: Mapping[str, Any]
) -> dict[str, Any]:
    """How a run made its model, as JSON.

    Args:
        course: its stages, every task spelled out.
        config: its settings.
        sources: what its tasks drew from.
        before: the record of the model that it began with; empty where there is none.
    """
    origins = _origins(entry.path for entry in (*config.data, *config.replay))
    start = config.model.folder if config.model is not None else ""
    own = {
        "yuyi": __version__,
        "license": config.license,
        "languages": list(config.languages),
        "start": folder_name(Path(start)) if start else "",
        "teacher": teacher_record(config.teacher) if config.teacher is not None else {},
        "stages": [{"run": config.name, **stage_record(stage)} for stage in course.stages],
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
    return joined([before, own]) if before else own


def joined(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One record of several: all stages, each source once; of other things what the last one says.

    What it began with is what the first one says.
    """
    sources = {
        (each["name"], each.get("kind", ""), each.get("replayed", False)): each
        for record in records
        for each in record.get("sources", ())
    }
    last = {key: value for key, value in records[-1].items() if key != "start"}
    return {
        **last,
        **{key: value for key, value in records[0].items() if key == "start"},
        "teacher": next((record["teacher"] for record in reversed(records) if record.get("teacher")), {}),
        "stages": [stage for record in records for stage in record.get("stages", ())],
        "sources": list(sources.values()),
        "documents": list(dict.fromkeys(name for record in records for name in record.get("documents", ()))),
    }


def merged(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One record of models that were made one, those stages once that they went through together."""
    whole = joined(records)
    return {**whole, "stages": list({hash_json(stage): stage for stage in whole["stages"]}.values())}


def training_text(record: Mapping[str, Any]) -> str:
    """Stages, settings and data of a run's record, for the card that is saved with the model."""
    training = training_of(record)
    lines = [_stage_line(stage) for stage in training.stages]
    lines += ["", "| source | kind | rows |", "|---|---|---:|"]
    for each in training.sources:
        rows = "" if each.rows is None else f"{each.rows:,}"
        lines.append(f"| {REPLAYED if each.replayed else ''}{each.name} | {each.kind} | {rows} |")
    settings = training.settings
    if settings.keys() >= _SETTINGS:
        lines.append(
            f"\nSources are drawn in proportion to their size to the power {settings['exponent']:g}; texts "
            f"are read up to {settings['longest']} tokens; {settings['precision']}; seed {settings['seed']}."
        )
    return "\n".join(lines)


def _stage_line(stage: Told) -> str:
    steps = "" if stage.steps is None else f": {stage.steps:,} steps"
    rate = "" if stage.learning_rate is None else f" at {stage.learning_rate:g}"
    tasks = [
        task.objective
        + ("" if percent is None else f" {percent:.0f} %")
        + ("" if task.batch is None else f" (batches of up to {task.batch:,})")
        for task, percent in zip(stage.tasks, stage.percents, strict=True)
    ]
    return f"- {stage.name}{steps}{rate}" + (f"; {', '.join(tasks)}" if tasks else "")


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Put the record into a model folder that is being written."""
    text = json.dumps(record, ensure_ascii=False, indent=1)
    (folder / TRAINING).write_text(text + "\n", "utf-8")


def stage_record(stage: Stage) -> dict[str, Any]:
    """A stage as the record tells it, but for the run that it belongs to."""
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


def teacher_record(config: TeacherConfig) -> dict[str, str]:
    """Name and licence of a teacher: where it comes from, or else what it is called here."""
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
