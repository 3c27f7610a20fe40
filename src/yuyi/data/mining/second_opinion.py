"""A second model that looks over what was found: any encoder of yuyi, or a cross-encoder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from yuyi.artifacts import hash_input
from yuyi.data.mining.dense import open_encoder
from yuyi.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Judge(Protocol):
    """Tells how well texts answer queries."""

    @property
    def fingerprint(self) -> str:
        """Changes with the model."""
        ...

    def scores(self, queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
        """How well each text answers the query beside it, higher being better."""
        ...


class _EncoderJudge:
    def __init__(self, name: str) -> None:
        self._encoder = open_encoder(name)
        self.fingerprint = self._encoder.fingerprint

    def scores(self, queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = []
        for encode, side in ((self._encoder.encode_query, queries), (self._encoder.encode_document, texts)):
            number = {text: place for place, text in enumerate(dict.fromkeys(side))}
            found, _ = encode(list(number), return_info=True, show_progress=False)
            vectors.append(found[[number[text] for text in side]])
        scores: NDArray[np.float32] = (vectors[0] * vectors[1]).sum(axis=1)
        return scores


class _CrossJudge:
    def __init__(self, folder: str) -> None:
        try:
            from sentence_transformers import CrossEncoder
        except ImportError as error:
            raise MissingExtra(
                "sentence_transformers: not installed, and a cross-encoder needs it. "
                "Run: pip install sentence-transformers"
            ) from error
        if not Path(folder).is_dir():
            raise InputError(f"{folder}: no such folder of a cross-encoder. Check the path.")
        self._model = CrossEncoder(folder)
        self.fingerprint = hash_input(Path(folder))

    def scores(self, queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
        pairs = list(zip(queries, texts, strict=True))
        return np.asarray(self._model.predict(pairs, show_progress_bar=False), np.float32)


@cache
def open_judge(kind: Literal["encoder", "cross-encoder"], model: str) -> Judge | None:
    """The second model; None for the empty name.

    Raises:
        InputError: the folder of a cross-encoder does not exist.
        MissingExtra: sentence-transformers is not installed, and a cross-encoder is wanted.
        ModelError: the encoder cannot be opened.
    """
    if not model:
        return None
    return _CrossJudge(model) if kind == "cross-encoder" else _EncoderJudge(model)


def too_close(
    judge: Judge,
    queries: Sequence[str],
    answers: Sequence[str],
    pair: NDArray[np.int64],
    texts: Sequence[str],
    most: float,
) -> NDArray[np.bool_]:
    """Whether each text scores above the share `most` of what its pair's answer scores.

    Args:
        judge: the second model.
        queries: of each pair.
        answers: of each pair.
        pair: (texts,), the number of the pair that each text would be a negative of.
        texts: to be judged.
        most: between 0 and 1.
    """
    own = judge.scores(queries, answers)
    # A share of a score below zero would lie above it.
    limits = np.minimum(most * own, own)
    close: NDArray[np.bool_] = judge.scores([queries[i] for i in pair], texts) > limits[pair]
    return close
