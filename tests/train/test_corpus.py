from __future__ import annotations

import json
import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from yuyi.errors import InputError, RecipeError
from yuyi.records import Pair, write_pairs
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.reading.corpus import Corpus, CorpusConfig, open_corpus, read_sources, teacher_source
from yuyi.train.reading.sources import EMPTY_KEY, Column, Source, text_key
from yuyi.train.reading.tokens import tokenize

from .tiny import is_mapped

TOKENIZER = Tokenizer.from_file(str(Path(__file__).parent.parent / "tiny" / "static" / "tokenizer.json"))
WORDS = ["胡子", "长得", "向量", "搜索", "passport", "renew", "watch", "今天", "天气", "怎么", "the", "ü"]
PAIRS = [
    Pair("faq", "qa", f"胡子 {n}", f"passport {n}", None, "zh-en", negatives=(f"向量 {n}", "天气")[: n % 3])
    for n in range(30)
]


def ids(text: str) -> list[int]:
    found: list[int] = TOKENIZER.encode(text, add_special_tokens=False).ids
    return found


def texts_of(column: Column) -> list[list[int]]:
    return [column.tokens.ids[start:end].tolist() for start, end in pairwise(column.tokens.offsets)]


def parquet(path: Path, *pairs: Pair) -> Path:
    write_pairs(path, pairs)
    return path


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def opened(files: list[Path], folder: Path, **config: Any) -> Corpus:
    return open_corpus(files, TOKENIZER, CorpusConfig(**config), folder)


def test_the_first_tokens_of_each_text() -> None:
    texts = ["胡子长得太快怎么办？" * 20, "", "passport", "How do I renew my passport? " * 50]
    batch = tokenize(texts, BatchTokenizer(TOKENIZER), 12)
    assert batch.lengths.tolist() == [12, 0, 1, 12]
    for number, text in enumerate(texts):
        found = batch.ids[batch.offsets[number] : batch.offsets[number + 1]].tolist()
        assert found == ids(text)[:12]


@settings(max_examples=60)
@given(
    texts=st.lists(
        st.tuples(
            st.lists(st.sampled_from([*WORDS, "！", "a" * 60, " " * 40, "\n"]), min_size=1, max_size=5),
            st.integers(1, 200),
            st.sampled_from(["", " "]),
        ),
        min_size=1,
        max_size=4,
    ),
    longest=st.integers(1, 12),
)
def test_a_long_text_has_the_first_tokens_of_the_whole(
    texts: list[tuple[list[str], int, str]], longest: int
) -> None:
    made = [joint.join(words * times) for words, times, joint in texts]
    batch = tokenize(made, BatchTokenizer(TOKENIZER), longest)
    for number, text in enumerate(made):
        found = batch.ids[batch.offsets[number] : batch.offsets[number + 1]].tolist()
        assert found == ids(text)[:longest]


def test_a_text_of_few_tokens_is_read_to_its_end() -> None:
    texts = ["天气", (" " * 300 + "胡子") * 40, "passport", (" " * 500 + "renew ") * 3 + "watch"]
    batch = tokenize(texts, BatchTokenizer(TOKENIZER), 12)
    parts = [batch.ids[start:end].tolist() for start, end in pairwise(batch.offsets)]
    assert parts == [ids(text)[:12] for text in texts]
    assert [len(part) for part in parts] == [len(ids("天气")), 12, 1, 4]


def test_more_texts_than_fit_a_block() -> None:
    batch = tokenize(["胡子", "passport watch"] * 15_000, BatchTokenizer(TOKENIZER), 4)
    assert len(batch) == 30_000
    assert batch.ids[-3:].tolist() == ids("胡子") + ids("passport watch")
    assert not len(tokenize([], BatchTokenizer(TOKENIZER), 4))


def test_a_source_for_each_collection_and_kind() -> None:
    pairs = [
        *(Pair("b", "qa", f"passport {number % 3}", "今天天气", None, "en-zh") for number in range(5)),
        *(Pair("a", "sts", "胡子", f"向量 {number}", float(number), "zh") for number in range(5)),
        *(Pair("b", "sts", "胡子", "向量", 0.5, "zh") for _ in range(4)),
        *(Pair("a", "classification", "胡子", "", 1.0, "zh") for _ in range(6)),
    ]
    sources = read_sources(pairs, TOKENIZER, longest=8, smallest=5)
    assert [(source.name, source.kind, len(source)) for source in sources] == [
        ("a", "classification", 6),
        ("a", "sts", 5),
        ("b", "qa", 5),
    ]
    classification, sts, qa = sources
    assert not len(classification.documents.tokens.ids)
    assert set(classification.documents.keys.tolist()) == {EMPTY_KEY}
    assert sts.labels.tolist() == [0, 1, 2, 3, 4]
    assert np.isnan(qa.labels).all()
    assert qa.queries.keys[[3, 4]].tolist() == qa.queries.keys[:2].tolist()
    assert len(set(qa.queries.keys.tolist())) == 3
    assert len(set(qa.documents.keys.tolist())) == 1
    assert sts.queries.keys[0] == classification.queries.keys[0] != qa.queries.keys[0]
    assert qa.documents.tokens.ids[: len(ids("今天天气"))].tolist() == ids("今天天气")
    assert all(source.origins is None for source in sources)


def test_what_a_teacher_was_asked_is_a_source() -> None:
    source = teacher_source(["passport", "", "胡子"], TOKENIZER, 8)
    assert (source.kind, len(source)) == ("teacher", 3)
    assert source.queries is source.documents
    assert np.isnan(source.labels).all()
    assert source.queries.tokens.lengths.tolist() == [1, 0, 1]


TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
ROWS = st.lists(
    st.builds(
        Pair,
        source=st.sampled_from(["问答", "faq"]),
        kind=st.sampled_from(["qa", "nli"]),
        text_a=TEXTS,
        text_b=TEXTS,
        label=st.none(),
        lang=st.sampled_from(["zh", "en", "en-zh"]),
        negatives=st.lists(TEXTS, max_size=3).map(tuple),
    ).filter(lambda pair: pair.text_b not in pair.negatives),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(files=st.lists(ROWS, min_size=1, max_size=3), longest=st.integers(1, 6))
def test_every_row_comes_back_as_it_was_written(files: list[list[Pair]], longest: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = [
            [replace(pair, label=2.0) if pair.kind == "nli" else pair for pair in pairs] for pairs in files
        ]
        paths = [parquet(folder / f"{number}.parquet", *pairs) for number, pairs in enumerate(files)]
        prompts = {"zh": "问：", "en": "query: "}
        corpus = opened(
            paths, folder / "cache", longest=longest, query_prompt=prompts, document_prompt="d: ", smallest=1
        )
        every = [(number, row, pair) for number, pairs in enumerate(files) for row, pair in enumerate(pairs)]
        names = sorted({(pair.source, pair.kind) for _, _, pair in every})
        assert [(source.name, source.kind) for source in corpus.sources] == names
        assert corpus.probes == []
        for source in corpus.sources:
            own = [each for each in every if (each[2].source, each[2].kind) == (source.name, source.kind)]
            pairs = [pair for _, _, pair in own]
            texts = [prompts[pair.lang[:2]] + pair.text_a for pair in pairs]
            assert texts_of(source.queries) == [ids(text)[:longest] for text in texts]
            assert texts_of(source.documents) == [ids("d: " + pair.text_b)[:longest] for pair in pairs]
            negatives = [text for pair in pairs for text in pair.negatives]
            assert texts_of(source.negatives) == [ids("d: " + text)[:longest] for text in negatives]
            assert np.diff(source.negative_offsets).tolist() == [len(pair.negatives) for pair in pairs]
            for column, written in (
                (source.queries, [pair.text_a for pair in pairs]),
                (source.documents, [pair.text_b for pair in pairs]),
                (source.negatives, negatives),
            ):
                assert column.keys.tolist() == [text_key(text) for text in written]
            assert np.isnan(source.labels).all() == (source.kind == "qa")
            shown = source.show(np.arange(len(own)))
            assert shown == [
                {
                    "file": str(paths[number]),
                    "row": row,
                    "text_a": pair.text_a,
                    "text_b": pair.text_b,
                    "negatives": list(pair.negatives),
                }
                for number, row, pair in own
            ]


def test_the_arrays_are_mapped_and_written_once(tmp_path: Path) -> None:
    path = parquet(tmp_path / "train.parquet", *PAIRS)
    read: list[int] = []
    first = open_corpus([path], TOKENIZER, CorpusConfig(), tmp_path / "cache", read.append).sources[0]
    assert sum(read) == len(PAIRS)
    second = open_corpus([path], TOKENIZER, CorpusConfig(), tmp_path / "cache", read.append).sources[0]
    assert sum(read) == len(PAIRS)
    for array in (first.queries.tokens.ids, first.negatives.keys, first.labels):
        assert is_mapped(array)
        assert type(array) is np.ndarray and not array.flags.writeable
    assert texts_of(first.queries) == texts_of(second.queries)
    [source] = read_sources(PAIRS, TOKENIZER, 512, smallest=1)
    for name in ("queries", "documents", "negatives"):
        assert texts_of(getattr(source, name)) == texts_of(getattr(first, name))
    assert [part.name for part in (tmp_path / "cache").iterdir() if part.name != ".lock"] == [
        part.name for part in (tmp_path / "cache").iterdir() if part.is_dir()
    ]


def test_what_decides_the_arrays_decides_their_folder(tmp_path: Path) -> None:
    path = parquet(tmp_path / "train.parquet", *PAIRS)
    folders: set[str] = set()

    def grows(tokenizer: Tokenizer = TOKENIZER, **config: Any) -> bool:
        before = len(folders)
        open_corpus([path], tokenizer, CorpusConfig(**config), tmp_path / "cache")
        folders.update(part.name for part in (tmp_path / "cache").iterdir() if part.is_dir())
        return len(folders) > before

    assert grows()
    assert not grows()
    assert grows(longest=7)
    assert grows(query_prompt="问：")
    assert grows(query_prompt={"zh": "问："})
    other = Tokenizer.from_str(TOKENIZER.to_str())
    other.add_tokens(["朋友们"])
    assert grows(other)
    padded = Tokenizer.from_str(TOKENIZER.to_str())
    padded.enable_padding()
    assert not grows(padded)
    parquet(path, *PAIRS[:-1])
    assert grows()


def test_damaged_arrays_are_made_again(tmp_path: Path) -> None:
    path = parquet(tmp_path / "train.parquet", *PAIRS)
    expected = texts_of(opened([path], tmp_path / "cache").sources[0].documents)
    [folder] = [part for part in (tmp_path / "cache").iterdir() if part.is_dir()]
    for damage in ("documents.ids.npy", "labels.npy", "arrays.json"):
        file = folder / damage
        file.write_bytes(file.read_bytes()[:-3])
        assert texts_of(opened([path], tmp_path / "cache").sources[0].documents) == expected
    (folder / "row.npy").unlink()
    assert opened([path], tmp_path / "cache").sources[0].show(np.array([4]))[0]["text_a"] == "胡子 4"


def test_many_that_ask_at_once_are_served_by_one(tmp_path: Path) -> None:
    path = parquet(tmp_path / "train.parquet", *PAIRS)
    read: list[int] = []

    def ask(number: int) -> list[list[int]]:
        own = Tokenizer.from_str(TOKENIZER.to_str())
        return texts_of(
            open_corpus([path], own, CorpusConfig(), tmp_path / "c", read.append).sources[0].queries
        )

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert sum(read) == len(PAIRS)
    assert all(each == found[0] for each in found)


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    path = parquet(tmp_path / "train.parquet", *PAIRS, replace(PAIRS[0], text_b=" "))
    with pytest.raises(InputError, match="row 30"):
        opened([path], tmp_path / "cache")
    assert [part.name for part in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "train.parquet", *PAIRS)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/cache: cannot be written"):
        opened([path], tmp_path / "file" / "cache")


def test_kinds_and_names_that_are_not_asked_for_are_left_out(tmp_path: Path) -> None:
    groups = (("a", "qa", None), ("b", "qa", None), ("b", "sts", 1.0))
    rows = [
        replace(pair, source=source, kind=kind, label=label)
        for pair in PAIRS[:3]
        for source, kind, label in groups
    ]
    path = parquet(tmp_path / "train.parquet", *rows)
    # A prompt is asked of wanted rows alone.
    corpus = opened([path], tmp_path / "cache", kinds=("qa",), names=("b",), query_prompt={"zh": "问："})
    assert [(source.name, source.kind) for source in corpus.sources] == [("b", "qa")]
    with pytest.raises(InputError, match="hold no 2 rows of one collection and kind"):
        opened([path], tmp_path / "cache", kinds=("nli",))


def test_one_text_with_a_label_gets_no_second_prompt(tmp_path: Path) -> None:
    rows = [Pair("点评", "classification", "天气 怎么", "", float(n % 2), "zh") for n in range(4)]
    path = parquet(tmp_path / "train.parquet", *rows)
    [source] = opened([path], tmp_path / "cache", query_prompt="分类：", document_prompt="d: ").sources
    assert texts_of(source.queries)[0] == ids("分类：天气 怎么")
    assert texts_of(source.documents) == [[]] * 4
    assert source.queries.keys[0] == text_key("天气 怎么")


def test_a_language_without_a_prompt_is_named(tmp_path: Path) -> None:
    rows = [*PAIRS[:2], replace(PAIRS[2], lang="en-zh")]
    path = parquet(tmp_path / "train.parquet", *rows)
    with pytest.raises(
        RecipeError, match=r"query_prompt: has prompts for zh, and .*row 2 is 'en'. Add query_"
    ):
        opened([path], tmp_path / "cache", query_prompt={"zh": "问："})
    with pytest.raises(RecipeError, match=r"row 0 is 'en'. Add document_prompt.en"):
        opened([path], tmp_path / "cache", document_prompt={"zh": "答："})


def rows_of(source: Source) -> list[tuple[list[int], list[int], list[list[int]]]]:
    negatives = texts_of(source.negatives)
    return [
        (query, document, negatives[start:end])
        for query, document, (start, end) in zip(
            texts_of(source.queries),
            texts_of(source.documents),
            pairwise(source.negative_offsets.tolist()),
            strict=True,
        )
    ]


def test_tuples_of_other_tools_are_read(tmp_path: Path) -> None:
    made = [
        jsonl(
            tmp_path / "tuples.jsonl",
            {"anchor": "胡子", "positive": "长得", "negative": "向量"},
            {"anchor": "watch", "positive": "passport", "negative": "the"},
        ),
        jsonl(
            tmp_path / "numbered.jsonl",
            {"anchor": "胡子", "positive": "搜索", **{f"negative_{n}": WORDS[n] for n in (10, 2, 1)}},
            {"anchor": "胡子", "positive": "天气", "negative_1": "renew"},
        ),
        jsonl(
            tmp_path / "flag.jsonl",
            {"query": "今天", "pos": ["天气", "怎么"], "neg": ["watch", "ü"], "prompt": "不看"},
            {"query": "renew", "pos": ["passport"], "neg": [], "lang": "en", "source": "own", "kind": "qa"},
            {"query": "renew", "pos": ["watch"], "lang": "en", "source": "own", "kind": "qa"},
        ),
    ]
    table = {"query": ["胡子", "the"], "positive": ["天气", "watch"], "negatives": [["向量"], []]}
    pq.write_table(pa.table(table), tmp_path / "table.parquet")
    corpus = opened([*made, tmp_path / "table.parquet"], tmp_path / "cache")
    found = {(source.name, source.kind): rows_of(source) for source in corpus.sources}

    def written(*rows: tuple[str, str, list[str]]) -> list[tuple[list[int], list[int], list[list[int]]]]:
        return [
            (ids(query), ids(document), [ids(text) for text in against]) for query, document, against in rows
        ]

    assert found == {
        ("tuples", "pair"): written(("胡子", "长得", ["向量"]), ("watch", "passport", ["the"])),
        ("numbered", "pair"): written(
            ("胡子", "搜索", [WORDS[1], WORDS[2], WORDS[10]]), ("胡子", "天气", ["renew"])
        ),
        ("flag", "pair"): written(("今天", "天气", ["watch", "ü"]), ("今天", "怎么", ["watch", "ü"])),
        ("own", "qa"): written(("renew", "passport", []), ("renew", "watch", [])),
        ("table", "pair"): written(("胡子", "天气", ["向量"]), ("the", "watch", [])),
    }
    flag = next(source for source in corpus.sources if source.name == "flag")
    assert [(row["row"], row["text_b"]) for row in flag.show(np.array([1, 0]))] == [(1, "怎么"), (1, "天气")]


def test_scores_of_a_teacher(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text_a": ["胡子", "天气", "watch"],
            "text_b": ["长得", "怎么", "the"],
            "negatives": [["向量", "搜索"], [], ["renew"]],
            "scores": [[0.9, 0.1, 0.2], [0.8], [0.7, 0.3]],
        }
    )
    pq.write_table(table, tmp_path / "scored.parquet")
    flag = jsonl(
        tmp_path / "flag.jsonl",
        {"query": "胡子", "pos": ["长得", "天气"], "neg": ["watch"], "pos_scores": [2, 3], "neg_scores": [1]},
    )
    single = jsonl(
        tmp_path / "single.jsonl", *({"text_a": "胡子", "text_b": "长得", "score": n / 4} for n in range(3))
    )
    sources = opened([tmp_path / "scored.parquet", flag, single], tmp_path / "cache").sources
    found = {source.name: source for source in sources}
    np.testing.assert_array_equal(
        found["scored"].scores, np.array([0.9, 0.8, 0.7, 0.1, 0.2, 0.3], dtype=np.float32)
    )
    assert found["flag"].scores.tolist() == [2, 3, 1, 1]
    assert found["single"].scores.tolist() == [0, 0.25, 0.5]


def qa(**cells: Any) -> dict[str, Any]:
    return {"source": "s", "kind": "qa", "text_a": "胡子", "text_b": "长得", "lang": "zh", **cells}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"holds no rows, so there is nothing to train on. Name another file"),
        ([qa()], r"hold no 2 rows of one collection and kind that may be learned from"),
        ([qa(), qa(text_b="")], r"line 2: its text_b is '', and rows of kind 'qa' need a positive. Drop"),
        ([qa(), qa(text_b=None)], r"line 2: its text_b is ''"),
        ([qa(), qa(text_a=" \n")], r"line 2: its text_a is ' \\n'. Drop the row"),
        ([{"query": "胡子", "pos": []}], r"line 1: has no positive, so '胡子' has nothing to go with"),
        ([qa(label=1), qa()], r"line 2: has no label, and the rows of s \(qa\) before it have one"),
        ([qa(), qa(label=0.5)], r"line 2: has a label, and the rows of s \(qa\) before it have none"),
        ([qa(label=1), qa(label=math.nan)], r"line 2: has no label, and the rows of s"),
        ([qa(kind="classification", text_b="")], r"has no label, and rows of kind 'classification' need one"),
        ([qa(label="蕴含")], r"line 1: label '蕴含' is unknown; a label is a finite number"),
        ([qa(label=math.inf)], r"line 1: label inf is unknown"),
        ([qa(negatives=["向量", 3])], r"line 1: has 3 as a negative, which is no text"),
        ([qa(negatives=["向量", None])], r"line 1: has None as a negative, which is no text"),
        ([qa(negatives=["向量"], scores=[1.0])], r"has 1 scores for a document and 1 negatives. Give 2: the"),
        ([qa(negatives=["向量"], score=1.0)], r"has 1 scores for a document and 1 negatives"),
        ([qa(scores=[0.1, 0.2])], r"has 2 scores for a document and 0 negatives. Give 1"),
        ([qa(scores=[None])], r"line 1: score None is no finite number"),
        ([qa(scores=[math.nan])], r"line 1: score nan is no finite number"),
        ([qa(score=1), qa()], r"line 2: has no score, and the rows of s \(qa\) before it have one"),
        ([{"query": "a", "pos": ["b", "c"], "pos_scores": [1]}], r"has 1 pos_scores for 2 positives"),
        (
            [{"title": "胡子", "text_b": "长得"}],
            r"line 1: has no text_a or anchor or query; it has title, text_b",
        ),
        (
            [{"text_a": "胡子", "body": "长得"}],
            r"line 1: has no text_b or positive or pos; it has text_a, body",
        ),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        opened([jsonl(tmp_path / "rows.jsonl", *rows)], tmp_path / "cache")


def test_bad_files_are_named(tmp_path: Path) -> None:
    parquet(tmp_path / "empty.parquet")
    with pytest.raises(InputError, match=r"empty.parquet: holds no rows"):
        opened([tmp_path / "empty.parquet"], tmp_path / "cache")
    (tmp_path / "rows.csv").write_text("text_a,text_b\n")
    with pytest.raises(InputError, match=r"rows.csv: not a file of pairs. Name one that ends in .parquet"):
        opened([tmp_path / "rows.csv"], tmp_path / "cache")
    with pytest.raises(InputError, match=r"absent.parquet: no such file"):
        opened([tmp_path / "absent.parquet"], tmp_path / "cache")
    pq.write_table(pa.table({"title": ["胡子"], "text": ["长得"]}), tmp_path / "documents.parquet")
    with pytest.raises(InputError, match=r"has no text_a or anchor or query; it has title, text"):
        opened([tmp_path / "documents.parquet"], tmp_path / "cache")
    path = parquet(tmp_path / "nan.parquet", *(replace(pair, label=label) for pair, label in zip(
        PAIRS, (1.0, 0.0, math.nan), strict=False
    )))  # fmt: skip
    with pytest.raises(
        InputError, match=r"nan.parquet: row 2: has no label, and the rows of faq \(qa\) before"
    ):
        opened([path], tmp_path / "cache")


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(0, 30)), min_size=30, max_size=90
    ),
    hold_out=st.integers(1, 6),
    order=st.randoms(use_true_random=False),
)
def test_held_out_rows_share_nothing_with_training(
    rows: list[tuple[str, int, int]], hold_out: int, order: Any
) -> None:
    pairs = [Pair(source, "qa", f"胡子 {one}", f"watch {other}", None, "zh") for source, one, other in rows]
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            corpus = opened([parquet(folder / "1.parquet", *pairs)], folder / "c", hold_out=hold_out)
        except InputError as error:
            assert "may be learned from" in str(error)
            return

        def held(corpus: Corpus) -> list[list[tuple[int, int]]]:
            return [
                sorted(zip(source.queries.keys.tolist(), source.documents.keys.tolist(), strict=True))
                for source in corpus.probes
            ]

        texts: set[int] = set()
        for source in corpus.probes:
            distinct = {(pair.text_a, pair.text_b) for pair in pairs if pair.source == source.name}
            assert len(source) == min(hold_out, len(distinct) // 10) >= 1
            assert len(set(held(corpus)[corpus.probes.index(source)])) == len(source)
            times = Counter(pair.text_b for pair in pairs)
            common = {text_key(text) for text, rows in times.items() if rows > 10}
            texts |= {*source.queries.keys.tolist(), *(set(source.documents.keys.tolist()) - common)}
        learned = sum(len(source) for source in corpus.sources)
        for source in corpus.sources:
            assert texts.isdisjoint(source.queries.keys.tolist())
            assert texts.isdisjoint(source.documents.keys.tolist())
        # Of the rows that are neither, each is like a held-out one, or its source is left too small.
        free = [p for p in pairs if texts.isdisjoint({text_key(p.text_a), text_key(p.text_b)})]
        lone = [p for p in free if sum(other.source == p.source for other in free) < 2]
        assert learned == len(free) - len(lone)
        order.shuffle(pairs)
        if learned:
            again = opened([parquet(folder / "2.parquet", *pairs)], folder / "c", hold_out=hold_out)
            assert held(again) == held(corpus)


def test_single_texts_are_held_out_by_themselves(tmp_path: Path) -> None:
    rows = [Pair("点评", "classification", f"天气 {n}", "", float(n % 2), "zh") for n in range(40)]
    corpus = opened([parquet(tmp_path / "a.parquet", *rows)], tmp_path / "cache", hold_out=3)
    [probe], [source] = corpus.probes, corpus.sources
    assert (len(probe), len(source)) == (3, 37)
    assert probe.show(np.arange(3))[0]["text_a"].startswith("天气")
