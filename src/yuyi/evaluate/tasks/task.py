"""One thing to judge a model by, wherever its rows come from: local files or a named suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class EvalTask:
    """A task that can be run.

    Attributes:
        name: as reports show it; unique in a run.
        type: mteb's name of its type, such as "PairClassification".
        metric: mteb's name of the score that counts.
        data: commit of its data on the hub, or a digest of the local files.
        splits: the splits that are scored.
        languages: mteb's names of the languages of each subset that is scored ("zho-Hans"); one subset,
            "default", where there is one only.
        rows: how many examples are judged; 0 where that is not known before the data are read.
        sources: names of training sources made from the same data set, beside the task's own name.
        open: gives the mteb task with its data in it. It raises InputError where the data cannot be used.
        further: names of scores that are asked for beside those that mteb gives.
        part: which part of the data is scored, mostly a language; empty for all of it.
    """

    name: str
    type: str
    metric: str
    data: str
    splits: Sequence[str]
    languages: Mapping[str, Sequence[str]]
    rows: int
    sources: Sequence[str]
    open: Callable[[], Any]
    further: Sequence[str] = ()
    part: str = ""
