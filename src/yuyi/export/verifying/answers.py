"""What an encoder makes of a trial, beside what the model itself makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from yuyi.export.verifying.closeness import cosines, nearest, overlap, spearman
from yuyi.export.verifying.trial import NEIGHBOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from yuyi.encode import Encoder
    from yuyi.export.verifying.trial import Trial
    from yuyi.progress import Done

    Vectors = NDArray[np.float32]

# Of the texts that a form changes most, so many are shown.
_WORST = 3


class Answers(NamedTuple):
    """A trial as one encoder has it.

    Attributes:
        texts: (texts, dim).
        pairs: (pairs,), cosines of the scored pairs.
        found: (texts that are not blank, 10), rows of the nearest passages; None where they were not encoded.
    """

    texts: Vectors
    pairs: NDArray[np.float64]
    found: NDArray[np.int64] | None


def answer(encoder: Encoder, trial: Trial, count: Done) -> Answers:
    """A trial as an encoder has it; `count` is told of the texts that are done."""
    texts = _encode(encoder, trial.texts, count)
    passages = _encode(encoder, trial.passages, count)
    queries = texts[[row for row, text in enumerate(trial.texts) if text.strip()]]
    pairs = _encode(encoder, trial.pair_texts, count)
    return Answers(texts, compare_pairs(pairs), nearest(queries, passages, NEIGHBOURS))


def compare_pairs(vectors: Vectors) -> NDArray[np.float64]:
    """(pairs,) cosines out of the vectors of `Trial.pair_texts`."""
    return cosines(vectors[0::2], vectors[1::2])


@dataclass(frozen=True, slots=True)
class Standard:
    """What forms are held against.

    Attributes:
        trial: the texts.
        whole: the answers of the model that was given.
        written: those of what is left of it, where layers or pieces were cut off; else `whole`.
        dim: length of the vectors that forms give; longer ones are cut to it before they are compared.
    """

    trial: Trial
    whole: Answers
    written: Answers
    dim: int

    def figures(self, own: Answers, *, comparable: bool = True) -> dict[str, Any]:
        """What `Measured` says of vectors: dim, mean, lowest, worst, overlap, sts.

        Args:
            own: a form's answers.
            comparable: whether its vectors lie in the model's space.
        """
        near: dict[str, Any] = {"mean": None, "lowest": None, "worst": ()}
        dim = own.texts.shape[1]
        if comparable and dim == min(self.dim, self.written.texts.shape[1]):
            found = cosines(self.written.texts, own.texts)
            worst = np.argsort(found, kind="stable")[:_WORST].tolist()
            near = {
                "mean": float(found.mean()),
                "lowest": float(found.min()),
                "worst": tuple((self.trial.texts[row], float(found[row])) for row in worst),
            }
        shared = None
        if own.found is not None and self.whole.found is not None:
            shared = overlap(self.whole.found, own.found)
        scores = np.array([score for _, _, score in self.trial.pairs])
        return {"dim": dim, **near, "overlap": shared, "sts": 100 * spearman(own.pairs, scores)}

    def itself(self) -> dict[str, Any]:
        """The same of the whole model, which is what it is held against."""
        alone = replace(self, written=self.whole, dim=self.whole.texts.shape[1])
        return {**alone.figures(self.whole), "worst": ()}


def _encode(encoder: Encoder, texts: Sequence[str], count: Done) -> Vectors:
    found = []
    for vectors, info in encoder.encode_stream(texts, return_info=True):
        found.append(vectors)
        count(len(vectors), int(info.used.sum()))
    return np.concatenate(found)
