"""The token table in training: rows that are sums of parts, and Adam on the rows that a batch touches.

A Chinese word shares its characters with its relatives, so a piece's row is the sum of its own vector, its
characters' vectors and, from three characters on, those of its inner two-character words. A Latin word shares
its stem the same way. A text is the normalised mean of its pieces, hence the sums can be folded into one row
a piece after training and inference stays one look-up a token.
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from yuyi.errors import InputError, RecipeError
from yuyi.text.overflow import Frame
from yuyi.train.distributed import ALONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from yuyi.train.config import Stage
    from yuyi.train.distributed import World
    from yuyi.types import TokenBatch

_CHINESE = re.compile(r"[\u3400-\u9fff]{2,}")
_LATIN = re.compile(r"[a-z]{6,}")
_STEM = 5

# Of Adam.
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


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
        count: number of parts; the first of them are the pieces' own.
    """

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    count: int

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
        return cls(np.asarray(ids, dtype=np.int64), np.asarray(offsets, dtype=np.int64), len(numbers))

    def of_pieces(self, pieces: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Flat part numbers of the given pieces, and the offsets at which each piece begins."""
        lengths = self.offsets[pieces + 1] - self.offsets[pieces]
        begins = np.cumsum(lengths) - lengths
        flat = np.arange(lengths.sum()) + np.repeat(self.offsets[pieces] - begins, lengths)
        return self.ids[flat], begins


class TokenTable:
    """Part vectors with their Adam moments: a `Learner` whose updates touch the rows of a batch alone."""

    def __init__(self, parts: Parts, vectors: NDArray[np.float32]) -> None:
        """Take the parts of the vocabulary and their first vectors, (parts, dim) float32."""
        self.frame = Frame()
        self.token_budget: int | None = None
        self.scale = 1.0
        self.parts = parts
        self.vectors = torch.from_numpy(vectors.copy())
        self._touched: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._clear()

    def begin(self, stage: Stage) -> None:
        """Moments of zero; a table has no other settings of a stage.

        Raises:
            RecipeError: parts are to rest.
        """
        if stage.freeze:
            raise RecipeError(
                f"freeze.{next(iter(stage.freeze))}: a token table has no parts to rest. Leave it out."
            )
        self._clear()

    def ready(self) -> None:
        """As `Learner.ready`; all of a table learns."""

    def settings(self) -> dict[str, Any]:
        """As `Learner.settings`."""
        return {}

    @contextmanager
    def resting(self) -> Iterator[None]:
        """As `Learner.resting`."""
        with torch.no_grad():
            yield

    def embed(self, texts: TokenBatch) -> torch.Tensor:
        """(rows, dim) float32, the sum of each text's piece rows, with gradients to parts."""
        pieces, token_rows = _distinct(texts.ids, len(self.parts.offsets) - 1)
        flat, begins = self.parts.of_pieces(pieces)
        numbers, part_rows = _distinct(flat, self.parts.count)
        index = torch.from_numpy(numbers)
        used = self.vectors[index].requires_grad_()
        if torch.is_grad_enabled():
            self._touched.append((index, used))
        rows = F.embedding_bag(torch.from_numpy(part_rows), used, torch.from_numpy(begins), mode="sum")
        tokens, offsets = torch.from_numpy(token_rows), torch.from_numpy(texts.offsets[:-1])
        return F.embedding_bag(tokens, rows, offsets, mode="sum")

    def zeros(self, rows: int) -> torch.Tensor:
        """(rows, dim) float32."""
        return self.vectors.new_zeros((rows, self.vectors.shape[1]))

    def step(self, rate: float, world: World = ALONE) -> float:
        """One Adam step on the parts embedded since the last; the other rows and their moments rest.

        Raises:
            InputError: there are several ranks, which would touch different rows.
        """
        if world.size > 1:
            raise InputError(
                f"WORLD_SIZE is {world.size}: a token table is trained by one process. Start it alone."
            )
        index, gradient = self._gathered()
        norm = float(gradient.norm())
        if not math.isfinite(norm):
            return norm
        self._step += 1
        mean = torch.lerp(gradient, self._mean[index], _BETAS[0])
        square = torch.lerp(gradient.square(), self._square[index], _BETAS[1])
        self._mean[index] = mean
        self._square[index] = square
        step = int(self._step)
        spread = (square / (1 - _BETAS[1] ** step)).sqrt_().add_(_EPSILON)
        self.vectors[index] = self.vectors[index].addcdiv(mean, spread, value=-rate / (1 - _BETAS[0] ** step))
        return norm

    def _gathered(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The parts embedded since the last step, each once, and their gradients."""
        touched = [(index, used.grad) for index, used in self._touched if used.grad is not None]
        self._touched = []
        if not touched:
            raise RuntimeError("step() before embed() and backward(). This is a bug in yuyi.")
        if len(touched) == 1:
            return touched[0]
        index, places = torch.unique(torch.cat([each for each, _ in touched]), return_inverse=True)
        gradient = self.vectors.new_zeros((len(index), self.vectors.shape[1]))
        return index, gradient.index_add_(0, places, torch.cat([each for _, each in touched]))

    def weights(self) -> dict[str, torch.Tensor]:
        """The part vectors."""
        return {"vectors": self.vectors}

    def model(self) -> dict[str, torch.Tensor]:
        """As `Learner.model`."""
        return self.weights()

    def moments(self) -> dict[str, torch.Tensor]:
        """Mean and mean square of the gradients, and the number of steps."""
        return {"mean": self._mean, "square": self._square, "step": self._step}

    def restore(self, weights: dict[str, torch.Tensor], moments: dict[str, torch.Tensor]) -> None:
        """As `Learner.restore`."""
        self.vectors = weights["vectors"]
        self._clear()
        if moments:
            self._mean, self._square, self._step = moments["mean"], moments["square"], moments["step"]

    def _clear(self) -> None:
        self._mean = torch.zeros_like(self.vectors)
        self._square = torch.zeros_like(self.vectors)
        self._step = torch.zeros((), dtype=torch.int64)
        self._touched = []

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
