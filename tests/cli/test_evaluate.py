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
    done = yuyi("evaluate", TINY, "--data", data, "--dim", "32,16,8", "-o", "scores.json")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["set", "task", "metric", "32", "16", "8"]
    assert max(map(len, lines)) <= 80
    report = json.loads((tmp_path / "scores.json").read_text("utf-8"))
    shown = [f"{100 * score['value']:.2f}" for score in report["scores"]]
    assert lines[2].split() == ["greetings", "STS", "Spearman", *shown]
    assert report["model"]["name"] == "tiny-static"


def test_json_is_the_report(yuyi: Run, data: Path, tmp_path: Path) -> None:
    done = yuyi("evaluate", TINY, "--data", data, "--json", "-o", "scores.md")
    assert done.code == 0
    assert [score["set"] for score in json.loads(done.out)["scores"]] == ["greetings"]
    assert (tmp_path / "scores.md").read_text("utf-8").startswith("| set | task | metric | 32 |")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dim", "wide"], "--dim wide: not a list of whole numbers"),
        (["--dim", "999"], "dimension 999: the model gives 32"),
        (["--task", "STS99"], "STS99: no such set"),
        (["-o", "scores.txt"], "scores.txt: a report ends in .json or .md"),
        (["-o", "nowhere/scores.json"], "nowhere/scores.json: cannot be written"),
    ],
)
def test_misuse_is_one_line_and_leaves_nothing(
    yuyi: Run, data: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    done = yuyi("evaluate", TINY, "--data", data, *options)
    assert done.error.startswith(message)
    assert list(tmp_path.iterdir()) == [data]


def test_a_folder_that_is_missing_or_damaged(yuyi: Run, data: Path) -> None:
    assert "nowhere: no such folder" in yuyi("evaluate", TINY, "--data", "nowhere").error
    whole = (data / "greetings.parquet").read_bytes()
    (data / "greetings.parquet").write_bytes(whole[:-30])
    assert "greetings.parquet: not a whole Parquet file" in yuyi("evaluate", TINY, "--data", data).error
