"""Objectives over texts that somebody has judged: by a degree, or by a class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from yuyi.train.losses.cosines import cosines, paired_cosines, row_logsumexp


def cosent(left: Tensor, right: Tensor, labels: Tensor, *, scale: float) -> Tensor:
    """CoSENT: log(1 + sum of exp(scale * (cos_j - cos_i))) over all i, j with label_i > label_j.

    Zero where no two labels differ, as in a batch of one row. Holds a few (n, n) matrices.

    Source: Su 2022, kexue.fm/archives/8847.

    Args:
        left: (n, dim).
        right: (n, dim).
        labels: (n,) judgments on any scale; only their order counts.
        scale: the inverse of a temperature.
    """
    similarity = paired_cosines(left, right) * scale
    gaps = similarity[None, :] - similarity[:, None]
    ordered = labels[:, None] > labels[None, :]
    gaps = gaps.masked_fill(~ordered, float("-inf")).flatten()
    return torch.logsumexp(torch.cat([gaps.new_zeros(1), gaps]), dim=0)


def label_contrast(embeddings: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
    """Supervised contrastive loss: each text against all others, those of its own label being the partners.

    For a text i with partners P(i): the mean over p in P(i) of -log(exp s(i, p) / sum_{j != i} exp s(i, j)),
    s = cosine/temperature. Texts without a partner are left out; zero where none has one, as in a batch of
    one row. Holds a few (n, n) matrices.

    Source: Khosla et al. 2020, arXiv 2004.11362, equation 2.

    Args:
        embeddings: (n, dim).
        labels: (n,) class of each text.
        temperature: cosines are divided by it.
    """
    scores = cosines(embeddings, embeddings, temperature)
    itself = torch.eye(len(labels), dtype=torch.bool, device=scores.device)
    log_share = F.log_softmax(scores.masked_fill(itself, float("-inf")), dim=1)
    partners = (labels[:, None] == labels[None, :]) & ~itself
    has_partner = partners.any(dim=1)
    if not has_partner.any():
        return embeddings.sum() * 0
    partners = partners[has_partner]
    own = log_share[has_partner].masked_fill(~partners, 0.0).sum(1) / partners.sum(1)
    return -own.mean()


def tuple_contrast(
    texts: Tensor, partners: Tensor, negatives: Tensor, *, owners: Tensor, temperature: float
) -> Tensor:
    """InfoNCE without in-batch negatives: each text against its partner and its own negatives alone.

    The mean of -log(exp s(x_i, p_i) / (exp s(x_i, p_i) + sum over i's negatives c of exp s(x_i, c))),
    s = cosine/temperature. A row without negatives gives zero.

    For texts with classes, where a partner has the same class and the negatives have others: the other rows
    of a batch may be of the class too, and so are no negatives.

    Source: piccolo2, Huang et al. 2024, arXiv 2405.06932, section 3.1, the loss for classification and
    clustering.

    Args:
        texts: (n, dim).
        partners: (n, dim).
        negatives: (m, dim).
        owners: (m,) int64, the row that each negative belongs to.
        temperature: cosines are divided by it.
    """
    rows = torch.arange(len(texts), device=texts.device)
    own = paired_cosines(texts, partners) / temperature
    others = paired_cosines(texts[owners], negatives) / temperature
    return (row_logsumexp(torch.cat([own, others]), torch.cat([rows, owners]), len(rows)) - own).mean()
