from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from yuyi.cli.app import app
from yuyi.errors import YuyiError

from .conftest import TINY

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run


class Inside(Protocol):
    def __call__(self, *arguments: str | Path) -> Any: ...


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inside:
    """Runs the command line in the folder `tmp_path` and in this process, which imports mteb once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(done: Any) -> str:
    """The message of a refusal, after checking that nothing else is said."""
    assert isinstance(done.exception, YuyiError), done.exception
    assert done.output == "" and "\n" not in str(done.exception)
    return str(done.exception)


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


def test_table_fits_and_the_report_is_written(inside: Inside, data: Path, tmp_path: Path) -> None:
    done = inside("evaluate", TINY, "--data", data, "--dim", "32,16,8", "--type", "sts", "-o", "scores.md")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["dimension", "32", "16", "8"]
    assert "tiny-static · " in lines[-1]
    (shown,) = (line.split()[1:] for line in lines if "greetings" in line)
    assert len(shown) == 3
    report = (tmp_path / "scores.md").read_text("utf-8")
    assert f"| greetings | Spearman | {' | '.join(shown)} |" in report


def test_a_sweep_is_one_command_and_is_resumed(yuyi: Run, inside: Inside, data: Path, tmp_path: Path) -> None:
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
    again = inside(*options, *more, "--json", "-o", "scores.json")
    assert again.stdout == first.out == (tmp_path / "scores.json").read_text("utf-8")


def test_types_and_languages_choose_among_the_sets_of_a_folder(inside: Inside, data: Path) -> None:
    options = ("evaluate", TINY, "--data", data, "--json")
    for language in ("zh", "ZHO", "cmn", "zho-hans", "en"):
        assert inside(*options, "--language", language).exit_code == 0, language
    assert "eval: has no set of retrieval" in refused(inside(*options, "--type", "retrieval"))
    other = refused(inside(*options, "--type", "STS", "--language", "deu-Latn"))
    assert "has no set of STS and deu-Latn" in other
    near = "Clasification: no type of task of this name. Did you mean Classification or "
    for where in (options, ("evaluate", TINY)):
        assert refused(inside(*where, "--type", "Clasification")).startswith(near)


def test_what_is_finished_is_shown_when_a_later_task_fails(
    inside: Inside, data: Path, tmp_path: Path
) -> None:
    rows = [{"sentence1": "a", "sentence2": "b", "score": 1.0}] * 3
    pq.write_table(pa.Table.from_pylist(rows), data / "later.parquet")
    done = inside("evaluate", TINY, "--data", data, "--results", "results", "-o", "scores.json")
    assert "greetings" in done.stdout
    assert isinstance(done.exception, YuyiError) and str(done.exception).startswith("later: ")
    assert str(done.exception).endswith(" scores.json holds the 1 result finished before.")
    assert len(list((tmp_path / "results").rglob("greetings.json"))) == 1
    assert [result["task_name"] for result in json.loads((tmp_path / "scores.json").read_bytes())] == [
        "greetings"
    ]
    (data / "greetings.parquet").unlink()
    again = inside("evaluate", TINY, "--data", data, "-o", "none.json")
    assert isinstance(again.exception, YuyiError) and "holds" not in str(again.exception)
    assert not (tmp_path / "none.json").exists()


def test_a_run_says_what_it_took_from_earlier_ones(inside: Inside, data: Path, tmp_path: Path) -> None:
    options = ("evaluate", TINY, "--data", data, "--results", "results")
    assert "taken" not in inside(*options, "--dim", "32，16").stdout
    for path in (tmp_path / "results").rglob("greetings.json"):
        found = json.loads(path.read_bytes())
        found["yuyi"]["made"] = "2025-01-01T00:00:00+00:00"
        path.write_text(json.dumps(found), "utf-8")
    again = inside(*options, "--dim", "32,16,8")
    assert again.stdout.splitlines()[-1] == "2 results taken from results, 1 scored"


EMPTY = ("--task", "--suite", "--type", "--language", "--dim", "--dtype", "--overflow")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dim", "wide"], "--dim wide: not a list of whole numbers"),
        (["--dim", "999"], "dimension 999: the model gives 32"),
        (["--max-length", "0"], "max_tokens=0: not a length"),
        (["--dtype", "float32"], "dtype='float32': static is a token table"),
        (["--overflow", "fold"], "overflow fold: no such choice"),
        (["--task", "STS99"], "STS99: no such set"),
        *(([option, " "], f"{option}: nothing is given") for option in EMPTY),
        (["-o", "scores.txt"], "scores.txt: a report ends in .json, .md or .html"),
        (["-o", "nowhere/scores.json"], "nowhere/scores.json: cannot be written"),
        (["--suite", "MTEB(eng, v2)"], "--suite MTEB(eng, v2) and --data "),
        (["--endpoint", "http://127.0.0.1:9/v1", "--model", "m"], f"{TINY} and --endpoint"),
        (["--model", "m"], "--model m: names a server's model and needs --endpoint. For a model of your own"),
        (["--key-variable", "KEY"], "--key-variable KEY: is for a server's key and needs --endpoint"),
        (["--language", "中文"], "中文: no code of a language. Write zh, en, or"),
        (["--vectors", "eval/greetings.parquet"], "eval/greetings.parquet: cannot be made (File exists)"),
    ],
)
def test_misuse_is_one_line_and_leaves_nothing(
    inside: Inside, data: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    assert refused(inside("evaluate", TINY, "--data", data, *options)).startswith(message)
    assert list(tmp_path.iterdir()) == [data]


def test_nothing_to_score_and_nothing_to_ask(inside: Inside, data: Path) -> None:
    server = ("--data", data, "--endpoint")
    for options, message in (
        ((TINY,), "No tasks: give --data FOLDER"),
        ((TINY, "--task", ""), "--task: nothing is given"),
        ((TINY, "--task", "STS13", "--all-rows"), "--all-rows: for test sets"),
        ((TINY, "--suite", "MTEB(xyz)"), "MTEB(xyz): no such suite"),
        ((*server, "http://127.0.0.1:9/v1"), "--endpoint http://127.0.0.1:9/v1: which model? Name it"),
        ((*server, "nowhere", "--model", "m"), "nowhere: no web address"),
    ):
        assert refused(inside("evaluate", *options)).startswith(message)


def test_a_folder_that_is_missing_or_damaged(inside: Inside, data: Path) -> None:
    assert "nowhere: no such folder" in refused(inside("evaluate", TINY, "--data", "nowhere"))
    whole = (data / "greetings.parquet").read_bytes()
    (data / "greetings.parquet").write_bytes(whole[:-30])
    damaged = refused(inside("evaluate", TINY, "--data", data))
    assert "greetings.parquet: not a whole Parquet file" in damaged
