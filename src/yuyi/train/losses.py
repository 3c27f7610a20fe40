"""Objectives as pure functions of embeddings: nothing here knows a model, a tokenizer or a file.

Embeddings need not have unit length; every function compares by cosine. Each returns a scalar that can be
differentiated, averaged over the batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cosines(left: Tensor, right: Tensor, temperature: float = 1.0) -> Tensor:
    """(n, m) cosine of each row of `left` (n, dim) with each row of `right` (m, dim), over `temperature`."""
    return (F.normalize(left, dim=1) / temperature) @ F.normalize(right, dim=1).T


def info_nce(
    queries: Tensor,
    documents: Tensor,
    negatives: Tensor | None = None,
    *,
    temperature: float,
    clashes: Tensor | None = None,
) -> Tensor:
    """Symmetric InfoNCE with in-batch negatives: -log softmax of the own partner, both ways, averaged.

    Source: van den Oord et al. 2018, arXiv 1807.03748; symmetric as in CLIP, Radford et al. 2021,
    arXiv 2103.00020.

    Args:
        queries: (n, dim).
        documents: (n, dim); row `i` is the partner of query `i`.
        negatives: (m, dim) further documents that are nobody's partner, or None.
        temperature: cosines are divided by it.
        clashes: (n, n) bool, True where document `j` must not count as a negative of query `i`, or None.
    """
    scores = cosines(queries, documents, temperature)
    if clashes is not None and clashes.any():
        scores = scores.masked_fill(clashes, float("-inf"))
    own = scores.diagonal().mean()
    backward = scores.logsumexp(dim=0).mean()
    if negatives is not None:
        scores = torch.cat([scores, cosines(queries, negatives, temperature)], dim=1)
    return (scores.logsumexp(dim=1).mean() + backward) / 2 - own


def cosent(left: Tensor, right: Tensor, labels: Tensor, *, scale: float) -> Tensor:
    """CoSENT: log(1 + sum of exp(scale * (cos_j - cos_i))) over all i, j with label_i > label_j.

    Source: Su 2022, kexue.fm/archives/8847.

    Args:
        left: (n, dim).
        right: (n, dim).
        labels: (n,) judgments on any scale; only their order counts.
        scale: the inverse of a temperature.
    """
    similarity = (F.normalize(left, dim=1) * F.normalize(right, dim=1)).sum(1) * scale
    gaps = similarity[None, :] - similarity[:, None]
    ordered = labels[:, None] > labels[None, :]
    gaps = gaps.masked_fill(~ordered, float("-inf")).flatten()
    return torch.logsumexp(torch.cat([gaps.new_zeros(1), gaps]), dim=0)


def label_contrast(embeddings: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
    """Supervised contrastive loss: each text against all others, those of its own label being the partners.

    Texts without a partner are left out; zero where none has one.

    Source: Khosla et al. 2020, arXiv 2004.11362, equation 2.

    Args:
        embeddings: (n, dim).
        labels: (n,) class of each text.
        temperature: cosines are divided by it.
    """
    scores = cosines(embeddings, embeddings, temperature)
    itself = torch.eye(len(labels), dtype=torch.bool)
    log_share = F.log_softmax(scores.masked_fill(itself, float("-inf")), dim=1)
    partners = (labels[:, None] == labels[None, :]) & ~itself
    has_partner = partners.any(dim=1)
    if not has_partner.any():
        return embeddings.sum() * 0
    partners = partners[has_partner]
    own = log_share[has_partner].masked_fill(~partners, 0.0).sum(1) / partners.sum(1)
    return -own.mean()


def alignment(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of 1 - cosine between each student embedding and its teacher's: (n, dim), (n, dim) -> scalar.

    Source: Reimers and Gurevych 2020, arXiv 2004.09813, with the cosine in place of the squared error.
    """
    return 1 - (F.normalize(student, dim=1) * F.normalize(teacher, dim=1)).sum(1).mean()


def relation(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """KL divergence between the in-batch similarity distributions of teacher and student.

    Source: Tejankar et al. 2021 (ISD), arXiv 2012.09259; the dimensions of the two may differ.

    Args:
        student: (n, student dim).
        teacher: (n, teacher dim).
        temperature: cosines of both are divided by it.
    """
    itself = torch.eye(len(student), dtype=torch.bool)
    wanted = cosines(teacher, teacher, temperature).masked_fill(itself, -1e4).softmax(dim=1)
    found = cosines(student, student, temperature).masked_fill(itself, -1e4).log_softmax(dim=1)
    return F.kl_div(found, wanted, reduction="batchmean")
