"""How good a model in training is, on rows that it never learns from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from yuyi.errors import RecipeError
from yuyi.text.overflow import fit
from yuyi.text.plan import select
from yuyi.train.distributed import ALONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from yuyi.train.distributed import World
    from yuyi.train.learner import Learner
    from yuyi.train.reading.sources import Column, Source
    from yuyi.types import TokenBatch

    Weights = Mapping[str, Tensor]

# Queries that are compared with all documents at the same time.
_BLOCK = 1_024
_TOPICS = ("classification", "clustering")


class Probe:
    """Held-out rows of one or several sources, and what each is scored by.

    Rows with a topic (`classification`, `clustering`) are scored by the share of texts whose nearest other
    text has their label (`accuracy@1`); other rows with labels by Spearman's correlation of the cosines with
    the labels (`spearman`); positive pairs by the place that a query's own documents have among all held-out
    documents of the source: `accuracy@1`, and `mrr`, the mean of 1 / place. A document as similar as the own
    one stands before it, so a model that makes all texts equal gains nothing.
    """

    def __init__(self, sources: Sequence[Source], longest: int | None = None) -> None:
        """Take the rows, and the most tokens of a text that are read (None for what the model takes).

        Raises:
            RecipeError: there are no rows, or too few or too equal ones in a source to score anything.
        """
        if not sources:
            raise RecipeError("the probe has no rows. Hold some out, or leave probe and patience away.")
        self._longest = longest
        twice = {one.name for one in sources if sum(one.name == other.name for other in sources) > 1}
        self._sources = {
            f"{one.name} ({one.kind})" if one.name in twice else one.name: one for one in sources
        }
        for name, source in self._sources.items():
            labels = source.labels[~np.isnan(source.labels)]
            if len(source) < 2 or (len(labels) and len(np.unique(labels)) < 2):
                raise RecipeError(
                    f"the probe's {len(source)} rows of {name} cannot be told apart. Hold out more."
                )

    def score(self, learner: Learner, world: World = ALONE) -> dict[str, float]:
        """Every score by source and name, all of them at most 1, and their mean over the sources as `score`.

        In the mean a source of positive pairs counts by its `mrr`. Neither the model nor any random state is
        changed. The same on every rank.
        """
        scores: dict[str, float] = {}
        main: list[float] = []
        for name, source in self._sources.items():
            queries = self._embed(learner, source.queries, world)
            if source.kind in _TOPICS:
                found = {"accuracy@1": _nearest(queries, torch.from_numpy(source.labels))}
            else:
                documents = self._embed(learner, source.documents, world)
                if np.isnan(source.labels).any():
                    found = _retrieval(queries, documents, source)
                else:
                    found = {"spearman": _spearman(queries, documents, source)}
            scores |= {f"{name}/{kind}": value for kind, value in found.items()}
            main.append(list(found.values())[-1])
        return {"score": float(np.mean(main)), **scores}

    def _embed(self, learner: Learner, column: Column, world: World) -> Tensor:
        frame = learner.frame
        limits = [limit for limit in (frame.max_tokens, self._longest) if limit is not None]
        texts = fit(column.tokens, frame.limited(min(limits, default=None)), "cut").batch
        return functional.normalize(embed_all(learner, texts, world).double().cpu(), dim=1)


def embed_all(learner: Learner, texts: TokenBatch, world: World = ALONE) -> Tensor:
    """(rows, dim) as the finished model would give them, without a graph; the same on every rank.

    Args:
        learner: embeds the texts, as many at a time as its budget of tokens allows.
        texts: with special tokens.
        world: the ranks that share the work.
    """
    vectors = learner.zeros(len(texts))
    with learner.resting():
        for _, rows in world.chunks(texts.lengths, learner.token_budget):
            vectors[torch.from_numpy(rows)] = learner.embed(select(texts, rows)).to(vectors.dtype)
    world.sum_(vectors)
    return vectors


@dataclass(slots=True)
class Patience:
    """Whether a stage still gets better, and the weights that it was best with.

    Attributes:
        limit: probes in a row without a better score, after which it is over; None for no end.
        best: the highest score so far.
        waited: probes since then.
        weights: copies of the best weights; empty without a limit.
    """

    limit: int | None
    best: float = float("-inf")
    waited: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def see(self, score: float, weights: Weights) -> None:
        """Take a probe's score and the weights that were probed."""
        if score > self.best:
            self.best, self.waited = score, 0
            if self.limit is not None:
                self.weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
        else:
            self.waited += 1

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.limit is not None and self.waited >= self.limit


def _nearest(vectors: Tensor, labels: Tensor) -> float:
    right = 0
    for start in range(0, len(vectors), _BLOCK):
        cosines = vectors[start : start + _BLOCK] @ vectors.T
        rows = torch.arange(len(cosines))
        cosines[rows, rows + start] = -torch.inf
        right += int((labels[cosines.argmax(dim=1)] == labels[start : start + _BLOCK]).sum())
    return right / len(vectors)


def _retrieval(queries: Tensor, documents: Tensor, source: Source) -> dict[str, float]:
    """`accuracy@1` and `mrr` among the source's documents, each text once."""
    _, firsts, places = np.unique(source.documents.keys, return_index=True, return_inverse=True)
    candidates = documents[torch.from_numpy(firsts)]
    found = []
    for start in range(0, len(queries), _BLOCK):
        cosines = queries[start : start + _BLOCK] @ candidates.T
        asked = source.queries.keys[start : start + _BLOCK]
        rows, pairs = np.nonzero(asked[:, None] == source.queries.keys[None, :])
        own = torch.zeros(cosines.shape, dtype=torch.bool)
        own[torch.from_numpy(rows), torch.from_numpy(places.reshape(-1)[pairs])] = True
        best = torch.where(own, cosines, -torch.inf).amax(dim=1, keepdim=True)
        found.append(1 + ((cosines >= best) & ~own).sum(dim=1))
    ranks = torch.cat(found).double()
    return {"accuracy@1": float((ranks == 1).double().mean()), "mrr": float((1 / ranks).mean())}


def _spearman(queries: Tensor, documents: Tensor, source: Source) -> float:
    from scipy.stats import spearmanr

    cosines = (queries * documents).sum(dim=1).numpy()
    if np.ptp(cosines) == 0:  # No correlation is defined; nothing is told apart.
        return 0.0
    return float(spearmanr(cosines, source.labels).statistic)
