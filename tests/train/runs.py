"""A short run of a tiny transformer with everything on, for tests that stop it and let it go on.

Masked words with a head beside the model, then contrast and judged pairs in balanced steps, with gradients in
chunks, dropout, Matryoshka, negatives that are replaced on the way, a moving average, parts that rest, and a
probe.
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from yuyi.model.embedder import load_embedder
from yuyi.pipeline import read_pipeline
from yuyi.records import Document, write_documents
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.text.tokenizer_folder import read_tokenizer
from yuyi.train.config import Course, Stage, Task
from yuyi.train.distributed import ALONE, open_world
from yuyi.train.loop import Trainer
from yuyi.train.mlm import MaskedRunner
from yuyi.train.reading.masking import Masking
from yuyi.train.reading.passages import PassageConfig, read_passages
from yuyi.train.reading.sources import Column, Source, text_key
from yuyi.train.running.probe import Probe
from yuyi.train.tasks import EmbeddingRunner
from yuyi.train.transformer import TransformerLearner
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.train.distributed import World
    from yuyi.train.tasks import Runner

TINY = Path(__file__).parent.parent / "tiny" / "bert-zh"
QUESTIONS = (
    "胡子长得太快怎么办", "香港买手表哪里好", "花呗分期后芝麻分一直不涨", "借呗怎么还款", "如何安装 Python",
    "How do I renew my passport", "Where can I buy a good watch", "what is a vector", "semantic search",
    "向量数据库是什么",
)  # fmt: skip
ANSWERS = (
    "怎样使胡子不浓密", "香港的手表很好", "今天芝麻分不涨", "我们还款", "Install Python 3 with pip",
    "run to the passport city", "a good watch in Hong Kong", "A vector is a list of numbers",
    "turns text into vectors and compares them", "向量数据库保存这些向量",
)  # fmt: skip
COURSE = Course(
    dims={32: 1.0, 8: 0.5},
    longest=24,
    threads=1,
    average={"words": 0.2},
    stages=(
        Stage(name="words", steps=9, tasks=(Task(objective="mlm", batch=3),), learning_rate=0.01, warmup=2),
        Stage(
            name="pairs",
            steps=24,
            learning_rate=0.01,
            schedule="cosine",
            balanced=True,
            ema=0.8,
            freeze={"embeddings": 7},
            probe=5,
            patience=6,
            tasks=(
                Task(objective="contrast", batch=6, negatives=1, refresh=4, share=2.0),
                Task(objective="judged", batch=4),
            ),
        ),
    ),
)
STEPS = sum(stage.steps for stage in COURSE.stages)


@cache
def column(texts: tuple[str, ...]) -> Column:
    encodings = read_tokenizer(TINY).encode_batch(texts, add_special_tokens=False)
    ids = np.array([token for encoding in encodings for token in encoding.ids], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, encodings)]).astype(np.int64)
    return Column(TokenBatch(ids, offsets), np.array([text_key(text) for text in texts], dtype=np.int64))


def sources() -> list[Source]:
    """Positive pairs with three hard negatives each, and pairs that were judged."""
    queries = tuple(f"{question} {number}" for number in range(3) for question in QUESTIONS)
    answers = tuple(f"{answer} {number}" for number in range(3) for answer in ANSWERS)
    wrong = tuple(
        answers[(row + shift) % len(answers)] for row in range(len(answers)) for shift in (3, 7, 11)
    )
    pairs = replace(
        Source.of("questions", "qa", column(queries), column(answers)),
        negatives=column(wrong),
        negative_offsets=np.arange(0, 3 * len(answers) + 1, 3, dtype=np.int64),
    )
    labels = np.resize(np.array([0, 1, 1], dtype=np.float32), len(queries))
    return [pairs, Source.of("judged", "paraphrase", column(queries), column(answers[::-1]), labels)]


def learner(
    precision: torch.dtype = torch.float32, *, dropout: float = 0.1, checkpointing: bool = False
) -> TransformerLearner:
    pipeline = read_pipeline(TINY)
    embedder = load_embedder(pipeline)
    embedder.encoder.set_dropout(dropout, dropout)
    frame = BatchTokenizer(read_tokenizer(TINY)).frame(48)
    embedder.encoder.checkpointing = checkpointing
    return TransformerLearner(embedder, frame, 90, precision)


class Training:
    """The run, ready to go."""

    def __init__(
        self, folder: Path, course: Course = COURSE, world: World = ALONE, *, dropout: float = 0.1
    ) -> None:
        """Put the corpus into `folder`, where it is not there yet."""
        folder.mkdir(exist_ok=True)
        self.learner = learner(dropout=dropout)
        self.folder = folder / "run"
        tokenizer, found = read_tokenizer(TINY), sources()
        file = folder / "documents.parquet"
        if not file.exists():
            texts = [f"{question}？{answer}。" for question, answer in zip(QUESTIONS, ANSWERS, strict=True)]
            write_documents(file, [Document("a", str(n), "", text, "zh") for n, text in enumerate(texts)])
        passages = read_passages([file], tokenizer, PassageConfig(longest=30), folder / "rows")

        def open_task(task: Task, seed: Sequence[int]) -> Runner:
            if task.objective == "mlm":
                return MaskedRunner(task, self.learner, passages, tokenizer, Masking(), seed, world)
            return EmbeddingRunner(task, self.learner, found, course.dims, course.exponent, seed, None, world)

        self.trainer = Trainer(course, self.learner, open_task, world, probe=Probe(found[:1]), corpus="made")

    def run(self, **options: Any) -> str:
        """The digest of the weights that the run ends with, or was stopped with."""
        self.trainer.run(self.folder, **options)
        return digest(self.learner.model())


def digest(tensors: dict[str, torch.Tensor]) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(name.encode() + tensor.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def die_at(folder: Path, step: int, delay: float) -> None:
    """Go on with the run in `folder`; `delay` seconds behind the log line of `step` this process is killed.

    Where the run ends before that its digest is in the file `result`.
    """

    def log(entry: dict[str, Any]) -> None:
        if entry["at"] == step:
            threading.Timer(delay, os.kill, [os.getpid(), signal.SIGKILL]).start()

    result = Training(folder).run(every=2, log=log, log_every=1)
    (folder / "result").write_text(result)


def run_rank(folder: Path, course: Course, rank: int, size: int, stop_after: int | None) -> None:
    """Go on with the run in `folder` as one of several ranks; the weights go to the file `rank-<rank>.pt`."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": (folder / "port").read_text(),
    }
    with open_world("cpu") as world:
        training = Training(folder, course, world, dropout=0.0)
        training.run(every=2, log_every=1, stop_after=stop_after)
        torch.save(training.learner.model(), folder / f"rank-{rank}.pt")
