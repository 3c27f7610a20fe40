from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.text.overflow import Frame, fit
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.text.tokenizer_folder import read_tokenizer
from yuyi.train.distributed import World
from yuyi.train.drawing.dynamic import NegativePool
from yuyi.train.reading.sources import Column, Source
from yuyi.train.reading.tokens import column_of
from yuyi.train.table import Parts, TokenTable

from .test_corpus import TOKENIZER
from .test_mlm import TINY, open_learner

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.types import TokenBatch

WORDS = ["胡子", "长得", "向量", "搜索", "passport", "renew", "watch", "今天", "天气", "怎么"]
PIECES = [piece for piece, _ in sorted(TOKENIZER.get_vocab().items(), key=lambda item: item[1])]


def column(texts: list[str]) -> Column:
    return column_of(texts, BatchTokenizer(TOKENIZER), 16)


def source_of(queries: list[str], pools: list[list[str]]) -> Source:
    return replace(
        Source.of("made", "qa", column(queries), column(queries)),
        negatives=column([text for pool in pools for text in pool]),
        negative_offsets=np.cumsum([0, *map(len, pools)]),
    )


def table(seed: int) -> TokenTable:
    parts = Parts.of(PIECES)
    return TokenTable(parts, np.random.default_rng(seed).normal(size=(parts.count, 8)).astype(np.float32))


def framed(texts: Column) -> TokenBatch:
    return fit(texts.tokens, Frame(), "cut").batch


def cosine(learner: TokenTable, one: str, other: str) -> np.float32:
    with torch.no_grad():
        vectors = learner.embed(column([one, other]).tokens)
    return torch.nn.functional.cosine_similarity(vectors[:1], vectors[1:]).numpy()[0]


@dataclass
class Plain:
    """What a pool is to do, row by row."""

    pools: list[list[str]]
    k: int
    used: list[list[int]] = field(default_factory=list)
    first: dict[tuple[int, int], np.float32] = field(default_factory=dict)
    next: list[int] = field(default_factory=list)
    waiting: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.used = [list(range(min(self.k, len(pool)))) for pool in self.pools]
        self.next = [len(used) for used in self.used]

    def rescore(self, score: Any) -> int:
        replaced = 0
        for row in sorted(self.waiting):
            for place, number in enumerate(self.used[row]):
                now = score(row, self.pools[row][number])
                first = self.first.setdefault((row, place), now)
                fallen = now + np.float32(0.15) * abs(now) < first
                if fallen and now < 0.8 and self.next[row] < len(self.pools[row]):
                    self.used[row][place] = self.next[row]
                    self.first[row, place] = score(row, self.pools[row][self.next[row]])
                    self.next[row] += 1
                    replaced += 1
        self.waiting = set()
        return replaced


TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=6)), min_size=1, max_size=6),
    k=st.integers(1, 3),
    data=st.data(),
)
def test_the_pool_does_what_is_said_of_it(
    rows: list[tuple[str, list[str]]], k: int, data: st.DataObject
) -> None:
    queries, pools = [query for query, _ in rows], [pool for _, pool in rows]
    source = source_of(queries, pools)
    pool, plain = NegativePool(source, k), Plain(pools, k)
    every = np.arange(len(rows))
    assert [part.tolist() for part in pool.chosen(every)] == [
        part.tolist() for part in source.first_negatives(every, k)
    ]
    for seed in range(4):
        drawn = np.array(data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True)), dtype=np.int64)
        pool.observe(drawn)
        plain.waiting |= set(drawn.tolist())
        learner = table(seed)
        learner.token_budget = data.draw(st.sampled_from([None, 1, 7]))
        at_once = data.draw(st.integers(1, 4))

        def score(row: int, text: str, learner: TokenTable = learner) -> np.float32:
            return cosine(learner, queries[row], text)

        assert pool.rescore(learner, framed, framed, rows_at_once=at_once) == plain.rescore(score)
        numbers, owners = pool.chosen(drawn)
        expected = [
            (place, source.negative_offsets[row] + number)
            for place, row in enumerate(drawn.tolist())
            for number in plain.used[row]
        ]
        assert list(zip(owners.tolist(), numbers.tolist(), strict=True)) == expected
        # Negatives in use are distinct places of the row's own pool.
        for row in range(len(rows)):
            own = pool.chosen(np.array([row]))[0]
            low, high = source.negative_offsets[row : row + 2]
            assert len(set(own.tolist())) == len(own) == min(k, high - low)
            assert ((low <= own) & (own < high)).all()


def test_a_fallen_negative_makes_room_and_a_hard_one_stays() -> None:
    source = source_of(["胡子 长得", "passport"], [["向量", "搜索", "天气"], ["renew", "watch"]])
    pool = NegativePool(source, 1)
    both = np.array([0, 1])
    learner = table(0)
    scores = np.array([cosine(learner, "胡子 长得", "向量"), cosine(learner, "passport", "renew")])
    # The first row's negative was nearer at first by more than the factor, the second's by less.
    pool.observe(both, (scores + np.abs(scores) * [0.2, 0.1]).astype(np.float32))
    assert pool.rescore(learner, framed, framed) == 1
    assert pool.chosen(both)[0].tolist() == [1, 3]


def test_a_score_below_zero_that_has_not_fallen_costs_nothing() -> None:
    """1.15 x score is below a score below zero."""
    learner, others = table(0), [word for word in WORDS if word != "胡子"]
    below = [word for word in others if -0.8 < cosine(learner, "胡子", word) < -0.05]
    assert below
    source = source_of(["胡子"] * len(below), [[word, "天气"] for word in below])
    every = np.arange(len(below))
    pool = NegativePool(source, 1)
    for _ in range(2):
        pool.observe(every)
        assert pool.rescore(learner, framed, framed) == 0
    scores = pool.tensors()["first"].numpy()
    fallen = NegativePool(source, 1)
    fallen.observe(every, (scores + 0.2 * np.abs(scores)).astype(np.float32))
    assert fallen.rescore(learner, framed, framed) == len(below)


def test_what_is_still_hard_stays_however_much_it_fell() -> None:
    source = source_of(["胡子"], [["胡子 胡子", "向量"]])
    pool = NegativePool(source, 1)
    pool.observe(np.array([0]), np.array([5.0], dtype=np.float32))
    assert pool.rescore(table(0), framed, framed) == 0
    assert pool.chosen(np.array([0]))[0].tolist() == [0]


def test_scores_of_the_step_are_first_scores_only_once() -> None:
    source = source_of(["胡子"], [["向量", "搜索"]])
    pool = NegativePool(source, 1)
    pool.observe(np.array([0]), np.array([0.5], dtype=np.float32))
    pool.observe(np.array([0]), np.array([0.1], dtype=np.float32))
    assert pool.tensors()["first"].tolist() == [0.5]


def test_a_used_up_pool_keeps_what_it_has() -> None:
    source = source_of(["胡子", "renew"], [["向量"], []])
    pool = NegativePool(source, 3)
    pool.observe(np.array([0, 1]), np.array([9.0], dtype=np.float32))
    assert pool.rescore(table(1), framed, framed) == 0
    numbers, owners = pool.chosen(np.array([1, 0, 1]))
    assert (numbers.tolist(), owners.tolist()) == ([0], [1])


def test_only_drawn_rows_are_looked_at() -> None:
    source = source_of(["胡子", "passport"], [["向量", "搜索"], ["renew", "watch"]])
    pool = NegativePool(source, 1)
    pool.observe(np.array([0]))
    pool.rescore(table(0), framed, framed)
    first = pool.tensors()["first"]
    assert not torch.isnan(first[0]) and torch.isnan(first[1])
    assert not len(pool.tensors()["waiting"])


@given(steps=st.lists(st.lists(st.integers(0, 3), unique=True), max_size=4), k=st.integers(1, 3))
@settings(max_examples=30)
def test_a_restored_pool_goes_on_to_the_same_bits(steps: list[list[int]], k: int) -> None:
    pools = [["向量", "搜索", "天气", "怎么"], ["renew", "watch"], [], ["今天", "passport", "胡子"]]
    source = source_of(["胡子 长得", "passport renew", "watch", "天气"], pools)
    pool = NegativePool(source, k)
    for seed, rows in enumerate(steps):
        pool.observe(np.array(rows, dtype=np.int64))
        if seed % 2 == 0:
            pool.rescore(table(seed), framed, framed)
    saved = {name: tensor.clone() for name, tensor in pool.tensors().items()}
    other = NegativePool(source, k)
    other.restore(saved)
    for seed in range(10, 14):
        for each in (pool, other):
            each.observe(np.array([seed % 4, (seed + 1) % 4]))
        counts = [each.rescore(table(seed), framed, framed) for each in (pool, other)]
        assert counts[0] == counts[1]
    left, right = pool.tensors(), other.tensors()
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert tensor.dtype == right[name].dtype
        assert tensor.numpy().tobytes() == right[name].numpy().tobytes()


def rescored(world: World) -> dict[str, torch.Tensor]:
    others = [[other for other in WORDS if other != word] for word in WORDS]
    pool = NegativePool(source_of([f"胡子 {word}" for word in WORDS], others), 2)
    for seed in range(3):
        learner = table(seed)
        learner.token_budget = 5
        pool.observe(np.arange(len(WORDS)))
        pool.rescore(learner, framed, framed, world=world, rows_at_once=4)
    return pool.tensors()


def as_a_rank(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2
    )
    torch.save(rescored(World(rank, 2)), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_ranks_get_the_bits_of_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(as_a_rank, (tmp_path,), nprocs=2)
    alone = rescored(World())
    assert (alone["next"] > 2).any()
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        for name, tensor in alone.items():
            assert tensor.numpy().tobytes() == found[name].numpy().tobytes()


def test_a_transformer_is_asked_without_dropout() -> None:
    learner = open_learner("bert-zh", budget=40)
    learner.embedder.encoder.set_dropout(0.3, 0.3)
    tokenizer = BatchTokenizer(read_tokenizer(TINY / "bert-zh"))
    rows = [("胡子长得太快怎么办？", "How do I renew my passport?"), ("renew a passport", "今天天气怎么样")]
    sides = [column_of([row[side] for row in rows], tokenizer, 32) for side in range(2)]
    plain = Source.of("made", "qa", sides[0], sides[0])
    source = replace(plain, negatives=sides[1], negative_offsets=np.arange(3))
    pool = NegativePool(source, 1)
    pool.observe(np.arange(2))

    def with_specials(texts: Column) -> TokenBatch:
        return fit(texts.tokens, learner.frame, "cut").batch

    pool.rescore(learner, with_specials, with_specials)
    assert learner.embedder.training
    assert all(parameter.grad is None for parameter in learner.embedder.parameters())
    with learner.resting():
        one, other = (learner.embed(with_specials(side)) for side in sides)
    expected = torch.nn.functional.cosine_similarity(one, other)
    torch.testing.assert_close(pool.tensors()["first"], expected, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        dropped = torch.nn.functional.cosine_similarity(
            *(learner.embed(with_specials(side)) for side in sides)
        )
    assert not torch.allclose(pool.tensors()["first"], dropped, atol=1e-4)


def test_a_checkpoint_of_other_data_is_refused() -> None:
    pool = NegativePool(source_of(["胡子"], [["向量", "搜索"]]), 1)
    other = NegativePool(source_of(["胡子", "passport"], [["向量", "搜索"], []]), 1)
    with pytest.raises(InputError, match=r"source made: .* 1 negatives in use of 1 rows"):
        other.restore(pool.tensors())


def test_more_negatives_than_can_be_counted_are_refused() -> None:
    source = source_of(["胡子"], [["向量"] * 40_000])
    with pytest.raises(InputError, match="row 0 has 40,000 negatives"):
        NegativePool(source, 1)
