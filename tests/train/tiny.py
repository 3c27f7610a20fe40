"""A tiny transformer in training, in float64, and batches of random tokens for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from yuyi.model.embedder import load_embedder
from yuyi.pipeline import read_pipeline
from yuyi.text.overflow import Frame
from yuyi.train.transformer import TransformerLearner
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

FOLDERS = Path(__file__).parent.parent / "tiny"
# Ids of real pieces in the vocabularies of the tiny folders.
PIECES = (10, 200)


def learner(
    name: str = "bert-zh", *, token_budget: int = 1_000_000, dtype: torch.dtype = torch.float64
) -> TransformerLearner:
    embedder = load_embedder(read_pipeline(FOLDERS / name)).to(dtype)
    return TransformerLearner(embedder, Frame(), token_budget)


def texts(lengths: NDArray[np.int64] | list[int], seed: int = 0) -> TokenBatch:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.random.default_rng(seed).integers(*PIECES, int(offsets[-1]))
    return TokenBatch(ids.astype(np.int32), offsets)


def gradients(subject: TransformerLearner) -> torch.Tensor:
    """All of the model's gradients in one row; where there is none, zeros."""
    return torch.cat(
        [
            (torch.zeros_like(each) if each.grad is None else each.grad).flatten()
            for each in subject.embedder.parameters()
        ]
    )


def is_mapped(array: NDArray[Any]) -> bool:
    """Whether an array lies in a file that is mapped into memory."""
    return isinstance(array, np.memmap) or (array.base is not None and is_mapped(array.base))
