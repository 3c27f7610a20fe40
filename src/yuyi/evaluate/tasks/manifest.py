"""A user's own test sets: `tasks.yaml` beside their files says what each of them is.

    tasks:
      - name: shop-questions
        type: PairClassification
        files: pairs.jsonl
        columns: {sentence1: question, sentence2: other, label: same}
        labels: {same: 1, different: 0}
        languages: [zh]

Every key is checked before anything is read. Files are relative to the folder of the manifest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar, Literal

from yuyi.config import REFUSE_UNKNOWN, check_settings, read_yaml
from yuyi.errors import RecipeError
from yuyi.evaluate.tasks.kinds import (
    CLASSIFICATION,
    KINDS,
    OPTIONAL,
    PAIR_CLASSIFICATION,
    SPLIT,
    TRAIN,
    Kind,
    KindName,
)
from yuyi.extras import require

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "tasks.yaml"
ENDINGS = (".yaml", ".yml")
LANGUAGES = {"zh": "zho-Hans", "en": "eng-Latn"}

_TEST = "test"
_LANGUAGE = re.compile(r"[a-z]{3}-[A-Z][a-z]{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFiles:
    """The files of retrieval and reranking.

    Attributes:
        queries: id, text.
        corpus: id, text; title where documents have one.
        qrels: query_id, corpus_id, score: which documents are relevant to a query, and how much.
        top_ranked: query_id, corpus_ids: for reranking, the documents that are put in order.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    queries: str
    corpus: str
    qrels: str
    top_ranked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTask:
    """What one test set is.

    Attributes:
        name: as reports show it, unique among the tasks of a manifest.
        type: mteb's name of its type.
        files: its file; for retrieval and reranking several.
        train: file of the rows that a classification learns from; without one they are in `files`, told
            apart by the column `split`.
        columns: the files' names of columns that are called otherwise. Where two files of retrieval differ,
            name the part too: `corpus.text`.
        labels: 1 or 0 for each label of pairs that is neither.
        splits: the splits that are scored, as the column `split` names them; without any, all rows are one
            split, and for a classification without `train` those of the split "test".
        metric: the score that counts, by mteb's name; empty for the usual of its type.
        languages: "zh", "en", or mteb's name of another, such as "deu-Latn".
        sources: training sources that were made of the same data, so that a model that learned from one of
            them is not called zero-shot.
        samples_per_label: how many rows of each label a classifier is fitted on; 32 is what mteb's own
            Waimai, TNews and IFlyTek take.
        n_experiments: how many classifiers are fitted, each on other rows.
        all_rows: whether one more is fitted on every training row, for the score `accuracy_all_rows`;
            all of them must be encoded for it.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    name: str
    type: KindName
    files: JudgedFiles | str
    train: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    labels: dict[str | int | float | bool, Literal[0, 1]] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    metric: str = ""
    languages: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    samples_per_label: int = 32
    n_experiments: int = 10
    all_rows: bool = False

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault:
            raise ValueError(f"task {self.name}: {fault}")

    @property
    def kind(self) -> Kind:
        """Its type, with what is scored of it."""
        return KINDS[self.type]

    @property
    def scored(self) -> tuple[str, ...]:
        """The splits that are scored."""
        return self.splits or (_TEST,)

    @property
    def main_metric(self) -> str:
        """The score that counts."""
        return self.metric or self.kind.metric

    @property
    def paths(self) -> dict[str, str]:
        """Its files by part; "" is the part of a single file."""
        if isinstance(self.files, str):
            return {"": self.files, **({TRAIN: self.train} if self.train else {})}
        parts = {part: getattr(self.files, part) for part in self.kind.parts}
        return {part: path for part, path in parts.items() if path}

    def column(self, name: str, part: str = "") -> str:
        """What a column is called in a file."""
        return self.columns.get(f"{part}.{name}") or self.columns.get(name, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All test sets of a folder."""

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    tasks: tuple[LocalTask, ...]


def read_manifest(path: Path) -> tuple[LocalTask, ...]:
    """The test sets that a manifest names, in its order.

    Raises:
        RecipeError: it is missing or no YAML, has an unknown key or an impossible value, or names two tasks
            alike; the message says which.
        MissingExtra: what evaluation needs is not installed.
    """
    require("eval")
    tasks = check_settings(Manifest, read_yaml(path), str(path)).tasks
    if not tasks:
        raise RecipeError(f"{path}: names no task. Add one, or remove the file.")
    names = [task.name for task in tasks]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"{path}: two tasks have the name {name}. Rename one of them.")
    return tasks


def _fault(task: LocalTask) -> str:
    """What is wrong with the settings of a task taken together; empty where nothing is."""
    kind = task.kind
    if not task.name or re.search(r'[/\\:*?"<>|]|^\.', task.name):
        return "a result is a file of this name. Choose one of letters, digits, - and _."
    if isinstance(task.files, JudgedFiles):
        if not kind.parts:
            return f"files: {kind.name} has one file. Write files: FILE."
        if task.files.top_ranked and "top_ranked" not in kind.parts:
            return f"files: top_ranked belongs to Reranking; this is {kind.name}. Leave it out."
        if "top_ranked" in kind.parts and not task.files.top_ranked:
            return "files: Reranking needs top_ranked, the documents that are put in order. Add it."
        if len(task.splits) > 1:
            return "splits: several files are one split. Make a task of each split."
    elif not kind.columns:
        return f"files: {kind.name} has several. Write files: {{queries: FILE, corpus: FILE, qrels: FILE}}."
    known = _known_columns(task)
    for name in task.columns:
        if name not in known:
            return f"columns: {kind.name} has no column {name}. It has {', '.join(known)}."
    if task.train and kind is not CLASSIFICATION:
        return f"train: {kind.name} learns from no rows. Leave it out."
    if task.all_rows and kind is not CLASSIFICATION:
        return f"all_rows: {kind.name} fits no classifier. Leave it out."
    if task.labels and kind is not PAIR_CLASSIFICATION:
        return f"labels: these are for PairClassification; {kind.name} takes any. Leave them out."
    if any(isinstance(label, bool) for label in task.labels):
        return "labels: YAML takes yes, no, on, off for true or false. Put them in quotes."
    if task.metric and task.metric not in kind.metrics:
        near = get_close_matches(task.metric, kind.metrics, n=3) or kind.metrics
        return f"metric: {kind.name} has no {task.metric}. Choose one of {', '.join(near)}."
    for language in task.languages:
        if language not in LANGUAGES and not _LANGUAGE.fullmatch(language):
            return f"languages: {language} is not known. Write zh, en, or a name such as deu-Latn."
    if task.samples_per_label < 1 or task.n_experiments < 1:
        return "samples_per_label and n_experiments: at least 1 is needed."
    return ""


def _known_columns(task: LocalTask) -> list[str]:
    """The columns that may be called otherwise."""
    if isinstance(task.files, str):
        return [*task.kind.columns, SPLIT]
    parts = {part: [*columns, *OPTIONAL.get(part, ())] for part, columns in task.kind.parts.items()}
    names = dict.fromkeys(name for columns in parts.values() for name in columns)
    return [*names, *(f"{part}.{name}" for part, columns in parts.items() for name in columns)]
