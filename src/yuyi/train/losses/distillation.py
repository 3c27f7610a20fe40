"""Objectives that follow a teacher: its embeddings, or its scores of a row's candidates."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from yuyi.train.losses.blocks import over_blocks, row_numbers
from yuyi.train.losses.cosines import paired_cosines, row_logsumexp, unit


def alignment(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of 1 - cosine between each student embedding and its teacher's: (n, dim), (n, dim) -> scalar.

    Source: Reimers and Gurevych 2020, arXiv 2004.09813, with the cosine in place of the squared error.
    """
    return 1 - paired_cosines(student, teacher).mean()


def squared_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over texts of |student - teacher|^2, lengths included: (n, dim), (n, dim) -> scalar.

    Twice `alignment` where all vectors have unit length. A student of another dimension is projected first.

    Source: LEAF, Vujanic and Rueckstiess 2025, arXiv 2509.12539.
    """
    precise = torch.promote_types(student.dtype, torch.float32)
    return (student.to(precise) - teacher.to(precise)).square().sum(1).mean()


def relation(student: Tensor, teacher: Tensor, *, temperature: float, block: int | None = None) -> Tensor:
    """KL divergence between the in-batch similarity distributions of teacher and student.

    For each text, the softmax over the other texts of cosine/temperature. Zero for a batch of one or two
    rows. With b rows a block, holds a few (b, n) matrices.

    Source: Tejankar et al. 2021 (ISD), arXiv 2012.09259; the dimensions of the two may differ.

    Args:
        student: (n, student dim).
        teacher: (n, teacher dim).
        temperature: cosines of both are divided by it.
        block: rows whose scores are held at once; None for as many as have `blocks.BLOCK_SCORES` scores.
    """
    followers, leaders = unit(student), unit(teacher)

    def divergences(first: int, own: Tensor, wanted: Tensor) -> Tensor:
        """Those of some rows, summed."""
        itself = row_numbers(first, own)[:, None]

        def shares(rows: Tensor, others: Tensor) -> Tensor:
            return ((rows / temperature) @ others.T).scatter(1, itself, -1e4).log_softmax(dim=1)

        return F.kl_div(shares(own, followers), shares(wanted, leaders), reduction="sum", log_target=True)

    return over_blocks(divergences, followers, leaders, columns=len(student), block=block) / len(student)


def margin_mse(
    queries: Tensor,
    documents: Tensor,
    negatives: Tensor,
    *,
    owners: Tensor,
    scores: Tensor,
    scale: float = 1.0,
) -> Tensor:
    """Mean squared error of the margins between a row's document and each of its negatives.

    The mean over negatives c with row i of (scale * (cos(q_i, d_i) - cos(q_i, c)) - (t(d_i) - t(c)))^2, with
    t the teacher's score. Zero where there are no negatives.

    Source: Hofstätter et al. 2020, arXiv 2010.02666.

    Args:
        queries: (n, dim).
        documents: (n, dim).
        negatives: (m, dim).
        owners: (m,) int64, the row that each negative belongs to.
        scores: (n + m,) the teacher's, of each row's document and then of the negatives.
        scale: brings cosines to the teacher's unit; a cross-encoder's margins may be above 10.
    """
    own, others = _candidates(queries, documents, negatives, owners)
    margins = scale * (own[owners] - others)
    scores = scores.to(own.dtype)
    wanted = scores[: len(own)][owners] - scores[len(own) :]
    return (margins - wanted).square().sum() / max(1, len(margins))


def score_kl(
    queries: Tensor,
    documents: Tensor,
    negatives: Tensor,
    *,
    owners: Tensor,
    scores: Tensor,
    temperature: float,
    teacher_temperature: float = 1.0,
) -> Tensor:
    """KL divergence between the shares that teacher and student give to a row's document and its negatives.

    Shares are the softmax, over the candidates of a row, of the teacher's score/teacher_temperature and of
    the student's cosine/temperature. Averaged over rows; one without negatives gives zero.

    Source: Lin et al. 2020, arXiv 2010.11386; not multiplied by the squared temperature, which would all but
    switch off a temperature made for cosines.

    Args:
        queries: (n, dim).
        documents: (n, dim).
        negatives: (m, dim).
        owners: (m,) int64, the row that each negative belongs to.
        scores: (n + m,) the teacher's, of each row's document and then of the negatives.
        temperature: the student's cosines are divided by it.
        teacher_temperature: the teacher's scores are divided by it.
    """
    rows = len(queries)
    row = torch.cat([torch.arange(rows, device=owners.device), owners])
    found = torch.cat(_candidates(queries, documents, negatives, owners)) / temperature
    wanted = scores.to(found.dtype) / teacher_temperature
    log_found = found - row_logsumexp(found, row, rows)[row]
    log_wanted = wanted - row_logsumexp(wanted, row, rows)[row]
    return (log_wanted.exp() * (log_wanted - log_found)).sum() / rows


def _candidates(
    queries: Tensor, documents: Tensor, negatives: Tensor, owners: Tensor
) -> tuple[Tensor, Tensor]:
    """Cosines of each query with its document (n,), and with its negatives (m,)."""
    return paired_cosines(queries, documents), paired_cosines(queries[owners], negatives)
