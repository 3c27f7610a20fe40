"""From texts to gradients, in constant memory whatever the batch, and on any number of devices.

An objective that compares every text of a batch with every other needs all embeddings at once, but not all
activations. So texts are embedded in chunks of bounded tokens; the objective sees the embeddings as leaves;
and its gradient at each leaf is pushed back through the chunk that the leaf came from, which is embedded a
second time for that. The gradients are those of the plain computation.

With several ranks each embeds every so many-th chunk, the embeddings are summed into one matrix, and each
rank computes the objective on all of it. What a rank pushes back is the gradient of the whole loss for its
own texts; the sum over ranks is the gradient.

Source: Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup",
arXiv 2101.06983.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from yuyi.text.plan import select
from yuyi.train.distributed import ALONE
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from yuyi.train.distributed import World
    from yuyi.train.learner import Learner


def backward(
    learner: Learner,
    columns: Sequence[TokenBatch],
    objective: Callable[[Sequence[Tensor]], Tensor],
    *,
    seed: Sequence[int],
    world: World = ALONE,
) -> float:
    """The loss of a batch; its gradient is added to the learner's.

    Args:
        learner: embeds the texts.
        columns: the texts of the batch, the same on every rank.
        objective: a scalar from one tensor (rows, dim) a column.
        seed: names this step; each chunk draws its dropout from it, the second time as the first.
        world: the ranks that share the work.
    """
    texts = join(columns)
    own = world.chunks(texts.lengths, learner.token_budget)
    # A single chunk keeps its graph; more are embedded again.
    keeps = len(own) == 1
    parts: dict[int, Tensor] = {}
    vectors = learner.zeros(len(texts))
    for number, rows in own:
        with torch.set_grad_enabled(keeps), replayed((*seed, number), vectors.device):
            part = learner.embed(select(texts, rows))
        vectors[torch.from_numpy(rows)] = part.detach()
        if keeps:
            parts[number] = part
    world.sum_(vectors)
    vectors.requires_grad_()
    loss = objective(torch.split(vectors, [len(column) for column in columns]))
    (loss * learner.scale).backward()  # type: ignore[no-untyped-call]
    if vectors.grad is not None:
        for number, rows in own:
            gradient = vectors.grad[torch.from_numpy(rows)]
            if number in parts:
                part = parts[number]
            else:
                with replayed((*seed, number), vectors.device):
                    part = learner.embed(select(texts, rows))
            part.backward(gradient)  # type: ignore[no-untyped-call]
    return loss.item()


def join(columns: Sequence[TokenBatch]) -> TokenBatch:
    """The texts of several batches one after another, as one batch."""
    lengths = np.concatenate([column.lengths for column in columns])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenBatch(np.concatenate([column.ids for column in columns]), offsets)


@contextmanager
def replayed(seed: Sequence[int], device: torch.device) -> Iterator[None]:
    """Torch's random numbers on `device` start from `seed` in the block, and go on as before behind it."""
    state = int(np.random.SeedSequence(list(seed)).generate_state(1, np.uint64)[0]) >> 1
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng([device] if on_gpu else []):
        # Not `torch.manual_seed`, which would touch every GPU of the machine.
        torch.default_generator.manual_seed(state)
        if on_gpu:
            torch.cuda.manual_seed(state)
        yield
