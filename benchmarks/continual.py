"""What a model forgets when it learns something new, plainly and with `continual`: a table of two probes.

    python benchmarks/continual.py DOCS/mixture/train.parquet \
        --new ../shared/data/train/pairs/classical_modern_zh.parquet --steps 250

A tiny encoder from scratch learns Chinese documentation (question or title to passage), which is the old
knowledge. Then it learns other pairs in several ways, each from the same weights and in the same number of
steps, those that replay included. Rows held out of both are probed: the mean reciprocal
rank of a query's own document among all held-out ones, in points of a hundred. `yuyi data make` makes the
documentation pairs. Extra: pip install 'yuyi[train]'.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from yuyi.records import Pair, read_pairs, write_pairs
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.config import Continual, Course, Stage, Task
from yuyi.train.loop import Trainer
from yuyi.train.reading.corpus import CorpusConfig, open_corpus
from yuyi.train.running.probe import Probe
from yuyi.train.starting.model_config import ModelConfig, TokenizerConfig
from yuyi.train.starting.start import open_start
from yuyi.train.tasks import EmbeddingRunner
from yuyi.train.teaching.continual import Previous, replayed, with_replay
from yuyi.train.transformer import TransformerLearner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.train.reading.sources import Source
    from yuyi.train.starting.start import TextModel

KINDS = ("path_section", "title_lead", "question_answer")
TASK = Task(objective="contrast", batch=128, temperature=0.05)


def main() -> None:
    """Run the experiment that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("old", type=Path, help="pairs of documentation, as `yuyi data mix` writes them")
    parser.add_argument("--new", type=Path, required=True, help="pairs to learn afterwards")
    parser.add_argument("--work", type=Path, default=Path("runs/continual"), help="where files go")
    parser.add_argument("--rows", type=int, default=40_000, help="of each, at most")
    parser.add_argument("--first-steps", type=int, default=500, help="on the documentation")
    parser.add_argument("--steps", type=int, default=250, help="on the new pairs")
    parser.add_argument("--rate", type=float, default=5e-4, help="learning rate on the new pairs")
    parser.add_argument("--replay", type=float, default=0.3)
    parser.add_argument("--align", type=float, default=1.0)
    parser.add_argument("--merge", type=float, default=0.3)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    settings.work.mkdir(parents=True, exist_ok=True)
    old = _sample(settings.old, settings.work / "old.parquet", "documentation", settings.rows)
    new = _sample(settings.new, settings.work / "new.parquet", "new", settings.rows)
    model = _model(old)
    corpora = [
        open_corpus(
            [path],
            model.tokenizer,
            CorpusConfig(longest=32, hold_out=1_000),
            settings.work / "corpus",
        )
        for path in (old, new)
    ]
    known, unknown = (corpus.sources for corpus in corpora)
    experiment = Experiment(settings, model, [corpus.probes for corpus in corpora])
    experiment.first(known)
    experiment.compare(known, unknown)


class Experiment:
    """A model that has learned the old pairs, and the ways to go on from it."""

    def __init__(
        self, settings: argparse.Namespace, model: TextModel, probes: Sequence[Sequence[Source]]
    ) -> None:
        self._settings = settings
        frame = BatchTokenizer(model.tokenizer).frame(model.max_tokens)
        self._learner = TransformerLearner(model.embedder, frame)
        self._probes = [Probe(list(each), 64) for each in probes]
        self._rows: list[dict[str, object]] = []

    def first(self, sources: Sequence[Source]) -> None:
        """Learn the old pairs."""
        stage = Stage(
            name="first", steps=self._settings.first_steps, tasks=(TASK,), learning_rate=2e-3, warmup=30
        )
        course = Course(dims={128: 1.0}, stages=(stage,), threads=1)
        self._train(self._learner, course, sources)
        self._note("before", self._learner)

    def compare(self, known: Sequence[Source], unknown: Sequence[Source]) -> None:
        """Learn the new pairs in every way."""
        settings = self._settings
        stage = Stage(name="new", steps=settings.steps, tasks=(TASK,), learning_rate=settings.rate, warmup=20)
        plain = Course(dims={128: 1.0}, stages=(stage,), threads=1)
        share = Continual(
            previous="", replay=settings.replay, align=0.0, merge=settings.merge, routes={"retrieval": TASK}
        )
        kept = replace(share, align=settings.align)
        old = replayed(known)
        ways = {
            "plain fine-tuning": plain,
            "replay": with_replay(plain, share, unknown, old),
            "replay, align": with_replay(plain, kept, unknown, old),
            "replay, align on all texts": _keeping(with_replay(plain, kept, unknown, old), settings.align),
        }
        for name, course in ways.items():
            learner = copy.deepcopy(self._learner)
            previous = Previous(learner)
            self._train(learner, course, [*unknown, *(old if course is not plain else [])], previous)
            self._note(name, learner)
            previous.merge_into(learner, settings.merge)
            self._note(f"{name}, merge", learner)

    def _train(
        self,
        learner: TransformerLearner,
        course: Course,
        sources: Sequence[Source],
        previous: Previous | None = None,
    ) -> None:
        def open_task(task: Task, seed: Sequence[int]) -> EmbeddingRunner:
            return EmbeddingRunner(task, learner, sources, course.dims, 0.5, seed, previous=previous)

        started = time.perf_counter()
        Trainer(course, learner, open_task).run(
            log=lambda entry: print(json.dumps({key: entry[key] for key in ("step", "loss")}), flush=True),
            log_every=50,
        )
        print(f"{time.perf_counter() - started:.0f} s", flush=True)

    def _note(self, name: str, learner: TransformerLearner) -> None:
        old, new = (100 * probe.score(learner)["score"] for probe in self._probes)
        self._rows.append({"way": name, "old": round(old, 2), "new": round(new, 2)})
        before = self._rows[0]
        print(f"| {name} | {old:.2f} | {old - before['old']:+.2f} | {new:.2f} |", flush=True)  # type: ignore[operator]
        (self._settings.work / "table.json").write_text(json.dumps(self._rows, indent=1))


def _keeping(course: Course, align: float) -> Course:
    """The course held to the previous model on new texts, too."""
    return replace(
        course,
        stages=tuple(
            replace(stage, tasks=tuple(replace(task, keep=align) for task in stage.tasks))
            for stage in course.stages
        ),
    )


def _sample(path: Path, to: Path, name: str, rows: int) -> Path:
    """Rows of a file in random order, as one collection."""
    if not to.exists():
        pairs = [
            replace(pair, source=name, kind="retrieval", negatives=())
            for pair in read_pairs(path)
            if name == "new" or (pair.lang == "zh" and pair.kind in KINDS)
        ]
        chosen = np.random.default_rng(0).permutation(len(pairs))[:rows]
        write_pairs(to, (pairs[row] for row in chosen))
    return to


def _model(pairs: Path) -> TextModel:
    """Two layers of 128 dimensions, and a vocabulary of the old pairs."""
    config = ModelConfig(
        layers=2,
        hidden=128,
        heads=4,
        intermediate=512,
        max_tokens=64,
        tokenizer=TokenizerConfig(pieces=12_000),
    )
    return open_start(config, (text for pair in read_pairs(pairs) for text in _texts(pair)))


def _texts(pair: Pair) -> tuple[str, str]:
    return pair.text_a, pair.text_b


if __name__ == "__main__":
    main()
