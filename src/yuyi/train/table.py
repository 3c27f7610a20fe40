"""The token table in training: rows that are sums of parts, and Adam on the rows that a batch touches.

A Chinese word shares its characters with its relatives, so a piece's row is the sum of its own vector, its
characters' vectors and, from three characters on, those of its inner two-character words. A Latin word shares
its stem the same way. A text is the normalised mean of its pieces, hence the sums can be folded into one row
a piece after training and inference stays one look-up a token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from yuyi.types import TokenBatch

_CHINESE = re.compile(r"[\u3400-\u9fff]{2,}")
_LATIN = re.compile(r"[a-z]{6,}")
_STEM = 5


def is_chinese_word(piece: str) -> bool:
    """Whether a piece is two or more Chinese characters."""
    return _CHINESE.fullmatch(piece) is not None


def parts_of(piece: str) -> list[str]:
    """Names of the vectors that a piece's row is the sum of, its own first."""
    parts = [f"={piece}"]
    if is_chinese_word(piece):
        parts += [f"c{character}" for character in piece]
        if len(piece) > 2:
            parts += [f"b{piece[i : i + 2]}" for i in range(len(piece) - 1)]
    elif _LATIN.fullmatch(piece):
        parts.append(f"s{piece[:_STEM]}")
    return parts


@dataclass(frozen=True, slots=True)
class Parts:
    """Which vectors make up each piece, in compressed rows.

    Attributes:
        ids: (entries,) int64, numbers of part vectors.
        offsets: (pieces + 1,) int64.
        owners: (parts,) int64, the piece that a part is the own vector of; -1 for shared parts.
    """

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    owners: NDArray[np.int64]

    @classmethod
    def of(cls, pieces: Sequence[str]) -> Parts:
        """The parts of a vocabulary; a part that only one piece has is left out, its own vector is enough."""
        named = [parts_of(piece) for piece in pieces]
        uses: dict[str, int] = {}
        for names in named:
            for name in names:
                uses[name] = uses.get(name, 0) + 1
        # A character that is a piece itself shares that piece's own vector.
        characters = {f"c{piece}": f"={piece}" for piece in pieces if len(piece) == 1}
        numbers: dict[str, int] = {f"={piece}": row for row, piece in enumerate(pieces)}
        ids: list[int] = []
        offsets = [0]
        for names in named:
            for name in names:
                resolved = characters.get(name, name)
                if resolved.startswith("=") or uses[name] > 1:
                    ids.append(numbers.setdefault(resolved, len(numbers)))
            offsets.append(len(ids))
        owners = np.full(len(numbers), -1, dtype=np.int64)
        owners[: len(pieces)] = np.arange(len(pieces))
        return cls(np.asarray(ids, dtype=np.int64), np.asarray(offsets, dtype=np.int64), owners)

    def of_pieces(self, pieces: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Flat part numbers of the given pieces, and the offsets at which each piece begins."""
        lengths = self.offsets[pieces + 1] - self.offsets[pieces]
        begins = np.cumsum(lengths) - lengths
        flat = np.arange(lengths.sum()) + np.repeat(self.offsets[pieces] - begins, lengths)
        return self.ids[flat], begins


class TokenTable:
    """Part vectors with their Adam moments; gives differentiable embeddings of token batches."""

    def __init__(self, parts: Parts, vectors: NDArray[np.float32]) -> None:
        """Take the parts of the vocabulary and their first vectors, (parts, dim) float32."""
        self.parts = parts
        self.vectors = torch.from_numpy(vectors.copy())
        self.mean = torch.zeros_like(self.vectors)
        self.square = torch.zeros_like(self.vectors)
        self.step = 0
        self._touched: tuple[torch.Tensor, torch.Tensor] | None = None

    def embed(self, batches: Sequence[TokenBatch]) -> list[torch.Tensor]:
        """For each batch (rows, dim) float32, the sum of each text's piece rows, with gradients to parts."""
        pieces, token_rows = _distinct(
            np.concatenate([batch.ids for batch in batches]), len(self.parts.offsets) - 1
        )
        flat, begins = self.parts.of_pieces(pieces)
        numbers, part_rows = _distinct(flat, len(self.parts.owners))
        index = torch.from_numpy(numbers)
        used = self.vectors[index].requires_grad_()
        self._touched = (index, used)
        rows = F.embedding_bag(torch.from_numpy(part_rows), used, torch.from_numpy(begins), mode="sum")
        sums, start = [], 0
        for batch in batches:
            tokens = torch.from_numpy(token_rows[start : start + len(batch.ids)])
            start += len(batch.ids)
            sums.append(F.embedding_bag(tokens, rows, torch.from_numpy(batch.offsets[:-1]), mode="sum"))
        return sums

    def update(
        self, learning_rate: float, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8
    ) -> None:
        """One Adam step on the parts of the last `embed`; the other rows and their moments rest."""
        if self._touched is None or self._touched[1].grad is None:
            raise RuntimeError("update() before embed() and backward(). This is a bug in yuyi.")
        index, used = self._touched
        gradient = used.grad
        assert gradient is not None
        self._touched = None
        self.step += 1
        mean = torch.lerp(gradient, self.mean[index], betas[0])
        square = torch.lerp(gradient.square(), self.square[index], betas[1])
        self.mean[index] = mean
        self.square[index] = square
        rate = learning_rate / (1 - betas[0] ** self.step)
        spread = (square / (1 - betas[1] ** self.step)).sqrt_().add_(epsilon)
        self.vectors[index] = used.detach().addcdiv(mean, spread, value=-rate)

    def fold(self) -> NDArray[np.float32]:
        """(pieces, dim) float32, one row a piece with all its parts summed."""
        ids, offsets = torch.from_numpy(self.parts.ids), torch.from_numpy(self.parts.offsets[:-1])
        folded: NDArray[np.float32] = F.embedding_bag(ids, self.vectors, offsets, mode="sum").numpy()
        return folded


def _distinct(ids: NDArray[np.integer], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted distinct values of `ids` (all below `size`), and for each id its place among them."""
    present = np.zeros(size, dtype=bool)
    present[ids] = True
    distinct = np.flatnonzero(present)
    places = np.zeros(size, dtype=np.int64)
    places[distinct] = np.arange(len(distinct))
    return distinct, places[ids]
