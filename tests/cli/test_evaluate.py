from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .conftest import TINY

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder `eval` with one set, `greetings`."""
    folder = tmp_path / "eval"
    folder.mkdir()
    words = ["你好", "世界", "hello", "world", "你好世界"]
    rows = [
        {"sentence1": left, "sentence2": right, "score": float(len(set(left) & set(right)))}
        for left in words
        for right in words
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "greetings.parquet")
    return folder


def test_table_fits_and_the_report_is_written(yuyi: Run, data: Path, tmp_path: Path) -> None:
    done = yuyi("evaluate", TINY, "--data", data, "--dim", "32,16,8", "--type", "STS", "-o", "scores.md")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["dimension", "32", "16", "8"]
    assert "tiny-static · " in lines[-1]
    (shown,) = (line.split()[1:] for line in lines if "greetings" in line)
    assert len(shown) == 3
    report = (tmp_path / "scores.md").read_text("utf-8")
    assert f"| greetings | Spearman | {' | '.join(shown)} |" in report


def test_a_sweep_is_one_command_and_is_resumed(yuyi: Run, data: Path, tmp_path: Path) -> None:
    options = ("evaluate", TINY.parent / "bert-zh", "--data", data, "--device", "cpu", "--results", "results")
    more = ("--max-length", "8,16", "--dim", "32,16", "--query-prompt", "问：", "--vectors", "vectors")
    first = yuyi(*options, *more, "--json", "-o", "scores.html")
    assert first.code == 0, first.err
    results = [result["yuyi"] for result in json.loads(first.out)]
    settings = [result["setting"] for result in results]
    assert [(one["max_length"], one["dim"]) for one in settings] == [(8, 32), (8, 16), (16, 32), (16, 16)]
    assert {one["dtype"] for one in settings} == {"float32"}
    assert {one["prompts"]["query"] for one in settings} == {"问："}
    assert len(list((tmp_path / "results").rglob("greetings.json"))) == 4
    assert len(list((tmp_path / "vectors").glob("*.sqlite"))) == 2
    assert f"{100 * results[0]['main_score']:.2f}" in (tmp_path / "scores.html").read_text("utf-8")
    again = yuyi(*options, *more, "--json", "-o", "scores.json")
    assert again.out == first.out == (tmp_path / "scores.json").read_text("utf-8")


def test_types_and_languages_choose_among_the_sets_of_a_folder(yuyi: Run, data: Path) -> None:
    options = ("evaluate", TINY, "--data", data)
    assert "eval: has no set of Retrieval" in yuyi(*options, "--type", "Retrieval").error
    assert "has no set of STS and deu-Latn" in yuyi(*options, "--type", "STS", "--language", "deu-Latn").error


def test_what_is_finished_is_shown_when_a_later_task_fails(yuyi: Run, data: Path, tmp_path: Path) -> None:
    rows = [{"sentence1": "a", "sentence2": "b", "score": 1.0}] * 3
    pq.write_table(pa.Table.from_pylist(rows), data / "later.parquet")
    done = yuyi("evaluate", TINY, "--data", data, "--results", "results", "-o", "scores.json")
    assert done.code == 2
    assert "greetings" in done.out
    assert done.err.startswith("error: later: ") and done.err.count("\n") == 1
    assert len(list((tmp_path / "results").rglob("greetings.json"))) == 1
    assert not (tmp_path / "scores.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dim", "wide"], "--dim wide: not a list of whole numbers"),
        (["--dim", "999"], "dimension 999: the model gives 32"),
        (["--max-length", "0"], "max_tokens=0: not a length"),
        (["--dtype", "float32"], "dtype='float32': static is a token table"),
        (["--overflow", "fold"], "overflow fold: no such choice"),
        (["--task", "STS99"], "STS99: no such set"),
        (["-o", "scores.txt"], "scores.txt: a report ends in .json, .md or .html"),
        (["-o", "nowhere/scores.json"], "nowhere/scores.json: cannot be written"),
        (["--suite", "MTEB(eng, v2)"], "--suite MTEB(eng, v2) and --data "),
        (["--endpoint", "http://127.0.0.1:9/v1", "--model", "m"], f"{TINY} and --endpoint"),
    ],
)
def test_misuse_is_one_line_and_leaves_nothing(
    yuyi: Run, data: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    done = yuyi("evaluate", TINY, "--data", data, *options)
    assert done.error.startswith(message)
    assert list(tmp_path.iterdir()) == [data]


def test_nothing_to_score_and_nothing_to_ask(yuyi: Run, data: Path) -> None:
    assert yuyi("evaluate", TINY).error.startswith("No tasks: give --data FOLDER")
    assert "--all-rows: for test sets" in yuyi("evaluate", TINY, "--task", "STS13", "--all-rows").error
    assert yuyi("evaluate", TINY, "--suite", "MTEB(xyz)").error.startswith("MTEB(xyz): no such suite")
    server = ("evaluate", "--data", data, "--endpoint", "http://127.0.0.1:9/v1")
    assert "which model? Name it with --model" in yuyi(*server).error
    assert yuyi("evaluate", "--data", data, "--endpoint", "nowhere", "--model", "m").error.startswith(
        "nowhere: no web address"
    )


def test_a_folder_that_is_missing_or_damaged(yuyi: Run, data: Path) -> None:
    assert "nowhere: no such folder" in yuyi("evaluate", TINY, "--data", "nowhere").error
    whole = (data / "greetings.parquet").read_bytes()
    (data / "greetings.parquet").write_bytes(whole[:-30])
    assert "greetings.parquet: not a whole Parquet file" in yuyi("evaluate", TINY, "--data", data).error
