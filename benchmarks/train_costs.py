"""Memory and time of a training step against batch, length and ranks, as `yuyi train plan` estimates them.

    python benchmarks/train_costs.py -o docs/train-costs.png --gflops 150

Activations are measured on the model and products counted; `--gflops` is the speed of a device, and without
it that of this machine is measured. So are the scores of the objective, which each rank computes all of,
unless `--mscores` says how many millions a second there are.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from yuyi.model.embedder import Embedder, Pooler
from yuyi.text.overflow import Frame
from yuyi.train.config import Course, Stage, Task
from yuyi.train.planning.estimate import Data, estimate
from yuyi.train.planning.speed import Speed, held_bytes, measure, score_seconds
from yuyi.train.reading.sources import Column, Source
from yuyi.train.starting.initial import encoder_config, new_encoder
from yuyi.train.starting.model_config import ModelConfig
from yuyi.train.transformer import TransformerLearner
from yuyi.types import TokenBatch

# What is drawn: for each value of the axis a batch, the tokens of a text, and the number of ranks.
STEPS = {
    "batch (texts of 64 tokens)": {batch: (batch, 64, 1) for batch in (64, 256, 1_024, 4_096, 16_384)},
    "tokens of a text (batch 1,024)": {length: (1_024, length, 1) for length in (32, 64, 128, 256, 512)},
    "ranks (batch 16,384, 64 tokens)": {ranks: (16_384, 64, ranks) for ranks in (1, 4, 16, 64)},
}
BUDGET = 16_384
COLOURS = ("#23806a", "#b8612b")


def open_learner(size: str, budget: int | None) -> TransformerLearner:
    """A model from scratch of a published shape."""
    config = encoder_config(ModelConfig(size=size), 30_000, 0, 512)
    embedder = Embedder(new_encoder(config, torch.Generator()), Pooler(("mean",), (), config.hidden))
    learner = TransformerLearner(embedder, Frame(), budget or 1)
    learner.token_budget = budget
    return learner


def course(batch: int) -> Course:
    """One contrastive stage without hard negatives."""
    task = Task(objective="contrast", batch=batch, negatives=0)
    return Course(dims={384: 1.0}, stages=(Stage(name="step", steps=1, tasks=(task,)),), longest=512)


def data(length: int) -> Data:
    """Pairs of two texts of `length` tokens each."""
    column = Column(
        TokenBatch(np.zeros(8 * length, np.int32), np.arange(9, dtype=np.int64) * length), np.arange(8)
    )
    source = Source.of("pairs", "qa", column, column)
    return Data([source], {("pairs", "qa"): 10_000_000})


def cost(
    learner: TransformerLearner, batch: int, length: int, ranks: int, speed: Speed
) -> tuple[float, float, float]:
    """GiB and seconds of a step, and those of its seconds that all ranks spend on the same."""
    found = estimate(course(batch), learner, data(length), speed, ranks)
    return sum(found.memory.values()) / 2**30, found.tasks[0].seconds, found.tasks[0].shared


def held(learner: TransformerLearner, length: int = 128) -> float:
    """Bytes of activations a token."""
    texts = TokenBatch(np.ones(2 * length, np.int32), np.arange(3, dtype=np.int64) * length)
    return held_bytes(learner, texts) / len(texts.ids)


def main() -> None:
    """Draw the picture, and print what was measured for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--size", default="small")
    parser.add_argument("--gflops", type=float, help="speed of the device; measured if not given")
    parser.add_argument("--mscores", type=float, help="millions of scores a second; measured if not given")
    given = parser.parse_args()
    cached, plain = open_learner(given.size, BUDGET), open_learner(given.size, None)
    stage = course(64).stages[0]
    speed = Speed(given.gflops * 1e9, 0.0, 0.0) if given.gflops else measure(cached, np.full(8, 64), stage)
    score = 1e-6 / given.mscores if given.mscores else score_seconds(cached)
    speed = replace(speed, activations=held(cached), score=score)
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    axes = figure.subplots(2, 3, sharey="row")
    for column, (name, steps) in enumerate(STEPS.items()):
        for colour, (label, learner) in zip(
            COLOURS, (("in chunks", cached), ("at once", plain)), strict=True
        ):
            costs = [cost(learner, *step, speed) for step in steps.values()]
            for row in (0, 1):
                points = [each[row] for each in costs]
                axes[row, column].plot(
                    range(len(steps)), points, "o-", color=colour, label=label, markersize=3
                )
        shared = [each[2] for each in costs]
        axes[1, column].plot(range(len(steps)), shared, ":", color="#667075", label="of it the objective")
        for row, what in enumerate(("GiB on each device", "Seconds a step")):
            panel = axes[row, column]
            panel.set_yscale("log")
            panel.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
            panel.yaxis.set_minor_formatter(lambda value, _: "")
            panel.set_xticks(range(len(steps)), [f"{value:,}" for value in steps])
            panel.set_xlabel(name, color="#667075")
            panel.set_title(what, loc="left", fontweight="bold", fontsize=10)
            panel.grid(axis="y", color="#eceeef", linewidth=0.8)
            panel.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(frameon=False, fontsize=9)
    lines, labels = axes[1, 0].get_legend_handles_labels()
    axes[1, 0].legend(lines[-1:], labels[-1:], frameon=False, fontsize=9)
    axes[1, 0].set_ylim(bottom=0.01)
    figure.savefig(given.out, dpi=130, metadata={"Software": None})
    print(
        f"{speed.activations / 1024:.0f} KiB of activations a token, {speed.flops / 1e9:.0f} Gflop/s, "
        f"{1e-6 / speed.score:.0f} million scores a second"
    )


if __name__ == "__main__":
    main()
