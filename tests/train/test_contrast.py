from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yuyi.train.losses import info_nce
from yuyi.train.losses.blocks import over_blocks
from yuyi.train.losses.related import Related

SEEDS = st.integers(0, 10_000)
FORMS = ("forward", "symmetric", "improved")
HARDNESS = ("hard_negatives", "in_batch_negatives", "all_negatives")
# What sentence-transformers calls the forms.
THEIRS = {
    "forward": (("query_to_doc",), "joint"),
    "symmetric": (("query_to_doc", "doc_to_query"), "per_direction"),
    "improved": (("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"), "joint"),
}


def rows(seed: int, *sizes: int) -> list[torch.Tensor]:
    """Matrices of 6 columns with these numbers of rows, in float64; they carry gradients."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 6, generator=generator, dtype=torch.float64).requires_grad_() for size in sizes]


def gradients(loss: torch.Tensor, *inputs: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True))


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, *inputs: torch.Tensor) -> None:
    """Equal values and gradients; the loss is not zero, and no gradient is."""
    assert ours.shape == ()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9, abs=1e-9)
    assert ours.item() != 0
    for own, expected in zip(gradients(ours, *inputs), gradients(theirs, *inputs), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-9, atol=1e-9)
        assert expected.abs().max() > 1e-9


def literal(
    queries: torch.Tensor,
    documents: torch.Tensor,
    negatives: torch.Tensor,
    *,
    temperature: float,
    form: str,
    diagonal: str,
    owners: list[int],
    keys: list[list[int]],
    margin: float,
    hardness: float,
    hardness_on: str,
) -> torch.Tensor:
    """The formula, one similarity after another."""
    n = len(queries)
    query_keys, document_keys, negative_keys = keys

    def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b / (a.norm() * b.norm())

    total = torch.zeros((), dtype=torch.float64)
    for i in range(n):
        q, d = queries[i], documents[i]
        own = cosine(q, d)
        related: set[int] = set()
        for j in range(n):
            if {query_keys[i], document_keys[i]} & {query_keys[j], document_keys[j]}:
                related |= {query_keys[j], document_keys[j]}

        def score(a: torch.Tensor, b: torch.Tensor, weight: float = 0.0) -> torch.Tensor:
            return cosine(a, b) / temperature + weight * cosine(a, b).detach()

        def stays(a: torch.Tensor, b: torch.Tensor, key: int, limit: float, known: set[int]) -> bool:
            return key not in known and cosine(a, b).item() <= limit

        limit = own.item() + margin
        in_batch = hardness if hardness_on != "hard_negatives" else 0.0
        mined = hardness if hardness_on != "in_batch_negatives" else 0.0
        forward, queries_only, backward, documents_only = [own / temperature], [], [], []
        for j in range(n):
            if j != i and stays(q, documents[j], document_keys[j], limit, related):
                forward.append(score(q, documents[j], in_batch))
            if j != i and stays(q, queries[j], query_keys[j], limit, related):
                queries_only.append(score(q, queries[j]))
            if j == i and (diagonal == "twice" or form == "symmetric"):
                backward.append(own / temperature)
            if j != i and stays(d, queries[j], query_keys[j], limit, related):
                backward.append(score(d, queries[j]))
            if j != i and stays(d, documents[j], document_keys[j], limit, related):
                documents_only.append(score(d, documents[j]))
        for k, negative in enumerate(negatives):
            if stays(q, negative, negative_keys[k], limit, related):
                forward.append(score(q, negative, mined if owners[k] == i else in_batch))
            if owners[k] != i and stays(d, negative, negative_keys[k], limit, related):
                documents_only.append(score(d, negative))
        softmaxes = {
            "forward": [forward],
            "symmetric": [forward, backward],
            "improved": [forward + queries_only + backward + documents_only],
        }[form]
        for scores in softmaxes:
            total = total + (torch.stack(scores).logsumexp(0) - own / temperature) / len(softmaxes)
    return total / n


@given(
    n=st.integers(1, 5),
    m=st.integers(1, 5),
    form=st.sampled_from(FORMS),
    diagonal=st.sampled_from(["twice", "once"]),
    texts=st.sampled_from([4, 1000]),
    margin=st.sampled_from([0.0, 0.1, 3.0]),
    hardness=st.sampled_from([0.0, 5.0]),
    hardness_on=st.sampled_from(HARDNESS),
    temperature=st.sampled_from([0.05, 1.0]),
    block=st.sampled_from([None, 1, 2]),
    seed=SEEDS,
)
def test_it_is_its_formula(
    n: int, m: int, texts: int, temperature: float, block: int | None, seed: int, **settings: Any
) -> None:
    queries, documents, negatives = rows(seed, n, n, m)
    draw = np.random.default_rng(seed)
    keys = [draw.integers(0, texts, size) for size in (n, n, m)]
    owners = draw.integers(0, n, m)
    loss = info_nce(
        queries,
        documents,
        negatives,
        temperature=temperature,
        owners=torch.from_numpy(owners),
        keys=[torch.from_numpy(key) for key in keys],
        block=block,
        **settings,
    )
    expected = literal(
        queries,
        documents,
        negatives,
        temperature=temperature,
        owners=owners.tolist(),
        keys=[key.tolist() for key in keys],
        **settings,
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-9)
    inputs = (queries, documents, negatives)
    for own, other in zip(gradients(loss, *inputs), gradients(expected, *inputs), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("hardness_on", [None, *HARDNESS])
@pytest.mark.parametrize("columns", [0, 1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_it_is_that_of_sentence_transformers(form: str, columns: int, hardness_on: str | None) -> None:
    from sentence_transformers.sentence_transformer.losses import (
        CachedMultipleNegativesRankingLoss,
        MultipleNegativesRankingLoss,
    )

    if hardness_on == "hard_negatives" and not columns:
        hardness_on = "all_negatives"
    queries, documents, *further = rows(3, *(7,) * (2 + columns))
    directions, mode = THEIRS[form]
    options = {"scale": 20.0, "directions": directions, "partition_mode": mode}
    if hardness_on:
        options |= {"hardness_mode": hardness_on, "hardness_strength": 5.0}
    loss = info_nce(
        queries,
        documents,
        torch.cat(further) if further else None,
        temperature=0.05,
        form=form,  # type: ignore[arg-type]
        owners=torch.arange(7).repeat(columns) if further else None,
        hardness=5.0 if hardness_on else 0.0,
        hardness_on=hardness_on or "hard_negatives",  # type: ignore[arg-type]
    )
    theirs = MultipleNegativesRankingLoss(None, **options)
    expected = theirs.compute_loss_from_embeddings([queries, documents, *further], None)
    assert_same(loss, expected, queries, documents, *further)
    cached = CachedMultipleNegativesRankingLoss(
        torch.nn.Sequential(torch.nn.Identity()), mini_batch_size=3, **options
    )
    chunks = [column.split(3) for column in (queries, documents, *further)]
    assert cached.calculate_loss(chunks).item() == pytest.approx(loss.item(), rel=1e-9)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_default_is_the_symmetric_loss_of_sentence_transformers() -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesSymmetricRankingLoss

    queries, documents = rows(3, 8, 8)
    theirs = MultipleNegativesSymmetricRankingLoss(None, scale=20.0)  # type: ignore[arg-type]
    expected = theirs.compute_loss_from_embeddings([queries, documents], None)
    assert_same(info_nce(queries, documents, temperature=0.05), expected, queries, documents)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("pairs", "related", "other"),
    [
        ([("如何还款", "打开应用，点击还款"), ("怎样还款", "打开应用，点击还款")], "怎样还款", "额度是多少"),
        ([("如何还款", "打开应用"), ("如何还款", "到柜台办理")], "到柜台办理", "打开"),
        ([("a cat", "an animal"), ("an animal", "a living thing")], "a living thing", "A cat"),
    ],
)
def test_texts_of_related_pairs_are_no_negatives(
    form: str, pairs: list[tuple[str, str]], related: str, other: str
) -> None:
    """Two pairs that share a text, a negative that is one of their texts, and a negative that is none."""
    numbers: dict[str, int] = {}
    keys = [
        torch.tensor([numbers.setdefault(text, len(numbers)) for text in texts])
        for texts in (*zip(*pairs, strict=True), [related, other])
    ]
    queries, documents, negatives = rows(5, 2, 2, 2)
    options: dict[str, Any] = {"temperature": 0.1, "form": form}
    nothing = info_nce(queries, documents, keys=keys[:2], **options)
    assert nothing.item() == pytest.approx(math.log(2) if form == "improved" else 0)
    loss = info_nce(queries, documents, negatives, keys=keys, **options)
    (gradient,) = gradients(loss, negatives)
    assert not gradient[0].any()
    assert gradient[1].all()
    assert loss > nothing


@given(
    n=st.integers(2, 9),
    m=st.integers(1, 9),
    block=st.integers(1, 9),
    form=st.sampled_from(FORMS),
    seed=SEEDS,
)
def test_blocks_change_nothing(n: int, m: int, block: int, form: Any, seed: int) -> None:
    queries, documents, negatives = inputs = rows(seed, n, n, m)
    draw = np.random.default_rng(seed)
    options: dict[str, Any] = {
        "temperature": 0.05,
        "form": form,
        "owners": torch.from_numpy(draw.integers(0, n, m)),
        "keys": [torch.from_numpy(draw.integers(0, 20, size)) for size in (n, n, m)],
        "margin": 0.1,
        "hardness": 5.0,
    }
    whole = info_nce(queries, documents, negatives, **options)
    options["keys"] = Related.of([key.numpy() for key in options["keys"]])
    blocks = info_nce(queries, documents, negatives, block=block, **options)
    assert blocks.item() == pytest.approx(whole.item(), rel=1e-12, abs=1e-12)
    for own, expected in zip(gradients(blocks, *inputs), gradients(whole, *inputs), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("form", FORMS)
def test_blocks_keep_no_matrix_of_scores(form: Any) -> None:
    queries, documents = rows(9, 64, 64)
    largest = 0

    def saved(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal largest
        largest = max(largest, tensor.numel())
        return tensor

    def loss(block: int | None) -> torch.Tensor:
        with torch.autograd.graph.saved_tensors_hooks(saved, lambda tensor: tensor):
            return info_nce(queries, documents, temperature=0.05, form=form, margin=0.1, block=block)

    loss(None)
    assert largest == 64 * 64
    largest = 0
    gradient = gradients(loss(8), queries)[0]
    assert largest == queries.numel()
    assert gradient.abs().max() > 0


MEMORY = """
import resource, torch
from yuyi.train.losses import info_nce
torch.set_num_threads(1)
columns = [torch.randn(4096, 8, requires_grad=True) for _ in range(2)]
resident = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = resident()
info_nce(*columns, temperature=0.05, form="improved").backward()
print(resident() - before)
"""


def test_memory_is_that_of_a_block() -> None:
    """What blocks hold has 350 MiB; four matrices of all scores, with what hides some, have 520 MiB."""
    found = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert int(found.stdout) / 1024 < 430


@pytest.mark.parametrize("columns", [1_000_000, 8_192, 10_007])
def test_blocks_are_too_large_for_the_heap(columns: int) -> None:
    """All but the last have the 32 MiB in float32 that glibc takes from the system and gives back."""
    sizes = []

    def count(first: int, rows: torch.Tensor) -> torch.Tensor:
        sizes.append(len(rows))
        return rows.sum()

    rows = torch.ones(2_000, dtype=torch.int64)
    assert over_blocks(count, rows, columns=columns).item() == 2_000
    assert len(sizes) > 1
    assert all(32 * 2**20 <= 4 * size * columns <= 36 * 2**20 for size in sizes[:-1])


@given(n=st.integers(2, 6), m=st.integers(1, 6), form=st.sampled_from(FORMS), seed=SEEDS)
def test_the_order_of_rows_changes_nothing(n: int, m: int, form: Any, seed: int) -> None:
    queries, documents, negatives = rows(seed, n, n, m)
    draw = np.random.default_rng(seed)
    owners = torch.from_numpy(draw.integers(0, n, m))
    keys = [torch.from_numpy(draw.integers(0, 9, size)) for size in (n, n, m)]
    order, shuffled = torch.from_numpy(draw.permutation(n)), torch.from_numpy(draw.permutation(m))
    options: dict[str, Any] = {"temperature": 0.05, "form": form, "margin": 0.1, "hardness": 5.0}
    loss = info_nce(queries, documents, negatives, owners=owners, keys=keys, **options)
    moved = info_nce(
        queries[order],
        documents[order],
        negatives[shuffled],
        owners=order.argsort()[owners[shuffled]],
        keys=[keys[0][order], keys[1][order], keys[2][shuffled]],
        **options,
    )
    assert moved.item() == pytest.approx(loss.item(), rel=1e-9, abs=1e-12)


@given(
    n=st.integers(1, 6),
    m=st.integers(1, 6),
    form=st.sampled_from(FORMS),
    diagonal=st.sampled_from(["twice", "once"]),
    seed=SEEDS,
)
def test_leaving_out_only_lowers_the_loss(n: int, m: int, form: Any, diagonal: Any, seed: int) -> None:
    queries, documents, negatives = rows(seed, n, n, m)
    keys = [torch.from_numpy(np.random.default_rng(seed).integers(0, 9, size)) for size in (n, n, m)]
    options: dict[str, Any] = {"temperature": 0.05, "form": form, "diagonal": diagonal}
    everything = info_nce(queries, documents, negatives, **options).item()
    least = math.log(2) if (form, diagonal) == ("improved", "twice") else 0.0
    for left_out in ({"keys": keys}, {"margin": 0.0}, {"margin": 0.2}, {"keys": keys, "margin": 0.1}):
        loss = info_nce(queries, documents, negatives, **left_out, **options).item()
        assert least - 1e-9 <= loss <= everything + 1e-9
    nothing_left_out = info_nce(queries, documents, negatives, margin=2.0, **options).item()
    assert nothing_left_out == pytest.approx(everything, abs=1e-12)
    once = info_nce(queries, documents, negatives, **{**options, "diagonal": "once"}).item()
    assert once <= everything + 1e-9


@pytest.mark.parametrize("form", ["forward", "symmetric"])
def test_what_a_margin_leaves_out_is_not_learned(form: Any) -> None:
    """The pair's cosine is 0.8, those of the negatives are 0.95 and 0.85."""
    query = torch.tensor([[1.0, 0, 0]], dtype=torch.float64, requires_grad=True)
    document = torch.tensor([[0.8, 0.6, 0]], dtype=torch.float64, requires_grad=True)
    negatives = torch.tensor([[0.95, 0, 0.3122499], [0.85, 0, 0.5267827]], dtype=torch.float64)
    negatives.requires_grad_()
    loss = info_nce(query, document, negatives, temperature=0.1, form=form, margin=0.1)
    alone = info_nce(query, document, negatives[1:], temperature=0.1, form=form)
    assert_same(loss, alone, query, document)
    again = info_nce(query, document, negatives, temperature=0.1, form=form, margin=0.1)
    left_out, kept = gradients(again, negatives)[0]
    assert not left_out.any()
    assert kept.abs().max() > 0


@pytest.mark.parametrize("diagonal", ["twice", "once"])
@pytest.mark.parametrize("form", FORMS)
def test_one_row_asks_nothing(form: Any, diagonal: Any) -> None:
    queries, documents = rows(8, 1, 1)
    loss = info_nce(queries, documents, temperature=0.05, form=form, diagonal=diagonal)
    twice = (form, diagonal) == ("improved", "twice")
    assert loss.item() == pytest.approx(math.log(2) if twice else 0)
    for gradient in gradients(loss, queries, documents):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)


@pytest.mark.parametrize("form", FORMS)
def test_a_text_without_tokens_hurts_nobody(form: Any) -> None:
    queries, documents, negatives = inputs = rows(8, 4, 4, 2)
    with torch.no_grad():
        queries[1] = 0
        documents[2] = 0
        negatives[0] = 0
    loss = info_nce(*inputs, temperature=0.05, form=form)
    assert torch.isfinite(loss)
    for tensor, gradient in zip(inputs, gradients(loss, *inputs), strict=True):
        assert torch.isfinite(gradient).all()
        assert torch.equal(gradient.any(dim=1), tensor.any(dim=1))
        assert gradient.abs().max() < 1e3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    queries, documents = (matrix.detach().to(dtype).requires_grad_() for matrix in rows(4, 9, 9))
    loss = info_nce(queries, documents, temperature=0.01, form="improved")
    expected = info_nce(queries.float(), documents.float(), temperature=0.01, form="improved")
    assert loss.dtype == torch.float32
    assert loss.item() == expected.item()
    loss.backward()  # type: ignore[no-untyped-call]
    assert queries.grad is not None
    assert queries.grad.dtype == dtype
    assert queries.grad.abs().max() > 0


@given(n=st.integers(1, 8), m=st.integers(0, 5), texts=st.sampled_from([2, 6, 50]), seed=SEEDS)
def test_related_texts_are_those_of_pairs_that_share_one(n: int, m: int, texts: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    keys = [draw.integers(-texts, texts, size) for size in (n, n, m)]
    pairs = [set(pair) for pair in zip(keys[0].tolist(), keys[1].tolist(), strict=True)]
    related = Related.of(keys)
    for places, candidates in ((related.queries, keys[0]), (related.answers, np.concatenate(keys[1:]))):
        for first in range(n):
            found = torch.zeros(n - first, len(candidates), dtype=torch.bool)
            places.mark(found, first)
            known = [set().union(*(pair for pair in pairs if pair & own)) for own in pairs[first:]]
            assert found.tolist() == [[key in texts for key in candidates.tolist()] for texts in known]


def test_what_is_missing_is_named() -> None:
    queries, documents, negatives = rows(4, 3, 3, 2)
    with pytest.raises(ValueError, match="needs owners"):
        info_nce(queries, documents, negatives, temperature=0.1, hardness=5.0)
    with pytest.raises(ValueError, match="2 keys"):
        info_nce(queries, documents, negatives, temperature=0.1, keys=[torch.arange(3)] * 2)
