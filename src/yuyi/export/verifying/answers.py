"""What an encoder makes of a trial, beside what the model itself makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from yuyi.errors import ModelError
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


def answer(encoder: Encoder, trial: Trial, prompt: str | None, count: Done) -> Answers:
    """A trial as an encoder has it.

    Args:
        encoder: of the model or a form.
        trial: what it is given.
        prompt: what stands before each text; None for the model's own default.
        count: is told of the texts that are done.
    """
    texts, found = encode(encoder, trial.texts, prompt, count), None
    pairs = encode(encoder, trial.pair_texts, prompt, count)
    if trial.passages:
        passages = encode(encoder, trial.passages, prompt, count)
        queries = texts[[row for row, text in enumerate(trial.texts) if text.strip()]]
        found = nearest(queries, passages, NEIGHBOURS)
    return Answers(texts, compare_pairs(pairs), found)


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
        prompt: what stands before each text; None for the model's own default.
    """

    trial: Trial
    whole: Answers
    written: Answers
    dim: int
    prompt: str | None = None

    def nearness(self, name: str, vectors: Vectors) -> dict[str, Any]:
        """What `Measured` says of the vectors of the texts: mean, lowest, worst.

        Args:
            name: what gave them, for messages.
            vectors: (texts, dim), in the model's space.

        Raises:
            ModelError: they have another length than they should.
        """
        given, due = vectors.shape[1], min(self.dim, self.written.texts.shape[1])
        if given != due:
            raise ModelError(
                f"{name}: gives vectors of {given} values, not of {due}. Export the model again."
            )
        found = cosines(self.written.texts, vectors)
        # What is no number is worst of all.
        worst = np.argsort(np.nan_to_num(found, nan=-np.inf), kind="stable")[:_WORST].tolist()
        return {
            "mean": float(found.mean()),
            "lowest": float(found.min()),
            "worst": tuple((self.trial.texts[row], float(found[row])) for row in worst),
        }

    def figures(self, name: str, own: Answers, *, comparable: bool = True) -> dict[str, Any]:
        """What `Measured` says of vectors: dim, mean, lowest, worst, overlap, sts.

        Args:
            name: of the form, for messages.
            own: its answers.
            comparable: whether its vectors lie in the model's space.

        Raises:
            ModelError: they do, and have another length than they should.
        """
        near: dict[str, Any] = {"mean": None, "lowest": None, "worst": ()}
        if comparable:
            near = self.nearness(name, own.texts)
        shared = None
        if own.found is not None and self.whole.found is not None:
            shared = overlap(self.whole.found, own.found)
        scores = np.array([score for _, _, score in self.trial.pairs])
        return {
            "dim": own.texts.shape[1],
            **near,
            "overlap": shared,
            "sts": 100 * spearman(own.pairs, scores),
        }

    def itself(self) -> dict[str, Any]:
        """The same of the whole model, which is what it is held against."""
        alone = replace(self, written=self.whole, dim=self.whole.texts.shape[1])
        return {**alone.figures("", self.whole), "worst": ()}


def encode(encoder: Encoder, texts: Sequence[str], prompt: str | None, count: Done) -> Vectors:
    """(texts, dim); `count` is told of the texts that are done."""
    found = []
    for vectors, info in encoder.encode_stream(texts, prompt=prompt, return_info=True):
        found.append(vectors)
        count(len(vectors), int(info.used.sum()))
    return np.concatenate(found)
