"""What a model made of each example of a task: the stuff of a bootstrap, kept beside the result.

A score is a statistic of examples: a mean over queries or rows, or a rank correlation or an average precision
over pairs. With the examples of two models on the same task, `compare` can say whether a difference is real.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from zipfile import BadZipFile

import numpy as np

from yuyi.artifacts import publish_file
from yuyi.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Statistic = Literal["mean", "spearman", "average_precision"]

_ENDING = ".examples.npz"


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of one task under one setting, in the order of the data.

    Attributes:
        statistic: what of them is the score.
        metric: mteb's name of that score; the main one, or the one nearest to it that examples can tell.
        values: (n,) float64; what is averaged, or the similarity that the model gave each pair.
        truth: (n,) float64, what people said of each pair; empty for a mean.
        of: what an example is: "pairs", "rows", "queries", "texts" or "draws".
    """

    statistic: Statistic
    metric: str
    values: NDArray[np.float64]
    truth: NDArray[np.float64]
    of: str


def examples_path(result: Path) -> Path:
    """Where the examples of a result belong."""
    return result.with_name(result.stem + _ENDING)


def write_examples(path: Path, examples: Examples) -> None:
    """Write the examples to a file; it is there whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    with publish_file(path) as temporary, temporary.open("wb") as file:
        about = np.array([examples.statistic, examples.metric, examples.of])
        np.savez_compressed(file, about=about, values=examples.values, truth=examples.truth)


def read_examples(path: Path) -> Examples | None:
    """The examples of a file; None where there is none, as for a task of which mteb keeps no predictions.

    Raises:
        InputError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        with np.load(path) as arrays:
            statistic, metric, of = (str(word) for word in arrays["about"])
            return Examples(statistic, metric, arrays["values"], arrays["truth"], of)  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InputError(
            f"{path}: not the examples of a result ({error}). Remove it and its .json, and evaluate again."
        ) from error
