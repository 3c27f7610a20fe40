"""How an encoder is distilled into a token table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

_PIECES = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilling:
    """What a token table is made of.

    Attributes:
        corpus: a file of texts like those that the table is for, a sentence or a passage each. Its words
            become pieces, and the table learns to follow the encoder on it. None for the encoder's own pieces
            and no learning, which is worse, most of all for Chinese.
        dim: length of a row; not more than the encoder's.
        pieces: size of the vocabulary at most; needs `corpus`.
        texts: the encoder is asked about so many of the corpus, drawn by lot.
        characters: a text is cut to so many.
        epochs: times that the texts are gone through at most; it ends where held-out texts gain nothing.
        seed: of what is drawn by lot.
    """

    corpus: Path | None = None
    dim: int = 256
    pieces: int = _PIECES
    texts: int = 50_000
    characters: int = 300
    epochs: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("dim", "pieces", "texts", "characters", "epochs"):
            if getattr(self, name) < 1:
                option = f"--distil-{name}" if name in ("dim", "pieces") else f"distilling.{name}"
                raise InputError(f"{option} {getattr(self, name)}: give a number from 1 on.")
        if self.corpus is None and self.pieces != _PIECES:
            raise InputError(
                f"--distil-pieces {self.pieces}: without texts, a table has the encoder's own pieces. Name a "
                "file of texts: --distil."
            )
