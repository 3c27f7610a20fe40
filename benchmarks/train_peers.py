"""One contender of `benchmarks/train.py`: python train_peers.py NAME SETTINGS, in a process of its own.

The settings are a `Turn` as JSON. Prints JSON: the loss of each step, the seconds of each step with
everything that belongs to it (tokenising, both passes, clipping, the update), and the memory at the peak.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train_inputs import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 2e-5
# The scale of cosines that sentence-transformers has by default.
SCALE = 20.0
# Tokens that yuyi embeds at once with gradient caching.
BUDGET = 4096
_UNBOUNDED = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a contender is asked.

    Attributes:
        model: folder of the first weights.
        pairs: JSON file of the pairs, in the order in which they are trained on.
        batch: pairs of a step.
        steps: number of steps.
        cached: gradient caching, in place of one graph of the whole step.
        mini_batch: texts that sentence-transformers embeds at once with gradient caching.
        bfloat16: autocast, in place of float32.
        threads: of torch.
        processor_time: measure what the process computed instead of how long it took.
        memory: bytes that the process may have; it fails at more, before the machine is short of memory.
    """

    model: str
    pairs: str
    batch: int
    steps: int
    cached: bool
    mini_batch: int
    bfloat16: bool
    threads: int
    processor_time: bool
    memory: int


def train_yuyi(turn: Turn) -> tuple[list[float], list[float]]:
    """(losses, times) of each step, through yuyi's learner and gradient cache."""
    import torch

    from yuyi.model.embedder import load_embedder
    from yuyi.pipeline import read_pipeline
    from yuyi.text.overflow import fit
    from yuyi.text.tokenizer import BatchTokenizer
    from yuyi.text.tokenizer_folder import read_tokenizer
    from yuyi.train.config import Stage
    from yuyi.train.distributed import ALONE
    from yuyi.train.gradcache import backward
    from yuyi.train.losses import info_nce
    from yuyi.train.transformer import TransformerLearner

    clock = time.process_time if turn.processor_time else time.perf_counter
    torch.set_num_threads(turn.threads)
    tokenizer = BatchTokenizer(read_tokenizer(Path(turn.model)))
    embedder = load_embedder(read_pipeline(Path(turn.model)))
    for parameter in embedder.parameters():
        parameter.data = parameter.data.clone()  # not the mapped file
    precision = torch.bfloat16 if turn.bfloat16 else torch.float32
    budget = BUDGET if turn.cached else _UNBOUNDED
    learner = TransformerLearner(embedder, tokenizer.frame(MAX_TOKENS), budget, precision)
    learner.begin(Stage(name="all", steps=turn.steps, learning_rate=RATE, weight_decay=0.0, clip=1.0))
    pairs = json.loads(Path(turn.pairs).read_text())
    losses, times = [], [clock()]
    for step in range(turn.steps):
        rows = pairs[step * turn.batch : (step + 1) * turn.batch]
        columns = [
            fit(tokenizer(texts), learner.frame, "cut").batch for texts in map(list, zip(*rows, strict=True))
        ]
        losses.append(
            backward(
                learner,
                columns,
                lambda parts: info_nce(*parts, temperature=1 / SCALE, form="forward"),
                seed=(0, step),
            )
        )
        learner.step(RATE, ALONE)
        times.append(clock())
    return losses, times


def train_sentence_transformers(turn: Turn) -> tuple[list[float], list[float]]:
    """(losses, times) of each step, through sentence-transformers' trainer."""
    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import (
        CachedMultipleNegativesRankingLoss,
        MultipleNegativesRankingLoss,
    )
    from torch.utils.data import BatchSampler, SequentialSampler
    from transformers import TrainerCallback

    class Recorded(torch.nn.Module):
        """A loss that keeps its values."""

        def __init__(self, loss: torch.nn.Module) -> None:
            super().__init__()
            self.loss = loss

        def forward(self, *inputs: Any) -> torch.Tensor:
            value = self.loss(*inputs)
            losses.append(value.item())
            return value

    class Clock(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            times.append(clock())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(clock())

    losses: list[float] = []
    times: list[float] = []
    clock = time.process_time if turn.processor_time else time.perf_counter
    torch.set_num_threads(turn.threads)
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = SentenceTransformer(turn.model, device="cpu", config_kwargs=no_dropout)
    model.max_seq_length = MAX_TOKENS
    loss = (
        CachedMultipleNegativesRankingLoss(model, scale=SCALE, mini_batch_size=turn.mini_batch)
        if turn.cached
        else MultipleNegativesRankingLoss(model, scale=SCALE)
    )
    pairs = json.loads(Path(turn.pairs).read_text())[: turn.batch * turn.steps]
    data = Dataset.from_dict(dict(zip(("anchor", "positive"), zip(*pairs, strict=True), strict=True)))
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=turn.batch,
            max_steps=turn.steps,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=1.0,
            bf16=turn.bfloat16,
            use_cpu=True,
            batch_sampler=lambda dataset, batch_size, drop_last, **_: BatchSampler(
                SequentialSampler(dataset), batch_size, drop_last
            ),
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=data, loss=Recorded(loss), callbacks=[Clock()]
        )
        trainer.train()
    return losses, times


REFERENCE = "sentence-transformers"
PEERS: dict[str, Callable[[Turn], tuple[list[float], list[float]]]] = {
    REFERENCE: train_sentence_transformers,
    "yuyi": train_yuyi,
}


def _peak_memory() -> int:
    """Bytes: the most physical memory that this process has held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """See the head of this file."""
    name, settings = sys.argv[1:]
    turn = Turn(**json.loads(settings))
    resource.setrlimit(resource.RLIMIT_DATA, (turn.memory, turn.memory))
    with redirect_stdout(sys.stderr):  # Trainers print.
        losses, times = PEERS[name](turn)
    seconds = [stop - start for start, stop in pairwise(times)]
    print(json.dumps({"losses": losses, "seconds": seconds, "peak": _peak_memory()}))


if __name__ == "__main__":
    main()
