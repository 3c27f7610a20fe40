"""Published scores by task: the model-index of the seeds' cards, and acge's runs under its other settings.

Read from `published.toml`. Averages as printed, of many more models, are those of `yuyi.known.Known.scores`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from yuyi.known import find

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Run:
    """One published evaluation of a model.

    Attributes:
        model: its short name.
        source: where the figures stand.
        setting: processor, number format and length, where the source tells them.
        scores: by task and metric, under mteb 2's names, in percent; empty where only averages are printed.
        printed: averages that the card prints for this setting, as keyed in `Known.scores`; empty where the
            card prints one line for the model, which is then in `Known.scores`.
    """

    model: str
    source: str
    setting: str = ""
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    printed: Mapping[str, float] = field(default_factory=dict)


@cache
def all_runs() -> tuple[Run, ...]:
    """Every published run, a model's own index before its other settings."""
    records = tomllib.loads((files("yuyi.known") / "published.toml").read_text("utf-8"))["run"]
    return tuple(Run(**record) for record in records)


def runs(model: str) -> tuple[Run, ...]:
    """The published runs of a model, by any name that `yuyi.known.find` takes; none where it has none."""
    found = find(model)
    return tuple(run for run in all_runs() if found is not None and run.model == found.name)


def published(model: str) -> Mapping[str, Mapping[str, float]]:
    """Scores of a model's card by task and metric, in percent; empty where nothing is published.

    Example: `published("gte-small-zh")["STSB"]` is `{"cosine_spearman": 76.5142}`.
    """
    return next((run.scores for run in runs(model)), {})
