"""Scores: equal to a direct computation, offline, equal every time, refused where they mean nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from yuyi.errors import InputError
from yuyi.evaluate import Report, evaluate
from yuyi.records import read_rows

from .bigrams import BigramEncoder
from .sets import THINGS, write

MAIN = {
    "similar": "spearman",
    "same": "similarity_ap",
    "topic": "accuracy",
    "translated": "accuracy",
    "found": "ndcg_at_10",
}


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return evaluate(BigramEncoder(), folder, dims=[32, 64])


def test_every_set_is_scored_at_every_dimension(report: Report) -> None:
    assert {(score.set, score.metric) for score in report.scores} == set(MAIN.items())
    assert {(score.set, score.dim) for score in report.scores} == {
        (name, dim) for name in MAIN for dim in (64, 32)
    }
    assert report.model == {"name": "bigrams", "fingerprint": "b16", "dim": 64}
    assert set(report.data) >= {"similar.parquet", "found.qrels.parquet"}


def test_scores_follow_the_meaning_of_the_sets(report: Report) -> None:
    values = report.values()
    assert values["found"] == pytest.approx(100, abs=0.01)
    assert values["translated"] == pytest.approx(100, abs=0.01)
    assert 50 < values["similar"] < 100
    assert values["topic"] > 90


def test_spearman_is_that_of_scipy(folder: Path, report: Report) -> None:
    rows = list(read_rows(folder / "similar.parquet", ("sentence1", "sentence2", "score")))
    for dim in (64, 32):
        left, right = (
            BigramEncoder().encode_document([row[side] for row in rows])[:, :dim].astype(np.float64)
            for side in ("sentence1", "sentence2")
        )
        cosines = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
        expected = spearmanr(cosines.round(6), [row["score"] for row in rows])[0]
        assert report.values(dim)["similar"] == pytest.approx(100 * expected, abs=0.01)


def test_ndcg_is_the_formula(folder: Path) -> None:
    encoder = BigramEncoder(3)  # small enough to make mistakes
    queries, corpus = (
        list(read_rows(folder / f"found.{part}.parquet", ("id", "text"))) for part in ("queries", "corpus")
    )
    scores = encoder.encode_query([row["text"] for row in queries]) @ (
        encoder.encode_document([row["text"] for row in corpus]).T
    )
    ranks = (scores > np.diag(scores)[:, None] + 1e-6).sum(1)
    expected = (1 / np.log2(ranks + 2)).mean()
    assert 0 < expected < 1
    value = evaluate(encoder, folder, ["found"]).values()["found"]
    assert value == pytest.approx(100 * expected, abs=0.01)


def test_two_runs_agree(folder: Path, report: Report) -> None:
    again = evaluate(BigramEncoder(), folder, dims=[64, 32])
    assert again.scores == report.scores
    assert again.data == report.data


def test_cut_vectors_are_those_of_a_smaller_model(folder: Path, report: Report) -> None:
    class Halved(BigramEncoder):
        def _encode(self, inputs: Any) -> Any:
            self.dim = 64
            vectors = super()._encode(inputs)[:, :32]
            self.dim = 32
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    halved = evaluate(Halved(32), folder, ["similar", "found"]).values()
    for name, value in halved.items():
        assert value == pytest.approx(report.values(32)[name], abs=0.01)


def test_queries_and_documents_go_their_own_ways_and_once(folder: Path) -> None:
    encoder = BigramEncoder()
    evaluate(encoder, folder, ["found"], dims=[64, 32, 16])
    assert sorted(encoder.calls) == [("document", 10), ("query", 10)]
    encoder = BigramEncoder()
    evaluate(encoder, folder, ["similar"])
    assert sum(count for _, count in encoder.calls) == len(THINGS)


def test_the_last_bit_of_a_vector_moves_nothing(folder: Path, tmp_path: Path) -> None:
    class Letters(BigramEncoder):
        """Order-free, so many texts are equal but for the noise, which stands for another machine."""

        noise = np.random.default_rng(0)

        def _encode(self, inputs: Any) -> Any:
            vectors = super()._encode("".join(sorted(text)) for text in inputs)
            return (vectors * (1 + self.noise.uniform(-1e-7, 1e-7, vectors.shape))).astype(np.float32)

    rows = [
        {
            "sentence1": left,
            "sentence2": (right * 2)[cut : cut + len(right)],
            "score": float(left == right) + cut / 9,
        }
        for left in THINGS
        for right in THINGS
        for cut in range(4)
    ]
    write(tmp_path / "turned.parquet", rows)
    first, second = (evaluate(Letters(), tmp_path).scores[0] for _ in range(2))
    assert first.value == pytest.approx(second.value, abs=1e-4)
    assert (
        first.also["cosine_spearman"] != second.also["cosine_spearman"]
    )  # the noise is felt where nothing ties


def test_report_as_json_and_markdown(report: Report) -> None:
    loaded = json.loads(report.to_json())
    assert loaded["settings"] == {"seed": 42, "samples_per_label": 32, "n_experiments": 10}
    assert set(loaded["versions"]) == {"yuyi", "mteb", "numpy", "scikit-learn", "python"}
    assert loaded["scores"][0]["value"] == report.scores[0].value
    lines = report.to_markdown().splitlines()
    assert lines[0] == "| set | task | metric | 64 | 32 |"
    assert len(lines) == 2 + len(MAIN)
    assert f"| found | Retrieval | ndcg_at_10 | {report.values()['found']:.2f} |" in lines[2]


def test_progress_is_told_before_each_set(folder: Path, encoder: BigramEncoder) -> None:
    told: list[tuple[str, int, int]] = []
    evaluate(encoder, folder, ["similar", "translated"], on_set=lambda *where: told.append(where))
    assert told == [("similar", 0, 2), ("translated", 1, 2)]


def test_unknown_set_and_impossible_dimension(folder: Path, encoder: BigramEncoder) -> None:
    with pytest.raises(InputError, match=r"STS99: no such set in .* It has found, same"):
        evaluate(encoder, folder, ["STS99"])
    with pytest.raises(InputError, match="dimension 65: the model gives 64"):
        evaluate(encoder, folder, dims=[65])


TWO = {"sentence1": "a", "sentence2": "b"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{**TWO, "score": 1.0}] * 3, "score has 1 different values"),
        ([{**TWO, "score": 1.0}, {**TWO, "score": None}], "row 1 has score None, not a number"),
        ([{**TWO, "score": "high"}, {**TWO, "score": "low"}], "row 0 has score 'high', not a number"),
        ([{**TWO, "score": 1.0}, {**TWO, "score": float("nan")}], "row 1 has score nan, not a number"),
        ([{**TWO, "label": 2}, {**TWO, "label": 1}], "label 2; a pair is 1"),
        ([TWO, {"sentence1": None, "sentence2": "b"}], "row 1 has sentence1 None, not text"),
        ([{"text": "a", "label": 1, "split": "dev"}] * 2, "split 'dev'; known are train and test"),
        ([{"text": "a", "label": 1, "split": "train"}] * 2, "no row has the split test"),
        ([{"text": "a", "label": 1, "split": s} for s in ("train", "test")], "has 1 different values"),
    ],
)
def test_rows_that_cannot_be_scored(
    tmp_path: Path, encoder: BigramEncoder, rows: list[dict[str, Any]], message: str
) -> None:
    write(tmp_path / "bad.parquet", rows)
    with pytest.raises(InputError, match=f"bad.parquet: .*{message}"):
        evaluate(encoder, tmp_path)


@pytest.mark.parametrize(
    ("judgment", "message"),
    [
        ({"corpus_id": "d9"}, "corpus_id 'd9' is not in x.corpus.parquet"),
        ({"query_id": "q9"}, "query_id 'q9' is not in x.queries.parquet"),
        ({"score": 0.5}, "relevance is a whole number"),
    ],
)
def test_judgments_that_cannot_be_scored(
    tmp_path: Path, encoder: BigramEncoder, judgment: dict[str, Any], message: str
) -> None:
    write(tmp_path / "x.queries.parquet", [{"id": "q", "text": "t"}])
    write(tmp_path / "x.corpus.parquet", [{"id": "d", "text": "t"}])
    write(tmp_path / "x.qrels.parquet", [{"query_id": "q", "corpus_id": "d", "score": 1.0} | judgment])
    with pytest.raises(InputError, match=f"x.qrels.parquet: .*{message}"):
        evaluate(encoder, tmp_path)


def test_model_that_tells_nothing_apart_is_refused(folder: Path) -> None:
    class Zero(BigramEncoder):
        def _encode(self, inputs: Any) -> Any:
            return super()._encode(inputs) * 0

    with pytest.raises(InputError, match="similar: spearman has no value"):
        evaluate(Zero(), folder, ["similar"])


def test_values_at_a_dimension_that_is_not_there(report: Report) -> None:
    assert report.values(7) == {}
    assert replace(report, scores=report.scores[:1]).values().keys() == {report.scores[0].set}


OFFLINE = """
import os, socket, sys
from pathlib import Path

def refuse(*where):
    raise SystemExit(f"network touched: {where}")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
sys.path.insert(0, sys.argv[1])
names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "MTEB_CACHE")
before = [os.environ.get(name) for name in names]
from evaluate.bigrams import BigramEncoder
from yuyi.evaluate import evaluate
heavy = {"mteb", "torch", "pyarrow"} & set(sys.modules)
assert not heavy, heavy
report = evaluate(BigramEncoder(), Path(sys.argv[2]))
assert [os.environ.get(name) for name in names] == before
assert set(report.values()) == {"found", "same", "similar", "topic", "translated"}
"""


def test_no_network_no_files_at_home_and_a_light_import(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    names = ("MTEB_CACHE", "HF_HOME", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-c", OFFLINE, str(Path(__file__).parent.parent), str(folder)]
    result = subprocess.run(command, env={**environment, "HOME": str(home)}, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert [path for path in home.rglob("*") if path.is_file()] == []
