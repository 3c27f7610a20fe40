"""What `test_distributed` compares: a few steps of training on however many ranks there are.

Run by torchrun with a file to write to; imported for the same on one.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from yuyi.train.config import Stage, Task
from yuyi.train.distributed import World, open_world
from yuyi.train.gradcache import backward
from yuyi.train.losses import info_nce
from yuyi.train.matryoshka import matryoshka

sys.path.insert(0, str(Path(__file__).parent.parent))

from train.tiny import gradients, learner, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

STAGE = Stage(name="ranks", steps=3, tasks=(Task(objective="contrast"),), learning_rate=0.01, clip=0.5)
ROWS, NEGATIVES = 6, 3
FORMS = (("forward", "twice"), ("symmetric", "twice"), ("improved", "twice"), ("improved", "once"))


def results(world: World) -> dict[str, torch.Tensor]:
    """Losses, gradients of the first step and weights after three, by form and by budget of tokens."""
    found: dict[str, torch.Tensor] = {}
    for form, diagonal in FORMS:
        for budget in (1_000_000, 30):
            subject = learner(token_budget=budget)
            subject.begin(STAGE)
            losses = []
            for step in range(STAGE.steps):
                lengths = np.random.default_rng(step).integers(1, 12, ROWS * (2 + NEGATIVES))
                columns = [
                    texts(part, step + 10 * number)
                    for number, part in enumerate(np.split(lengths, [ROWS, 2 * ROWS]))
                ]
                objective = partial(_objective, form=form, diagonal=diagonal)
                losses.append(backward(subject, columns, objective, seed=[0, step], world=world))
                if step == 0:
                    own = gradients(subject)
                    world.sum_(own)
                    found[f"{form} {diagonal} {budget} gradient"] = own
                subject.step(0.01, world)
            found[f"{form} {diagonal} {budget} losses"] = torch.tensor(losses)
            weights = torch.cat([tensor.flatten() for tensor in subject.weights().values()])
            found[f"{form} {diagonal} {budget} weights"] = weights
    return found


def _objective(vectors: Sequence[torch.Tensor], form: str, diagonal: str) -> torch.Tensor:
    owners = torch.arange(ROWS).repeat_interleave(NEGATIVES)
    wrapped = matryoshka(info_nce, {32: 1.0, 8: 0.5})
    return wrapped(*vectors, temperature=0.1, form=form, diagonal=diagonal, owners=owners)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with open_world("cpu") as world:
        found = results(world)
        torch.save(found, Path(sys.argv[1]) / f"rank-{world.rank}.pt")
