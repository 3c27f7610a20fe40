"""Batches of texts with classes, for classification and clustering."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """Texts and their labels, for `label_contrast`."""
    labels = source.labels[rows]

    def loss(vectors: Sequence[Tensor]) -> Tensor:
        known = torch.from_numpy(labels).to(vectors[0].device)
        return matryoshka(label_contrast, setting.dims)(
            *vectors, labels=known, temperature=setting.task.temperature
        )

    return Drawn([setting.queries(source.queries.take(rows))], loss)


def label_negatives_batch(setting: Setting, source: Source, rows: Integers) -> Drawn:
    """Texts, each with a partner of its label and a few texts of other labels, for `tuple_contrast`.

    Where `text_b` says the label in words, it is the partner, and that of rows of other labels is a negative;
    else other texts of the batch are.
    """
    task, labels = setting.task, source.labels[rows]
    queries, documents = source.queries.take(rows), source.documents.take(rows)
    said = _in_words(source, rows)
    partners, negatives, owners = companions(labels, task.negatives)
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


def companions(labels: NDArray[np.float32], most: int) -> tuple[Integers, Integers, Integers]:
    """For each text of a batch another of its label and some of other labels; each text is chosen evenly.

    Args:
        labels: (n,) class of each text.
        most: texts of other labels for each.

    Returns:
        partners: (n,) place of the next text of its label, -1 where there is none.
        negatives: (m,) places of texts of other labels.
        owners: (m,) the text that each of them belongs to.
    """
    order = np.argsort(labels, kind="stable")
    _, firsts, which, counts = np.unique(
        labels[order], return_index=True, return_inverse=True, return_counts=True
    )
    size, start = counts[which], firsts[which]
    rank = np.arange(len(labels)) - start
    partners = np.full(len(labels), -1)
    partners[order] = np.where(size > 1, order[start + (rank + 1) % size], -1)
    others = len(labels) - size
    taken = np.minimum(others, most)
    owners = np.repeat(np.arange(len(labels)), taken)
    # In order of label, the texts of other labels are those that follow the class, and around to its start.
    turn = (rank * taken)[owners] + spans(np.zeros_like(taken), taken)
    places = (start[owners] + size[owners] + turn % np.maximum(1, others[owners])) % max(1, len(labels))
    return partners, order[places], order[owners]


def _in_words(source: Source, rows: Integers) -> bool:
    """Whether each row's `text_b` says something of its own."""
    documents = source.documents.keys[rows]
    return bool(((documents != EMPTY_KEY) & (documents != source.queries.keys[rows])).all())
