"""What a model learns from: pairs with the prompts of each task, documents, a teacher's vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from yuyi.artifacts import hash_input, hash_json
from yuyi.errors import RecipeError
from yuyi.train.drawing.teacher_task import check_dims
from yuyi.train.planning.survey import read_entries
from yuyi.train.reading.corpus import (
    Corpus,
    CorpusConfig,
    Given,
    open_corpus,
    open_held_out,
    teacher_source,
)
from yuyi.train.reading.passages import read_passages
from yuyi.train.reading.tokens import first_tokens, keys_of
from yuyi.train.routes import fits
from yuyi.train.running.probe import Probe
from yuyi.train.teaching.continual import REPLAYED, course_of
from yuyi.train.teaching.teacher import teacher_files
from yuyi.train.teaching.teacher_vectors import teacher_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from yuyi.records import Pair
    from yuyi.train.config import Course, Task
    from yuyi.train.reading.held_out import HeldOut
    from yuyi.train.reading.passages import Passages
    from yuyi.train.reading.sources import Column, Source
    from yuyi.train.running.run_folder import RunFolder
    from yuyi.train.settings import TrainConfig
    from yuyi.train.trainees import Trainee

    Prompt = str | dict[str, str]

# Rows after which a line says how many were read.
_TOLD = 100_000


class Taught(NamedTuple):
    """What a teacher says.

    Attributes:
        texts: what it was asked about.
        source: the same texts as tokens, to draw from.
        vectors: (texts, dim) float32 of unit length, perhaps mapped from disk.
    """

    texts: list[str]
    source: Source
    vectors: NDArray[np.float32]


class Materials:
    """The data of a run, tokenised into its folder when first asked for."""

    def __init__(
        self, config: TrainConfig, trainee: Trainee, folder: RunFolder, say: Callable[[str], None]
    ) -> None:
        """Take what says where the data lies and how it is read, and whom to tell while that takes long."""
        self._say = say
        self._read = 0
        self._config = config
        self._trainee = trainee
        self._folder = folder
        self._opened: dict[str, Corpus] = {}
        self._told: set[tuple[str, str]] = set()
        self._taught: Taught | None = None

    def course(self) -> Course:
        """The course with every task spelled out, those of stages without tasks made from the data.

        Raises:
            RecipeError: there is nothing to make tasks from, or to replay.
        """
        config, prompts = self._config, self._trainee.prompts
        if config.continual is None and all(stage.tasks for stage in config.stages):
            return config
        return course_of(config, self._corpus(None).sources, prompts)

    def sources(self, task: Task) -> list[Source]:
        """What there is to draw from, with the prompts of `task`; old sources are called replayed.

        Sources that the task leaves aside by their names or kinds may be missing, or without its prompts. All
        are there where it names one that there is not, for a message to list them.
        """
        if task.objective == "align":
            return [self.teacher().source]
        sources = self._corpus(task).sources
        there = {name for source in sources for name in (source.name, source.kind)}
        if sources and there.issuperset((*task.sources, *task.kinds, *task.emphasis)):
            return sources
        drawn = {(source.name, source.kind) for source in sources}
        others = self._corpus(None).sources
        return [*sources, *(each for each in others if (each.name, each.kind) not in drawn)]

    def pairs(self) -> list[Source]:
        """All pairs that may be learned from, without prompts."""
        return self._corpus(None).sources

    def probe(self, course: Course) -> Probe | None:
        """The held-out rows, each source as the first task reads it that draws from it; None if nobody asks.

        A source that no task draws from is read as by the first that draws its kind, or without prompts.
        """
        if not any(stage.probe for stage in course.stages):
            return None
        held_out = self._held_out()
        missing = {group for group, rows in held_out.rows.items() if len(rows)} if held_out else set()
        found: dict[tuple[str, str], Source] = {}
        tasks = [task for stage in course.stages for task in stage.tasks]
        tasks = [task for task in tasks if not (task.reads_documents or task.objective == "align")]
        for task, by_kind in [(task, by_kind) for by_kind in (False, True) for task in tasks]:
            kinds = {kind for _, kind in missing}
            if not missing or (task.kinds and kinds.isdisjoint(task.kinds)):
                continue
            if by_kind:
                task = replace(task, sources=tuple(sorted({name for name, _ in missing})))
            for source in self._corpus(task).probes:
                if (source.name, source.kind) in missing and fits(task, source):
                    found[source.name, source.kind] = self._cut(source, task)
            missing -= found.keys()
        if missing:
            others = self._corpus(None).probes
            found |= {key: each for each in others if (key := (each.name, each.kind)) in missing}
        ordered = [found[key] for key in sorted(found, key=lambda key: (key[1], key[0]))]
        return Probe([source for source in ordered if _tells(source)], self._config.longest)

    def passages(self) -> Passages:
        """The documents as rows of tokens, no longer than the model takes."""
        config, frame = self._config.passages, self._trainee.frame
        if frame.max_tokens is not None:
            room = frame.max_tokens - frame.specials
            config = replace(config, longest=min(config.longest, room))
        paths = [Path(path) for path in self._config.documents]
        return read_passages(
            paths, self._trainee.tokenizer, config, self._folder.passages, held_out=self._held_out()
        )

    @property
    def has_teacher(self) -> bool:
        """Whether a task follows a teacher's vectors."""
        tasks = [task for _, _, task in self._config.tasks()]
        return self._config.teacher is not None and any(task.objective == "align" for task in tasks)

    def teacher(self) -> Taught:
        """What the teacher says of texts of the data.

        Its vectors are on their principal axes, so that the leading values carry most. Where it has more
        dimensions than the model and no task has a projection, the model's number of them is left.
        """
        if self._taught is None:
            self._taught = self._ask_teacher()
        return self._taught

    def digest(self) -> str:
        """Hex digest of all that is read, wherever it lies; pairs may be called as their file is."""
        pairs = [Path(entry.path) for entry in (*self._config.data, *self._config.replay)]
        documents = [Path(path) for path in self._config.documents]
        teacher = self._config.teacher
        taught = teacher_files(teacher) if teacher is not None and self.has_teacher else []
        return hash_json(
            [
                [[path.stem, hash_input(path)] for path in pairs],
                [hash_input(path) for path in documents],
                [hash_input(path) for path in taught],
            ]
        )

    def _corpus(self, task: Task | None) -> Corpus:
        """The pairs, new and old, with the prompts of `task`.

        Without prompts all of them, once for all tasks; else those alone that the task may draw from, since
        each set of prompts is a corpus of its own, and others may be in languages that it has no prompt for.
        """
        config = CorpusConfig(longest=self._config.longest, hold_out=self._config.hold_out)
        if task is not None and (task.query_prompt or task.document_prompt):
            config = replace(
                config,
                query_prompt=self._prompt(task.query_prompt),
                document_prompt=self._prompt(task.document_prompt),
                kinds=task.kinds,
                names=task.sources,
            )
        key = repr(config)
        if key not in self._opened:
            self._opened[key] = self._open(config)
        return self._opened[key]

    def _open(self, config: CorpusConfig) -> Corpus:
        paths, given = self._files()
        if not paths:
            return Corpus([], [], {})
        corpus = open_corpus(
            paths, self._trainee.tokenizer, config, self._folder.corpus, self._count,
            given=given, may_be_empty=bool(config.kinds or config.names),
        )  # fmt: skip
        for (name, kind), rows in corpus.left_out.items():
            if (name, kind) not in self._told:
                self._say(
                    f"data: {rows:,} rows of {name} ({kind}) left out: they have texts of held-out rows"
                )
        self._told |= corpus.left_out.keys()
        return corpus

    def _files(self) -> tuple[list[Path], list[Given]]:
        """All files of pairs, and what is said of them; together, so that held-out rows stay out of all."""
        config = self._config
        entries = [(entry, "") for entry in config.data] + [(entry, REPLAYED) for entry in config.replay]
        given = [Given(entry.name, entry.kind, prefix) for entry, prefix in entries]
        return [Path(entry.path) for entry, _ in entries], given

    def _held_out(self) -> HeldOut | None:
        paths, given = self._files()
        if not paths or not self._config.hold_out:
            return None
        return open_held_out(paths, self._config.hold_out, self._folder.corpus, given=given)

    def _free_pairs(self) -> Iterator[Pair]:
        """The pairs that may be learned from."""
        held_out = self._held_out()
        for pair in read_entries(self._config):
            if held_out is None or not held_out.has(keys_of([pair.text_a, pair.text_b])).any():
                yield pair

    def _cut(self, source: Source, task: Task) -> Source:
        """The source with its texts as long as the task reads them."""
        specials = self._trainee.frame.specials

        def cut(column: Column, longest: int | None) -> Column:
            return column if longest is None else first_tokens(column, max(0, longest - specials))

        return replace(
            source,
            queries=cut(source.queries, task.query_tokens),
            documents=cut(source.documents, task.document_tokens),
        )

    def _count(self, rows: int) -> None:
        before, self._read = self._read, self._read + rows
        if before // _TOLD < self._read // _TOLD:
            self._say(f"data: {self._read:,} rows read")

    def _prompt(self, names: Prompt) -> Prompt:
        """The texts of prompts, by language where they were named so."""
        if isinstance(names, dict):
            return {lang: self._trainee.prompts[name] if name else "" for lang, name in names.items()}
        return self._trainee.prompts[names] if names else ""

    def _ask_teacher(self) -> Taught:
        config = self._config.teacher
        if config is None:
            raise RecipeError("align: there is no teacher to follow. Name one, or drop the task.")
        tasks = [task for _, _, task in self._config.tasks() if task.objective == "align"]
        own = self._trainee.dim

        def accept(dim: int) -> None:
            for task in tasks:
                check_dims(task, own, dim)

        cut = None if any(task.projection for task in tasks) else own
        texts, vectors = teacher_vectors(
            config, self._free_pairs, self._folder.path, cut, accept=accept, device=str(self._trainee.device)
        )
        source = teacher_source(texts, self._trainee.tokenizer, self._config.longest)
        return Taught(texts, source, vectors)


def _tells(source: Source) -> bool:
    """Whether held-out rows are enough to be scored; of a small source there may be one or none."""
    labels = source.labels[~np.isnan(source.labels)]
    return len(source) > 1 and (not len(labels) or len(np.unique(labels)) > 1)
