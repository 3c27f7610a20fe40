"""How a recipe made its model, as `training.json` tells it: the model's card is written from that."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from yuyi.train.record import stage_record, teacher_record
from yuyi.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yuyi.recipe.schema import Recipe


def recipe_record(recipe: Recipe, file: str, pairs: Mapping[str, Any]) -> dict[str, Any]:
    """The record as JSON, with what `yuyi train` cannot know: what was dropped, left out and why, and limits.

    Args:
        recipe: what made the model.
        file: name of the recipe's file.
        pairs: the manifest of the prepared pairs: what was taken and dropped, by source.
    """
    table = recipe.table
    dropped: Counter[str] = Counter()
    for told in pairs["sources"].values():
        dropped.update(told["dropped"])
    return {
        "yuyi": __version__,
        "license": recipe.license,
        "languages": list(recipe.languages),
        "start": "",
        "teacher": teacher_record(recipe.teacher) if recipe.teacher else {},
        "stages": [{"run": recipe.name, **stage_record(stage)} for stage in table.stages],
        "sources": _sources(pairs),
        "settings": {
            "dims": ", ".join(map(str, table.dims)),
            "exponent": table.exponent,
            "longest": table.longest,
            "seed": table.seed,
        },
        "dropped": dict(sorted(dropped.items())),
        "left_out": [{"path": entry.path, "reason": entry.reason} for entry in recipe.left_out],
        "limits": list(recipe.limits),
        "notes": _notes(recipe, file),
    }


def _sources(pairs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each collection and kind that rows were taken from."""
    return [
        {
            "name": name,
            "kind": kind,
            "rows": counts["taken"],
            "origin": told["origin"] or "",
            "licence": told["licence"] or "",
        }
        for name, told in pairs["sources"].items()
        for kind, counts in told["kinds"].items()
        if counts["taken"]
    ]


def _notes(recipe: Recipe, file: str) -> list[str]:
    notes = [
        f"`yuyi run {file}` makes this model again. `provenance.json` holds the hashes of what went in"
        + (", `scores.json` every score." if recipe.evaluation else ".")
    ]
    if recipe.teacher:
        languages = ", ".join(recipe.teacher.languages)
        notes.append(
            f"The teacher was asked about texts in {languages}; its vectors are rotated onto their principal "
            "axes."
        )
    if recipe.evaluation:
        notes.append(
            "Texts of the evaluation sets were kept out of training. No set was held back from the choice of "
            "settings."
        )
    return notes
