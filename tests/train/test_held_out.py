"""Which rows are held out, and what goes with them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from yuyi.errors import InputError
from yuyi.records import Pair, write_pairs
from yuyi.train.reading.corpus import Corpus, CorpusConfig, Given, open_corpus, open_held_out
from yuyi.train.reading.held_out import choose_held_out
from yuyi.train.reading.sources import text_key

TOKENIZER = Tokenizer.from_file(str(Path(__file__).parent.parent / "tiny" / "static" / "tokenizer.json"))


def opened(folder: Path, pairs: list[Pair], **config: Any) -> Corpus:
    write_pairs(folder / "pairs.parquet", pairs)
    return open_corpus([folder / "pairs.parquet"], TOKENIZER, CorpusConfig(**config), folder / "c")


def test_rows_of_a_topic_share_the_names_of_their_labels(tmp_path: Path) -> None:
    topics = ("体育", "音乐", "财经")
    pairs = [
        Pair("新闻", kind, f"{kind} 新闻 {n}", topics[n % 3], float(n % 3), "zh")
        for kind in ("classification", "clustering")
        for n in range(3_000)
    ]
    corpus = opened(tmp_path, pairs, hold_out=100)
    assert [(source.kind, len(source)) for source in (*corpus.sources, *corpus.probes)] == [
        ("classification", 2_900),
        ("clustering", 2_900),
        ("classification", 100),
        ("clustering", 100),
    ]
    assert corpus.left_out == {}


def test_a_common_answer_is_not_held_out_with_its_rows(tmp_path: Path) -> None:
    pairs = [
        Pair("问答", "qa", f"问题 {n}", "不知道" if n % 2 else f"答案 {n // 6}", None, "zh")
        for n in range(4_000)
    ]
    corpus = opened(tmp_path, pairs, hold_out=100)
    [source], [probe] = corpus.sources, corpus.probes
    own = set(probe.documents.keys.tolist()) - {text_key("不知道")}
    # Each other answer stands in three rows, which go together.
    kept_out = sum(text_key(pair.text_b) in own for pair in pairs)
    held = len(probe) - int((probe.documents.keys == text_key("不知道")).sum())
    assert 0 < held < 100 == len(probe)
    assert corpus.left_out == {("问答", "qa"): kept_out - held}
    assert len(source) == 4_000 - 100 - (kept_out - held) > 3_700
    assert own.isdisjoint(source.documents.keys.tolist())


@pytest.mark.parametrize(("times", "left"), [(10, 0), (11, 11)])
def test_common_is_what_stands_in_more_than_ten_rows(tmp_path: Path, times: int, left: int) -> None:
    pairs = [Pair("a", "qa", f"query {n}", f"answer {n // times}", None, "en") for n in range(40 * times)]
    corpus = opened(tmp_path, pairs, hold_out=1)
    [source], [probe] = corpus.sources, corpus.probes
    [key] = probe.documents.keys.tolist()
    assert int((source.documents.keys == key).sum()) == max(0, left - 1)


def test_a_tenth_of_the_distinct_pairs_at_most(tmp_path: Path) -> None:
    pairs = [Pair("一", "qa", f"问 {n % 10}", f"答 {n % 10}", None, "zh") for n in range(1_000)]
    corpus = opened(tmp_path, pairs, hold_out=100)
    assert (len(corpus.probes[0]), len(corpus.sources[0])) == (1, 900)
    assert corpus.left_out == {("一", "qa"): 99}


def test_a_source_of_which_most_would_go_is_refused(tmp_path: Path) -> None:
    pairs = [Pair("faq", "relevance", f"query {n % 12}", f"document {n}", 1.0, "en") for n in range(600)]
    with pytest.raises(
        InputError, match=r"faq \(relevance\): 5\d\d of 600 rows have a text of a held-out row, so most"
    ):
        opened(tmp_path, pairs, hold_out=60)
    assert len(opened(tmp_path, pairs, hold_out=3).sources[0]) >= 300


def test_a_small_source_that_is_mostly_held_out_stops_nothing(tmp_path: Path) -> None:
    pairs = [Pair("faq", "qa", f"胡子 {n}", f"watch {n}", None, "zh") for n in range(400)]
    pairs += [Pair("tips", "qa", "今天", f"天气 {n}", None, "zh") for n in range(20)]
    corpus = opened(tmp_path, pairs, hold_out=40)
    assert {source.name: len(source) for source in corpus.sources} == {"faq": 360}
    assert corpus.left_out["tips", "qa"] > 10


def test_a_large_source_is_not_lost_silently(tmp_path: Path) -> None:
    pairs = [Pair("faq", "qa", f"胡子 {n}", f"watch {n}", None, "zh") for n in range(3_000)]
    pairs += [Pair("tips", "qa", f"今天 {n % 9}", f"天气 {n}", None, "zh") for n in range(1_200)]
    with pytest.raises(
        InputError, match=r"tips \(qa\): 1,\d\d\d of 1,200 rows have a text of a held-out row"
    ):
        opened(tmp_path, pairs, hold_out=40)
    few = opened(tmp_path, pairs[:3_050], hold_out=40)
    assert few.left_out["tips", "qa"] > 10
    assert len(opened(tmp_path, pairs[:3_050], hold_out=40, names=("tips",)).sources[0]) < 40


def test_negatives_that_are_held_out_are_dropped_with_their_scores(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, each = 200, 4
    numbers = [[(n + shift) % count for shift in (1, 40, 90, 150)] for n in range(count)]
    table = {
        "text_a": [f"胡子 {n}" for n in range(count)],
        "text_b": [f"watch {n}" for n in range(count)],
        "negatives": [[f"watch {other}" for other in own] for own in numbers],
        "scores": [[float(1_000 + n), *map(float, own)] for n, own in enumerate(numbers)],
    }
    pq.write_table(pa.table(table), tmp_path / "scored.parquet")
    config = CorpusConfig(hold_out=20)
    corpus = open_corpus([tmp_path / "scored.parquet"], TOKENIZER, config, tmp_path / "c")
    [source], [probe] = corpus.sources, corpus.probes
    held = set(probe.documents.keys.tolist())
    assert len(held) == 20 and len(probe.negatives) == 20 * each
    assert held.isdisjoint(source.negatives.keys.tolist())
    # What is left is in its place: the score of a text is its number.
    number = {text_key(f"watch {n}"): n for n in range(count)}
    owners = np.repeat(np.arange(len(source)), np.diff(source.negative_offsets))
    assert source.scores[len(source) :].tolist() == [number[key] for key in source.negatives.keys.tolist()]
    assert source.scores[: len(source)].tolist() == [
        1_000 + number[key] for key in source.documents.keys.tolist()
    ]
    for row, (start, end) in enumerate(pairwise(source.negative_offsets.tolist())):
        own = numbers[number[int(source.documents.keys[row])]]
        expected = [other for other in own if text_key(f"watch {other}") not in held]
        assert [number[key] for key in source.negatives.keys[start:end].tolist()] == expected
    assert len(owners) == len(source.negatives) < len(source) * each


def test_files_with_a_prefix_are_sources_of_their_own_and_keep_out_of_the_others(tmp_path: Path) -> None:
    pairs = [Pair("faq", "qa", f"胡子 {n}", f"watch {n}", None, "zh") for n in range(300)]
    new, old = tmp_path / "new.parquet", tmp_path / "old.parquet"
    write_pairs(new, pairs)
    write_pairs(old, [*pairs, *(Pair("faq", "qa", f"天气 {n}", f"the {n}", None, "zh") for n in range(300))])
    given = [Given(), Given(prefix="old: ")]
    corpus = open_corpus([new, old], TOKENIZER, CorpusConfig(hold_out=30), tmp_path / "c", given=given)
    assert [source.name for source in (*corpus.sources, *corpus.probes)] == ["faq", "old: faq"] * 2
    held = {key for probe in corpus.probes for key in probe.queries.keys.tolist()}
    assert all(held.isdisjoint(source.queries.keys.tolist()) for source in corpus.sources)
    assert corpus.sources[1].show(np.array([0]))[0]["file"] == str(old)


def test_what_is_held_out_does_not_hang_on_what_is_taken(tmp_path: Path) -> None:
    pairs = [
        Pair("a", kind, f"胡子 {n}", f"{kind} {n}", label, "zh")
        for kind, label in (("qa", None), ("sts", 1.0))
        for n in range(100)
    ]
    whole = opened(tmp_path, pairs, hold_out=5)
    part = opened(tmp_path, pairs, hold_out=5, kinds=("qa",), query_prompt="问：")
    assert part.probes[0].queries.keys.tolist() == whole.probes[0].queries.keys.tolist()
    assert part.sources[0].queries.keys.tolist() == whole.sources[0].queries.keys.tolist()
    assert part.left_out == {("a", "qa"): whole.left_out["a", "qa"]}
    # They are chosen once.
    assert len(list((tmp_path / "c").glob("held-out-*.json"))) == 1
    [file] = (tmp_path / "c").glob("held-out-*.json")
    chosen, before = open_held_out([tmp_path / "pairs.parquet"], 5, tmp_path / "c"), file.read_bytes()
    file.write_bytes(before[:-9])
    again = open_held_out([tmp_path / "pairs.parquet"], 5, tmp_path / "c")
    assert file.read_bytes() == before
    assert again.forbidden.tolist() == chosen.forbidden.tolist()


KEYS = st.lists(st.tuples(st.integers(0, 9), st.integers(-5, 5)), min_size=1, max_size=80)


@given(rows=KEYS, most=st.integers(1, 4), cut=st.integers(0, 80))
def test_blocks_change_nothing(rows: list[tuple[int, int]], most: int, cut: int) -> None:
    def keyed(part: list[tuple[int, int]]) -> Any:
        queries, documents = np.array(part, dtype=np.int64).reshape(-1, 2).T.copy()
        return ("a", "qa"), queries, documents

    whole = choose_held_out(lambda: [keyed(rows)], most)
    parts = choose_held_out(lambda: [keyed(rows[:cut]), keyed(rows[cut:])], most)
    assert whole.rows["a", "qa"].tolist() == parts.rows["a", "qa"].tolist()
    assert whole.forbidden.tolist() == parts.forbidden.tolist()
    assert len(whole.rows["a", "qa"]) == min(most, len(set(rows)) // 10)
    held, free = whole.split(*keyed(rows), set())
    assert held.sum() == len(whole.rows["a", "qa"])
    for row, (query, document) in enumerate(rows):
        forbidden = {query, document} & set(whole.forbidden.tolist())
        assert free[row] == (not forbidden)
