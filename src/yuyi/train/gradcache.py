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

from yuyi.text.plan import plan, select
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
    chunks = plan(texts.lengths, chunk_tokens(int(texts.offsets[-1]), learner.token_budget, world))
    own = range(world.rank, len(chunks), world.size)
    # A single chunk keeps its graph; more are embedded again.
    keeps = len(own) == 1
    parts: dict[int, Tensor] = {}
    vectors = learner.zeros(len(texts))
    for number in own:
        with torch.set_grad_enabled(keeps), replayed((*seed, number)):
            part = learner.embed(select(texts, chunks[number]))
        vectors[torch.from_numpy(chunks[number])] = part.detach()
        if keeps:
            parts[number] = part
    world.sum_(vectors)
    vectors.requires_grad_()
    loss = objective(torch.split(vectors, [len(column) for column in columns]))
    (loss * learner.scale).backward()  # type: ignore[no-untyped-call]
    if vectors.grad is not None:
        for number in own:
            gradient = vectors.grad[torch.from_numpy(chunks[number])]
            if number in parts:
                part = parts[number]
            else:
                with replayed((*seed, number)):
                    part = learner.embed(select(texts, chunks[number]))
            part.backward(gradient)  # type: ignore[no-untyped-call]
    return loss.item()


def join(columns: Sequence[TokenBatch]) -> TokenBatch:
    """The texts of several batches one after another, as one batch."""
    lengths = np.concatenate([column.lengths for column in columns])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenBatch(np.concatenate([column.ids for column in columns]), offsets)


@contextmanager
def replayed(seed: Sequence[int]) -> Iterator[None]:
    """Torch's random numbers start from `seed` inside the block, and go on as before behind it."""
    state = int(np.random.SeedSequence([abs(number) for number in seed]).generate_state(1, np.uint64)[0])
    with torch.random.fork_rng():
        torch.manual_seed(state >> 1)
        yield


def chunk_tokens(tokens: int, budget: int | None, world: World) -> int:
    """Tokens in a chunk: as many as fit, and no more than give every rank its part."""
    share = max(1, -(-tokens // world.size))
    return share if budget is None else min(budget, share)
