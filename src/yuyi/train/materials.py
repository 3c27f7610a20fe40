"""What a transformer learns from: pairs with the prompts of each task, documents, a teacher's vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from yuyi.artifacts import hash_file, hash_json
from yuyi.errors import RecipeError
from yuyi.train.planning.survey import read_entries
from yuyi.train.reading.corpus import Corpus, CorpusConfig, open_corpus, teacher_source
from yuyi.train.reading.passages import read_passages
from yuyi.train.routes import routed
from yuyi.train.running.probe import Probe
from yuyi.train.teaching.continual import replayed, with_replay
from yuyi.train.teaching.teacher_vectors import teacher_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from yuyi.text.overflow import Frame
    from yuyi.train.config import Course, Task
    from yuyi.train.reading.passages import Passages
    from yuyi.train.reading.sources import Source
    from yuyi.train.running.run_folder import RunFolder
    from yuyi.train.settings import DataEntry, TrainConfig
    from yuyi.train.starting.start import TextModel

    Prompt = str | dict[str, str]

_OF_DOCUMENTS = ("mlm", "retromae")
# Rows after which a line says how many were read.
_TOLD = 100_000


class Materials:
    """The data of a run, tokenised into its folder when first asked for."""

    def __init__(
        self, config: TrainConfig, model: TextModel, folder: RunFolder, say: Callable[[str], None]
    ) -> None:
        """Take what says where the data lies and how it is read, and whom to tell while that takes long."""
        self._say = say
        self._read = 0
        self._config = config
        self._model = model
        self._folder = folder
        self._opened: dict[str, tuple[Corpus, Corpus]] = {}
        self._teacher: tuple[Source, NDArray[np.float32]] | None = None

    def course(self) -> Course:
        """The course with every task spelled out, those of stages without tasks made from the data.

        Raises:
            RecipeError: there is nothing to make tasks from, or to replay.
        """
        config, prompts = self._config, self._model.prompts
        if config.continual is None and all(stage.tasks for stage in config.stages):
            return config
        new, old = self._corpora(None)
        if config.continual is None:
            return routed(config, new.sources, prompts)
        return with_replay(config, config.continual, new.sources, replayed(old.sources), prompts)

    def sources(self, task: Task) -> list[Source]:
        """Everything that there is to draw from, with the prompts of `task`."""
        if task.objective == "align":
            return [self.teacher()[0]]
        new, old = self._corpora(task)
        return [*new.sources, *replayed(old.sources)]

    def probe(self, course: Course) -> Probe | None:
        """The held-out rows, with the prompts of the first task that reads pairs; None where nothing asks."""
        if not any(stage.probe for stage in course.stages):
            return None
        tasks = [task for stage in course.stages for task in stage.tasks]
        first = next((task for task in tasks if task.objective not in (*_OF_DOCUMENTS, "align")), None)
        new, old = self._corpora(first)
        held_out = [*new.probes, *replayed(old.probes)]
        return Probe([source for source in held_out if _tells(source)], self._config.longest)

    def passages(self, frame: Frame) -> Passages:
        """The documents as rows of tokens, no longer than the model takes."""
        config = self._config.passages
        if frame.max_tokens is not None:
            room = frame.max_tokens - frame.specials
            config = replace(config, longest=min(config.longest, room))
        paths = [Path(path) for path in self._config.documents]
        return read_passages(paths, self._model.tokenizer, config, self._folder.passages)

    def teacher(self) -> tuple[Source, NDArray[np.float32]]:
        """The texts that the teacher was asked about, and its vectors (texts, dim) float32 of unit length.

        They are on their principal axes, so that the leading values carry most. Where the teacher has more
        dimensions than the model and no task has a projection, the model's number of them is left.
        """
        if self._teacher is None:
            self._teacher = self._embed_with_teacher()
        return self._teacher

    def digest(self) -> str:
        """Hex digest of all that is read."""
        entries = (*self._config.data, *self._config.replay)
        paths = [*(entry.path for entry in entries), *self._config.documents]
        return hash_json([hash_file(Path(path)) for path in paths])

    def _corpora(self, task: Task | None) -> tuple[Corpus, Corpus]:
        """The new pairs and the old ones, with the prompts of `task`."""
        query: Prompt = ""
        document: Prompt = ""
        if task is not None:
            query, document = (self._prompt(name) for name in (task.query_prompt, task.document_prompt))
        key = repr((query, document))
        if key not in self._opened:
            config = CorpusConfig(
                longest=self._config.longest,
                query_prompt=query,
                document_prompt=document,
                hold_out=self._config.hold_out,
            )
            self._opened[key] = (
                self._open(self._config.data, config), self._open(self._config.replay, config)
            )  # fmt: skip
        return self._opened[key]

    def _open(self, entries: Sequence[DataEntry], config: CorpusConfig) -> Corpus:
        if not entries:
            return Corpus([], [])
        paths = [Path(entry.path) for entry in entries]
        given = [(entry.name, entry.kind) for entry in entries]
        return open_corpus(
            paths, self._model.tokenizer, config, self._folder.corpus, self._count, given=given
        )

    def _count(self, rows: int) -> None:
        before, self._read = self._read, self._read + rows
        if before // _TOLD < self._read // _TOLD:
            self._say(f"data: {self._read:,} rows read")

    def _prompt(self, names: Prompt) -> Prompt:
        """The texts of prompts, by language where they were named so."""
        if isinstance(names, dict):
            return {lang: self._model.prompts[name] if name else "" for lang, name in names.items()}
        return self._model.prompts[names] if names else ""

    def _embed_with_teacher(self) -> tuple[Source, NDArray[np.float32]]:
        config = self._config.teacher
        if config is None:
            raise RecipeError("align: there is no teacher to follow. Name one, or drop the task.")
        own = self._model.embedder.dim
        projected = any(task.projection for _, _, task in self._config.tasks() if task.objective == "align")
        texts, vectors = teacher_vectors(
            config, lambda: read_entries(self._config), self._folder.path, None if projected else own
        )
        return teacher_source(texts, self._model.tokenizer, self._config.longest), vectors


def _tells(source: Source) -> bool:
    """Whether held-out rows are enough to be scored; of a small source there may be one or none."""
    labels = source.labels[~np.isnan(source.labels)]
    return len(source) > 1 and (not len(labels) or len(np.unique(labels)) > 1)
