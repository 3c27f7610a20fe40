"""InfoNCE in its forms, in memory that grows with the batch and not with its square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from yuyi.train.losses.blocks import over_blocks, row_numbers
from yuyi.train.losses.cosines import unit
from yuyi.train.losses.related import Related

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.train.config import Diagonal, Form, HardnessOn

# What each row is compared with, from what to what: queries (q), documents and negatives (d). The directions
# of one group share a softmax; the loss is the mean over groups.
_GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "forward": (("qd",),),
    "symmetric": (("qd",), ("dq",)),
    "improved": (("qd", "qq", "dq", "dd"),),
}


def info_nce(
    queries: Tensor,
    documents: Tensor,
    negatives: Tensor | None = None,
    *,
    temperature: float,
    form: Form = "symmetric",
    diagonal: Diagonal = "twice",
    owners: Tensor | None = None,
    keys: Sequence[Tensor] | Related | None = None,
    margin: float | None = None,
    hardness: float = 0.0,
    hardness_on: HardnessOn = "hard_negatives",
    block: int | None = None,
) -> Tensor:
    """InfoNCE with in-batch and hard negatives: mean of -log(exp s(q_i, d_i) / Z_i), s = cosine/temperature.

    With c over all documents and all negatives, Z_i is

        forward     sum_c exp s(q_i, c)
        improved    sum_c exp s(q_i, c) + sum_{j != i} exp s(q_i, q_j)
                      + sum_j exp s(q_j, d_i) + sum_{c not of row i} exp s(d_i, c)

    and `symmetric` is the mean of `forward` and of the loss with Z_i = sum_j exp s(q_j, d_i).

    Three things thin out or weigh the candidates; the row's own partner is exempt from all:

    * `keys` leave out what is known to be related. A candidate, in whichever direction, is left out if its
      text is that of the row's query or document, or of the query or document of any pair that shares a text
      with the row's pair.
    * `margin` leaves out what is probably an unmarked answer: a candidate whose cosine to the row's query or
      document (whichever the direction compares) is above the pair's own cosine plus `margin`.
    * `hardness` adds `hardness` times the cosine, taken as a constant, to the scores of negatives in q -> d.

    A row that has nothing left but its partner gives 0, or log 2 where the partner counts twice; so does a
    batch of one row.

    Where a block is smaller than the batch its scores are computed again for the gradient; block sizes
    change values and gradients by rounding only. With b rows a block, memory beside the embeddings is that of
    a few (b, n + m) matrices for each direction.

    Source: van den Oord et al. 2018, arXiv 1807.03748; symmetric: CLIP, Radford et al. 2021, arXiv
    2103.00020; improved: GTE, Li et al. 2023, arXiv 2308.03281, section 3.3; margin of 0.1: Qwen3 Embedding,
    Zhang et al. 2025, arXiv 2506.05176; hardness: Lan et al. 2025, arXiv 2503.04812, equation 5 (in-batch,
    9), and EmbeddingGemma, Schechter Vera et al. 2025, arXiv 2509.20354 (hard negatives, 5).

    Args:
        queries: (n, dim).
        documents: (n, dim); row `i` is the partner of query `i`.
        negatives: (m, dim) further documents that are nobody's partner, or None.
        temperature: cosines are divided by it.
        form: what the partner is compared with.
        diagonal: `improved` only. `twice`: s(q_i, d_i) counts in both q -> d and d -> q, as the formula of
            GTE reads; `once`: it is left out of d -> q.
        owners: (m,) int64, the row that each negative was mined for, or None where they are nobody's. A
            row's own negatives are none of its document's (d -> d).
        keys: int64, equal where texts are equal whatever the side: (n,) of the queries, (n,) of the documents
            and, where there are negatives, (m,) of them; or what `Related` has found in these, on the device
            of the embeddings, where several cuts share it. None leaves nothing out.
        margin: in cosine units, or None to leave nothing out.
        hardness: 0 for none.
        hardness_on: `hard_negatives`: those that the row owns; `in_batch_negatives`: other rows' documents
            and negatives; `all_negatives`: both.
        block: rows whose scores are held at once; None for as many as have `blocks.BLOCK_SCORES` scores.

    Raises:
        ValueError: `owners` or `keys` do not tell what another argument needs.
    """
    if hardness and hardness_on == "hard_negatives" and negatives is not None and owners is None:
        raise ValueError("hardness on hard negatives needs owners: which row each negative belongs to")
    if keys is not None and not isinstance(keys, Related):
        if len(keys) != (2 if negatives is None else 3):
            raise ValueError(
                f"{len(keys)} keys: give those of queries, of documents and of negatives, if any"
            )
        keys = Related.of([each.cpu().numpy() for each in keys], queries.device)
    rows = len(queries)
    own = torch.arange(rows, device=queries.device)
    further = own.new_full((0 if negatives is None else len(negatives),), -1) if owners is None else owners
    batch = _Batch(
        unit(queries),
        unit(documents if negatives is None else torch.cat([documents, negatives])),
        torch.cat([own, further]),
        keys,
        temperature,
        form,
        diagonal,
        margin,
        hardness,
        hardness_on,
    )
    sides = batch.queries, batch.answers[:rows]
    return over_blocks(batch.loss, *sides, columns=len(batch.answers), block=block) / rows


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a batch whose scores are held at once.

    Attributes:
        first: the place of the first in the batch.
        numbers: (b,) the places of all.
        anchors: (b, dim) of unit length, their queries (q) and their documents (d).
        limit: (b,) the highest score that is no unmarked answer; or None.
    """

    first: int
    numbers: Tensor
    anchors: dict[str, Tensor]
    limit: Tensor | None


@dataclass(frozen=True, slots=True)
class _Batch:
    """What `info_nce` was given.

    Attributes:
        queries: (n, dim) of unit length.
        answers: (n + m, dim) of unit length, the documents and then the negatives.
        owners: (n + m,) the row of each answer, -1 for nobody's.
        related: the queries and answers that are no negatives of a row; or None.
    """

    queries: Tensor
    answers: Tensor
    owners: Tensor
    related: Related | None
    temperature: float
    form: Form
    diagonal: Diagonal
    margin: float | None
    hardness: float
    hardness_on: HardnessOn

    def loss(self, first: int, queries: Tensor, documents: Tensor) -> Tensor:
        """The losses of the rows from `first`, summed; their `queries` and `documents` have unit length."""
        rows = self._rows(first, queries, documents)
        groups = _GROUPS[self.form]
        total = self.queries.new_zeros(())
        for group in groups:
            sums = []
            for direction in group:
                scores = self._scores(direction, rows)
                if direction == "qd":
                    total = total - scores.gather(1, rows.numbers[:, None]).sum()
                sums.append(scores.logsumexp(dim=1))
            total = total + torch.stack(sums).logsumexp(dim=0).sum() / len(groups)
        return total

    def _rows(self, first: int, queries: Tensor, documents: Tensor) -> _Rows:
        limit = None
        if self.margin is not None:
            limit = ((queries * documents).sum(1).detach() + self.margin) / self.temperature
        return _Rows(first, row_numbers(first, queries), {"q": queries, "d": documents}, limit)

    def _scores(self, direction: str, rows: _Rows) -> Tensor:
        """(b, candidates) scores in one direction; those left out are so low that they add nothing."""
        source, target = direction[0], direction[1]
        candidates = self.queries if target == "q" else self.answers
        scores = (rows.anchors[source] / self.temperature) @ candidates.T
        hidden = self._hidden(direction, rows, scores.detach())
        if self.hardness and direction == "qd":
            scores = scores + scores.detach() * self._weights(rows.numbers)
        # A finite bound, because a row may lose all its candidates in a direction, and -inf gives NaN there.
        return scores.masked_fill_(hidden, torch.finfo(scores.dtype).min / 2)

    def _hidden(self, direction: str, rows: _Rows, scores: Tensor) -> Tensor:
        """(b, candidates) bool, which scores are left out."""
        source, target = direction[0], direction[1]
        own = rows.numbers[:, None]
        if source == target:
            hidden = own == self.owners[: scores.shape[1]]
        else:
            hidden = torch.zeros_like(scores, dtype=torch.bool)
        if self.related is not None:
            (self.related.queries if target == "q" else self.related.answers).mark(hidden, rows.first)
        if rows.limit is not None:
            hidden |= scores > rows.limit[:, None]
        if source != target:
            once = direction == "dq" and self.form == "improved" and self.diagonal == "once"
            hidden.scatter_(1, own, once)
        return hidden

    def _weights(self, numbers: Tensor) -> Tensor:
        """(b, n + m) what a score adds to itself for its hardness, as a share of it."""
        mined = torch.arange(len(self.owners), device=numbers.device) >= len(self.queries)
        own = numbers[:, None] == self.owners
        chosen = {
            "hard_negatives": own & mined,
            "in_batch_negatives": ~own,
            "all_negatives": ~own | mined,
        }[self.hardness_on]
        return chosen * (self.hardness * self.temperature)
