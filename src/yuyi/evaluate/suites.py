"""The named suites: which tasks they hold, at which revision of their data, and which metric counts.

They are read from `known/suites.toml`, so no part of this needs mteb. `suites_from_mteb` makes that file.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from yuyi.errors import InputError

CMTEB_35 = "C-MTEB (35)"
MTEB_CMN_V1 = "MTEB(cmn, v1)"
MTEB_ENG_V1 = "MTEB(eng, v1)"
MTEB_ENG_V2 = "MTEB(eng, v2)"

SUITES_FILE = "suites.toml"


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a suite.

    Attributes:
        name: mteb 2's name of it.
        type: mteb's task type, such as "PairClassification".
        metric: mteb 2's name of the score that counts in this suite.
        dataset: name of its data on the Hugging Face hub.
        revision: commit of that data.
        splits: the splits whose mean counts.
        subset: the part of the data that is scored, mostly a language; "default" where there is one only.
        older_name: what cards and results of older versions call it; empty where that is the same.
        part_of: the task of whose mean this is a part; empty for a task of its own.
    """

    name: str
    type: str
    metric: str
    dataset: str
    revision: str
    splits: tuple[str, ...]
    subset: str = "default"
    older_name: str = ""
    part_of: str = ""

    @property
    def label(self) -> str:
        """Its name, with the part of the data that is scored where there are several: "STS22 (zh)"."""
        return self.name if self.subset == "default" else f"{self.name} ({self.subset})"


@dataclass(frozen=True, slots=True)
class Suite:
    """Tasks whose scores are averaged.

    Attributes:
        name: what mteb calls it; "C-MTEB (35)" for the sets of the Chinese cards, which it has no name for.
        tasks: in the order of their names.
        board: the board of `yuyi.known` whose printed averages are over these tasks; empty for none.
    """

    name: str
    tasks: tuple[Task, ...]
    board: str = ""

    def by_type(self) -> dict[str, dict[str, list[Task]]]:
        """Tasks by type and name, in the order of the types' names; several share a name if parts of one."""
        types: dict[str, dict[str, list[Task]]] = {}
        for task in sorted(self.tasks, key=lambda task: task.type):
            types.setdefault(task.type, {}).setdefault(task.part_of or task.name, []).append(task)
        return types

    @property
    def size(self) -> int:
        """How many scores are averaged; the parts of a task count as one."""
        return sum(map(len, self.by_type().values()))


@cache
def all_suites() -> tuple[Suite, ...]:
    """Every named suite, in the order of the file: Chinese, then English."""
    records = tomllib.loads((files("yuyi.known") / SUITES_FILE).read_text("utf-8"))["suite"]
    return tuple(
        Suite(record["name"], tuple(map(_task, record["tasks"])), record.get("board", ""))
        for record in records
    )


def find_suite(name: str) -> Suite:
    """The suite of that name, in upper or lower case.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    for suite in all_suites():
        if suite.name.casefold() == name.casefold():
            return suite
    names = ", ".join(suite.name for suite in all_suites())
    raise InputError(f"{name}: no such suite. Choose one of: {names}.")


def _task(record: dict[str, Any]) -> Task:
    return Task(**{**record, "splits": tuple(record["splits"])})
