"""Batches for InfoNCE: pairs with their hard negatives, and pairs that somebody has judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from yuyi.text.plan import spans
from yuyi.train.drawing.drawn import Drawn
from yuyi.train.losses import cosent, info_nce
from yuyi.train.losses.cosines import paired_cosines
from yuyi.train.losses.related import Related
from yuyi.train.matryoshka import matryoshka
from yuyi.train.reading.sources import Source
from yuyi.train.routes import task_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.train.drawing.drawn import Setting
    from yuyi.train.drawing.dynamic import NegativePool

    Integers = NDArray[np.int64]


def contrast_batch(
    setting: Setting, source: Source, rows: Integers, pool: NegativePool | None = None
) -> Drawn:
    """Queries, documents and hard negatives, for `info_nce`; equal texts are never told apart.

    The negatives are those that `pool` has in use, or without one the first of each row. A pool learns which
    rows were drawn; and where steps tell, how similar to their queries the negatives were in this one, which
    is the first score of those that are new.
    """
    queries, documents = source.queries.take(rows), source.documents.take(rows)
    if pool is None:
        numbers, owners = source.first_negatives(rows, setting.task.negatives)
    else:
        numbers, owners = pool.chosen(rows)
    negatives = source.negatives.take(numbers)
    columns = [setting.queries(queries), setting.documents(documents)]
    keys = [queries.keys, documents.keys]
    if len(numbers):
        columns.append(setting.documents(negatives))
        keys.append(negatives.keys)

    def loss(vectors: Sequence[Tensor]) -> Tensor:
        if pool is not None and len(numbers):
            pool.observe(rows, _scores(vectors, owners) if pool.steps_tell else None)
        return contrast(setting, vectors, keys, owners if len(numbers) else None)

    return Drawn(columns, loss)


def judged_batch(setting: Setting, source: Source, rows: Integers) -> Drawn:
    """Pairs by degree: CoSENT over all of them, and InfoNCE over the best.

    Documents of label 0 are further negatives of the best pairs, and the hard ones of a pair that has their
    query.
    """
    task = setting.task
    queries, documents = source.queries.take(rows), source.documents.take(rows)
    labels = source.labels[rows]
    best, worst = np.flatnonzero(labels == source.labels.max()), np.flatnonzero(labels == 0)
    keys = [queries.keys[best], documents.keys[best]]
    owners = _owners(queries.keys[best], queries.keys[worst]) if len(worst) else None
    if len(worst):
        keys.append(documents.keys[worst])
    rank = matryoshka(cosent, setting.dims)

    def loss(vectors: Sequence[Tensor]) -> Tensor:
        left, right = vectors
        known = torch.from_numpy(labels).to(left.device)
        ranked = rank(left, right, labels=known, scale=task.scale) * task.ranking
        if source.kind == "sts" or len(best) < 2 or not task.pairing:
            return ranked
        columns = [left[best], right[best]] + ([right[worst]] if len(worst) else [])
        return ranked + task.pairing * contrast(setting, columns, keys, owners)

    return Drawn([setting.queries(queries), setting.documents(documents)], loss)


def contrast(
    setting: Setting, vectors: Sequence[Tensor], keys: Sequence[Integers], owners: Integers | None
) -> Tensor:
    """InfoNCE as the task has it, over queries, documents and, where there are any, negatives."""
    task, device = setting.task, vectors[0].device
    return matryoshka(info_nce, setting.dims)(
        *vectors,
        temperature=task.temperature,
        form=task.form,
        diagonal=task.diagonal,
        owners=None if owners is None else torch.from_numpy(owners).to(device),
        keys=Related.of(keys, device),
        margin=task.margin,
        hardness=task.hardness,
        hardness_on=task.hardness_on,
    )


def grouped(source: Source) -> Source:
    """Judged rows as pairs with hard negatives.

    In retrieval the pairs are each query's rows of its highest label above 0, since a query is to find the
    best that there is, whatever its grade. Elsewhere they are the rows of the source's highest label, since a
    lower one is no agreement: a neutral sentence does not follow from its premise. Rows in between are left
    out. Each pair has the documents of label 0 that the same query has, so that entailments of natural
    language inference get the contradictions of their premise.
    """
    best = _best(source)
    worst = np.flatnonzero(source.labels == 0)
    worst = worst[np.argsort(source.queries.keys[worst], kind="stable")]
    known, wanted = source.queries.keys[worst], source.queries.keys[best]
    firsts = np.searchsorted(known, wanted, "left")
    counts = np.searchsorted(known, wanted, "right") - firsts
    return Source(
        name=source.name,
        kind=source.kind,
        queries=source.queries.take(best),
        documents=source.documents.take(best),
        labels=np.full(len(best), np.nan, dtype=np.float32),
        negatives=source.documents.take(worst[spans(firsts, counts)]),
        negative_offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        scores=np.zeros(0, dtype=np.float32),
        origins=None if source.origins is None else source.origins.take(best),
    )


def _best(source: Source) -> Integers:
    """The rows of `source` that are pairs."""
    highest = source.labels.max()
    if task_kind(source) == "retrieval":
        _, query = np.unique(source.queries.keys, return_inverse=True)
        highest = np.zeros(query.max() + 1, dtype=source.labels.dtype)
        np.maximum.at(highest, query, source.labels)
        highest = highest[query]
    return np.flatnonzero((source.labels == highest) & (source.labels > 0))


def _scores(vectors: Sequence[Tensor], owners: Integers) -> NDArray[np.float32]:
    """(m,) cosines of the negatives to the queries that own them."""
    queries, _, negatives = (each.detach() for each in vectors)
    own = torch.from_numpy(owners).to(queries.device)
    found: NDArray[np.float32] = paired_cosines(queries[own], negatives).float().cpu().numpy()
    return found


def _owners(wanted: Integers, found: Integers) -> Integers:
    """For each query key in `found` the place of one that is equal in `wanted`; -1 where there is none."""
    if not len(wanted):
        return np.full(len(found), -1, dtype=np.int64)
    order = np.argsort(wanted, kind="stable")
    places = order[np.searchsorted(wanted, found, sorter=order).clip(max=len(wanted) - 1)]
    return np.where(wanted[places] == found, places, -1)
