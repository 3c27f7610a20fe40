"""A question as a vector, and the passages that answer it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.errors import InputError
from yuyi.text.rows import is_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from yuyi.types import Encoder


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a text.

    Attributes:
        text: its plain text.
        path: the headings above it, outermost first; none of them holds a newline.
        line: the line of the original on which it begins, counted from 1.
    """

    text: str
    path: tuple[str, ...]
    line: int

    @property
    def in_context(self) -> str:
        """The passage below its headings, for a model to read: "Use the second one" alone says little."""
        return "\n".join((*self.path, self.text))


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Attributes:
        score: cosine to the query, -1 to 1.
        file: the file it stands in, as the user would write it; `-` for standard input.
        passage: its text, headings and line.
    """

    score: float
    file: str
    passage: Passage


def encode_question(query: str, encoder: Encoder) -> NDArray[np.float32]:
    """(1, dim) float32, the query as a vector of unit length.

    Raises:
        InputError: the query is not whole text, or holds nothing the model knows: it is empty, or only
            punctuation.
    """
    if not is_whole(query):
        raise InputError("the query is not valid UTF-8. Set the terminal to UTF-8 and type it again.")
    vector = encoder.encode_query([query])
    if not vector.any() or not any(map(str.isalnum, query)):
        raise InputError(f"{query[:40]!r}: holds no word that the model knows. Ask with other words.")
    return vector
