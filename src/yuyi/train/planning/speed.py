"""How fast this machine trains a model, and what a token's activations hold: measured on the model itself.

A few steps on texts of the lengths that the data has, for about a second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from yuyi.train.distributed import ALONE
from yuyi.train.losses import info_nce
from yuyi.train.planning.shape import Shape
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.train.config import Stage
    from yuyi.train.learner import Learner

    Integers = NDArray[np.int64]

# Each product of the forward pass has two in the backward pass.
TRAINED = 3
# In how many directions each form of InfoNCE compares all rows.
DIRECTIONS = {"forward": 1, "symmetric": 2, "improved": 4}

_TRIAL_SECONDS = 1.0
_TRIAL_TOKENS = 2_048
_TRIAL_ROWS = 512


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured on this machine.

    Attributes:
        flops: floating-point operations a second, forward and backward.
        step: seconds of one update by the optimiser.
        activations: bytes that a token's activations hold until its gradient is taken.
        score: seconds of one score of one direction in `info_nce` with its gradient, the product left out.
    """

    flops: float
    step: float
    activations: float
    score: float = 0.0


def measure(learner: Learner, lengths: Integers, stage: Stage) -> Speed:
    """What a few steps on texts of these lengths take on this machine; the model is worth nothing afterwards.

    Args:
        learner: fresh, on its device.
        lengths: (texts,) tokens of each text, special tokens included.
        stage: whose optimiser is used.
    """
    learner.begin(stage)
    shape = Shape.of(learner)
    texts = _texts(lengths, _TRIAL_TOKENS, shape.vocabulary)
    activations = held_bytes(learner, texts) / len(texts.ids)
    _forward_and_back(learner, texts)  # The first time pays for what is made once.
    learner.step(0.0, ALONE)
    began, rounds, updating = _now(learner), 0, 0.0
    while _now(learner) - began < _TRIAL_SECONDS:
        _forward_and_back(learner, texts)
        updated = _now(learner)
        learner.step(0.0, ALONE)
        updating += _now(learner) - updated
        rounds += 1
    seconds = _now(learner) - began - updating
    work = TRAINED * shape.products(texts.lengths) * rounds
    return Speed(work / seconds, updating / rounds, activations, score_seconds(learner))


def score_seconds(learner: Learner) -> float:
    """Seconds of a score of one direction with its gradient, where the learner has its weights."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn((2 * _TRIAL_ROWS, 8), generator=generator).to(learner.zeros(0)).requires_grad_()
    keys = torch.arange(2 * _TRIAL_ROWS, device=vectors.device).view(2, _TRIAL_ROWS).unbind()
    seconds = 0.0
    for _ in range(2):  # The first time pays for what is made once.
        began = _now(learner)
        queries, documents = vectors[:_TRIAL_ROWS], vectors[_TRIAL_ROWS:]
        loss = info_nce(queries, documents, temperature=0.05, form="symmetric", keys=keys, margin=0.1)
        loss.backward()  # type: ignore[no-untyped-call]
        seconds = _now(learner) - began
    return seconds / (DIRECTIONS["symmetric"] * _TRIAL_ROWS**2)


def _texts(lengths: Integers, tokens: int, vocabulary: int) -> TokenBatch:
    """Some texts of these lengths with random ids, `tokens` of them in all or a little more."""
    generator = np.random.default_rng(0)
    drawn = generator.choice(lengths, size=max(1, tokens))
    drawn = drawn[: 1 + int(np.searchsorted(np.cumsum(drawn), tokens))]
    offsets = np.concatenate([[0], np.cumsum(drawn)]).astype(np.int64)
    return TokenBatch(generator.integers(0, vocabulary, int(offsets[-1])).astype(np.int32), offsets)


def held_bytes(learner: Learner, texts: TokenBatch) -> int:
    """Bytes that are kept between the forward and the backward pass over texts, weights left out."""
    own = {tensor.untyped_storage().data_ptr() for tensor in learner.weights().values()}
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        vectors = learner.embed(texts)
    vectors.sum().backward()  # type: ignore[no-untyped-call]
    return sum(held.values())


def _forward_and_back(learner: Learner, texts: TokenBatch) -> None:
    vectors = learner.embed(texts)
    vectors.backward(torch.ones_like(vectors))  # type: ignore[no-untyped-call]


def _now(learner: Learner) -> float:
    if learner.zeros(0).is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()
