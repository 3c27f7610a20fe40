"""Batches of texts with classes, for classification and clustering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from yuyi.text.plan import spans
from yuyi.train.drawing.drawn import Drawn
from yuyi.train.losses import label_contrast, tuple_contrast
from yuyi.train.matryoshka import matryoshka
from yuyi.train.reading.sources import EMPTY_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.train.drawing.drawn import Setting
    from yuyi.train.reading.sources import Source

    Integers = NDArray[np.int64]


def labels_batch(setting: Setting, source: Source, rows: Integers) -> Drawn:
    """Texts and their labels, for `label_contrast`; equal texts are neither partners nor told apart."""
    queries, labels = source.queries.take(rows), source.labels[rows]

    def loss(vectors: Sequence[Tensor]) -> Tensor:
        device = vectors[0].device
        return matryoshka(label_contrast, setting.dims)(
            *vectors,
            labels=torch.from_numpy(labels).to(device),
            keys=torch.from_numpy(queries.keys).to(device),
            temperature=setting.task.temperature,
        )

    return Drawn([setting.queries(queries)], loss)


def label_negatives_batch(setting: Setting, source: Source, rows: Integers) -> Drawn:
    """Texts, each with a partner of its label and a few texts of other labels, for `tuple_contrast`.

    Where `text_b` says the label in words, it is the partner, and that of rows of other labels is a negative;
    else other texts of the batch are. Equal texts are neither to one another, whatever their labels.
    """
    task, labels = setting.task, source.labels[rows]
    queries, documents = source.queries.take(rows), source.documents.take(rows)
    said = _in_words(source, rows)
    partners, negatives, owners = companions(labels, task.negatives, (documents if said else queries).keys)
    kept = np.arange(len(rows)) if said else np.flatnonzero(partners >= 0)
    chosen = kept if said else partners[kept]
    whose = np.full(len(rows), -1)
    whose[kept] = np.arange(len(kept))
    of_kept = whose[owners] >= 0
    negatives, owners = negatives[of_kept], whose[owners][of_kept]
    columns = [setting.queries(queries), *([setting.documents(documents)] if said else [])]

    def loss(vectors: Sequence[Tensor]) -> Tensor:
        texts, others = vectors[0], vectors[-1]
        if not len(kept):
            return texts.sum() * 0
        return matryoshka(tuple_contrast, setting.dims)(
            texts[kept],
            others[chosen],
            others[negatives],
            owners=torch.from_numpy(owners).to(texts.device),
            temperature=task.temperature,
        )

    return Drawn(columns, loss)


def companions(labels: NDArray[np.float32], most: int, keys: Integers) -> tuple[Integers, Integers, Integers]:
    """For each text of a batch another of its label and some of other labels; each text is chosen evenly.

    Args:
        labels: (n,) class of each text.
        most: texts of other labels for each; fewer where equal texts have other labels.
        keys: (n,) equal where texts are equal, which are then nothing to one another.

    Returns:
        partners: (n,) place of the next text of its label, -1 where there is none.
        negatives: (m,) places of texts of other labels.
        owners: (m,) the text that each of them belongs to.
    """
    _, places, text = np.unique(keys, return_index=True, return_inverse=True)
    # Classes together, and in each class equal texts; all else as the texts come.
    order = np.lexsort((places[text], labels))
    start, size = _runs(labels[order])
    equal_start, equal_size = _runs(labels[order], text[order])
    every = np.arange(len(labels))
    partners = np.full(len(labels), -1)
    # The texts of the class that differ are those that follow the equal ones, and around to these.
    different = size - equal_size
    turn = (every - equal_start) % np.maximum(1, different)
    following = order[start + (equal_start - start + equal_size + turn) % size]
    partners[order] = np.where(different > 0, following, -1)
    others = len(labels) - size
    taken = np.minimum(others, most)
    owners = np.repeat(every, taken)
    # Likewise the texts of other labels are those that follow the class.
    turn = ((every - start) * taken)[owners] + spans(np.zeros_like(taken), taken)
    places = (start[owners] + size[owners] + turn % np.maximum(1, others[owners])) % max(1, len(labels))
    negatives, owners = order[places], order[owners]
    differ = text[negatives] != text[owners]
    return partners, negatives[differ], owners[differ]


def _runs(*columns: NDArray[Any]) -> tuple[Integers, Integers]:
    """For each row of sorted columns where the run of rows equal to it begins, and its length."""
    same = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
    starts = np.flatnonzero(np.append(True, ~same))
    sizes = np.diff(starts, append=len(columns[0]))
    return np.repeat(starts, sizes), np.repeat(sizes, sizes)


def _in_words(source: Source, rows: Integers) -> bool:
    """Whether each row's `text_b` says something of its own."""
    documents = source.documents.keys[rows]
    return bool(((documents != EMPTY_KEY) & (documents != source.queries.keys[rows])).all())
