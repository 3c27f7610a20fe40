from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from yuyi.records import read_pairs

if TYPE_CHECKING:
    from .conftest import Run

DOCUMENTS = Path(__file__).parent.parent / "data" / "documents"


@pytest.fixture
def made(yuyi: Run, tmp_path: Path) -> Path:
    """A data folder with every step done, made once a test."""
    result = yuyi("data", "make", DOCUMENTS, "-o", "made", "--workers", "1", "--set", "mix.alpha=1")
    assert result.code == 0, result.err
    return tmp_path / "made"


def test_a_training_set_of_a_folder(yuyi: Run, made: Path) -> None:
    pairs = list(read_pairs(made / "mixture" / "train.parquet"))
    assert ("护照丢了怎么办", "question_answer") in {(pair.text_a, pair.kind) for pair in pairs}
    page = (made / "report.html").read_text("utf-8")
    assert "护照丢了怎么办" in page
    again = yuyi("data", "make", DOCUMENTS, "-o", "made", "--workers", "2", "--set", "mix.alpha=1")
    assert {line.split(": ")[1] for line in again.err.splitlines()} == {"unchanged, kept"}
    assert again.out.split() == [
        "made/mixture/manifest.json",
        "made/mixture/train.parquet",
        "made/report.html",
    ]


def test_step_by_step_gives_the_same_bytes(yuyi: Run, made: Path, tmp_path: Path) -> None:
    assert yuyi("data", "extract", DOCUMENTS, "-o", "steps", "--quiet").code == 0
    for verb in ("dedupe", "clean", "pairs", "filter", "dedupe", "mix"):
        result = yuyi("data", verb, "steps", "--json", "--set", "mix.alpha=1")
        assert result.code == 0, result.err
    assert json.loads(result.out)["step"] == "mixture"
    one, other = ((folder / "mixture" / "train.parquet") for folder in (made, tmp_path / "steps"))
    assert one.read_bytes() == other.read_bytes()


def test_rules_can_be_left_out(yuyi: Run, made: Path) -> None:
    settings = ("--set", "pairs.rules.neighbours=false", "--set", "pairs.rules.path_section=false")
    counts = json.loads(yuyi("data", "pairs", made, "--json", *settings).out)["counts"]["pairs"]
    assert set(counts["documents"]) == {"question_answer", "title_lead"}
    assert "was made from other pairs than are there now" in yuyi("data", "mix", made).error


def test_a_pair_is_traced_to_its_span(yuyi: Run, made: Path) -> None:
    drawn = json.loads(yuyi("data", "sample", made, "-n", "100", "--json").out)
    pair = next(each["pair"] for each in drawn if each["pair"]["text_a"] == "护照丢了怎么办")
    out = " ".join(yuyi("data", "trace", made, pair["pair_id"]).out.split())
    assert "text_b documents/passport.md (zh)" in out
    assert "▶先在网上挂失" in out
    span = json.loads(yuyi("data", "trace", made, pair["pair_id"], "--json").out)["text_b"]
    text = (DOCUMENTS / "passport.md").read_text("utf-8")
    assert text[pair["start"] : pair["end"]] == span["text"]
    assert "no pair of" in yuyi("data", "trace", made, "0123456789abcdef").error


def test_the_report_in_the_terminal(yuyi: Run, made: Path) -> None:
    result = yuyi("data", "report", made)
    assert "pairs are kept" in result.out and "question_answer" in result.out
    figures = json.loads(yuyi("data", "report", made, "--json").out)
    assert figures["pairs"]["made"] == sum(each["made"] for each in figures["rules"].values()) > 10


def test_test_sets_are_kept_out(yuyi: Run, made: Path, tmp_path: Path) -> None:
    question = "护照丢了怎么办"
    (tmp_path / "quiz.jsonl").write_text(json.dumps({"query": question}, ensure_ascii=False) + "\n", "utf-8")
    assert yuyi("data", "decontaminate", made, "--eval", "quiz.jsonl").code == 0
    assert yuyi("data", "mix", made, "--set", "mix.alpha=1").code == 0
    assert question not in {pair.text_a for pair in read_pairs(made / "mixture" / "train.parquet")}


def test_misuse_is_one_clear_line(yuyi: Run, made: Path, tmp_path: Path) -> None:
    assert "no such file or folder" in yuyi("data", "extract", "absent", "-o", "x").error
    assert "Run: yuyi data pairs x" in yuyi("data", "filter", "x").error
    assert "not of the form KEY=VALUE" in yuyi("data", "mix", made, "--set", "mix.alpha").error
    assert "mix.alpha: " in yuyi("data", "mix", made, "--set", "mix.alpha=2").error
    fault = yuyi("data", "pairs", made, "--set", "pairs.rules.neighbour=false").error
    assert "pairs.rules.neighbour: no such key. Choose from qa, " in fault
    assert "--eval PATH" in yuyi("data", "decontaminate", made).error
    assert "--base-url URL" in yuyi("data", "quality", made).error
    (tmp_path / "data.yaml").write_text("clean: {code: maybe}\n")
    assert "data.yaml: clean.code: " in yuyi("data", "clean", made, "--config", "data.yaml").error


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("# 标题\n\n一句话。**两**句话。\n\n" * 100_000, "utf-8")
    command = [sys.executable, "-m", "yuyi", "data", "make", ".", "-o", "made", "--workers", "2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    while process.poll() is None and not (tmp_path / "made" / ".blocks.unfinished").exists():
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.decode().splitlines()[-1] == "stopped; nothing was half-written"
    assert sorted(path.name for path in (tmp_path / "made").iterdir() if path.name[0] != ".") == [
        "documents",
        "marks",
    ]
