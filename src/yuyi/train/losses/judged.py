"""Objectives over texts that somebody has judged: by a degree, or by a class."""

from __future__ import annotations

import torch
from torch import Tensor

from yuyi.train.losses.blocks import over_blocks, row_numbers
from yuyi.train.losses.cosines import paired_cosines, row_logsumexp, unit


def cosent(left: Tensor, right: Tensor, labels: Tensor, *, scale: float) -> Tensor:
    """CoSENT: log(1 + sum of exp(scale * (cos_j - cos_i))) over all i, j with label_i > label_j.

    Zero where no two labels differ, as in a batch of one row. In order of label, the sum over j is a running
    sum, so that time and memory grow with n and not with its square.

    Source: Su 2022, kexue.fm/archives/8847.

    Args:
        left: (n, dim).
        right: (n, dim).
        labels: (n,) judgments on any scale; only their order counts.
        scale: the inverse of a temperature.
    """
    labels, order = labels.sort()
    similarity = (paired_cosines(left, right) * scale)[order]
    # For each number of rows from 0 on, log of the sum over these first rows.
    nothing = similarity.new_full((1,), torch.finfo(similarity.dtype).min / 2)
    first_rows = torch.cat([nothing, similarity.logcumsumexp(dim=0)])
    lower = torch.searchsorted(labels, labels)
    gaps = first_rows[lower] - similarity
    return torch.logsumexp(torch.cat([gaps.new_zeros(1), gaps]), dim=0)


def label_contrast(
    embeddings: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    keys: Tensor | None = None,
    block: int | None = None,
) -> Tensor:
    """Supervised contrastive loss: each text against all others, those of its own label being the partners.

    For a text i with partners P(i): the mean over p in P(i) of -log(exp s(i, p) / sum_{j != i} exp s(i, j)),
    s = cosine/temperature. Texts without a partner are left out; zero where none has one, as in a batch of
    one row. With b rows a block, holds a few (b, n) matrices.

    Source: Khosla et al. 2020, arXiv 2004.11362, equation 2.

    Args:
        embeddings: (n, dim).
        labels: (n,) class of each text.
        temperature: cosines are divided by it.
        keys: (n,) int64, equal where texts are equal: such are no others of one another, whatever their
            labels. None where all differ.
        block: rows whose scores are held at once; None for as many as have `blocks.BLOCK_SCORES` scores.
    """
    directions = unit(embeddings)
    keys = row_numbers(0, embeddings) if keys is None else keys

    def losses(first: int, own: Tensor, own_labels: Tensor, own_keys: Tensor) -> Tensor:
        """(2,) the losses of some rows, summed, and how many of them have a partner."""
        equal = own_keys[:, None] == keys
        partners = (own_labels[:, None] == labels) & ~equal
        scores = (own / temperature) @ directions.T
        count = partners.sum(1)
        mean = (scores * partners).sum(1) / count.clamp_min(1)
        # A finite bound, because a text may have no other, and -inf gives NaN there.
        whole = scores.masked_fill(equal, torch.finfo(scores.dtype).min / 2).logsumexp(1)
        loss = (whole - mean).masked_fill(count == 0, 0.0).sum()
        return torch.stack([loss, (count > 0).sum().to(loss)])

    total, rows = over_blocks(losses, directions, labels, keys, columns=len(labels), block=block)
    loss: Tensor = total / rows.clamp_min(1)
    return loss


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
