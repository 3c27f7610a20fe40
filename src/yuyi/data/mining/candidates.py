"""Candidates for hard negatives: found by words and vectors, fused by rank, guarded against answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.data.mining.dense import scores_of
from yuyi.machine import available_cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from yuyi.data.mining.groups import Group, Integers
    from yuyi.data.negatives import NegativesConfig

# Of reciprocal rank fusion (Cormack et al., 2009).
_FUSION = 60


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates of several pairs, one after another, of each the best fused rank first.

    Attributes:
        pair: position of the pair among those that were asked about.
        passage: number in the group.
        score: cosine to the query.
        lexical_rank: from 1 on, or 0.
        dense_rank: from 1 on, or 0.
    """

    pair: Integers
    passage: Integers
    score: NDArray[np.float32]
    lexical_rank: Integers
    dense_rank: Integers

    def where(self, kept: NDArray[np.bool_]) -> Candidates:
        """Those that are kept."""
        return Candidates(*(getattr(self, name)[kept] for name in self.__slots__))

    def ranks(self) -> Integers:
        """The place of each among those of its pair, from 1 on."""
        return np.arange(len(self.pair)) - np.searchsorted(self.pair, self.pair) + 1


def find_candidates(
    group: Group, vectors: NDArray[np.int16], terms: Any, config: NegativesConfig
) -> Candidates:
    """The passages of a group that resemble the queries with these vectors and terms."""
    places = len(group.vectors)
    lexical = np.empty((len(vectors), 0), np.int64)
    dense = np.empty((len(vectors), 0), np.int64)
    if config.lexical:
        lexical = group.lexical.search(terms, min(config.lexical, places), threads=available_cores())
    if config.dense:
        dense = group.dense.search(vectors.astype(np.float32), config.dense)[1]
    found = [np.nonzero(rows >= 0) for rows in (lexical, dense)]
    codes = [at[0] * places + rows[at] for rows, at in zip((lexical, dense), found, strict=True)]
    distinct, place = np.unique(np.concatenate(codes), return_inverse=True)
    ranks = np.zeros((2, len(distinct)), np.int64)
    ranks[0, place[: len(codes[0])]] = found[0][1] + 1
    ranks[1, place[len(codes[0]) :]] = found[1][1] + 1
    fused = np.where(ranks > 0, 1 / (_FUSION + ranks), 0).sum(axis=0)
    order = np.lexsort((distinct, -fused, distinct // places))
    pair, passage = distinct[order] // places, distinct[order] % places
    scores = scores_of(vectors[pair], group.vectors[passage])
    return Candidates(pair, passage, scores, *ranks[:, order])


def guard(
    group: Group,
    found: Candidates,
    known: NDArray[np.bool_],
    positives: Integers,
    documents: NDArray[np.uint64],
    positive_scores: NDArray[np.float32],
    config: NegativesConfig,
) -> tuple[Candidates, Counter[str]]:
    """The candidates that may be negatives, and how many were refused, by reason.

    Args:
        group: their passages.
        found: the candidates.
        known: which of them are known to answer.
        positives: passage of each pair.
        documents: of each pair.
        positive_scores: of each pair.
        config: what decides.
    """
    rest = found.where(~known)
    rank = rest.ranks()
    limit = np.minimum(config.most * positive_scores, positive_scores - np.float32(config.margin))[rest.pair]
    document = group.documents[rest.passage]
    copies = scores_of(group.vectors[rest.passage], group.vectors[positives[rest.pair]]) >= config.near_copy
    same = (document == documents[rest.pair]) & (document != 0)
    reasons = {
        "outside the ranks": (rank < config.rank_from) | (rank > config.rank_to),
        "near copy of the positive": copies,
        "same document": same & (not config.same_document),
        "scores too close to the positive": rest.score > limit,
        "resembles too little": rest.score < config.least * positive_scores[rest.pair],
    }
    kept = np.ones(len(rank), bool)
    refused = Counter({"known positive": int(known.sum())})
    for reason, bad in reasons.items():
        refused[reason] = int((kept & bad).sum())
        kept &= ~bad
    return rest.where(kept), refused
