from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import yuyi as package
from yuyi.cli.app import SUMMARIES

from .conftest import TINY

if TYPE_CHECKING:
    from .conftest import Run

HEAVY = ("torch", "pyarrow", "pandas", "scipy", "mteb", "sklearn", "transformers", "sentence_transformers")


def test_no_arguments_prints_the_help_and_exits_with_2(yuyi: Run) -> None:
    done = yuyi()
    assert done.code == 2
    assert "Usage: yuyi" in done.err
    assert done.out == ""


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_verb(yuyi: Run, flag: str) -> None:
    done = yuyi(flag)
    assert done.code == 0
    for verb, summary in SUMMARIES.items():
        assert f"{verb} " in done.out
        assert summary.split(":")[0] in done.out


@pytest.mark.parametrize("verb", ["data make" if verb == "data" else verb for verb in SUMMARIES])
def test_each_verb_teaches_by_examples(yuyi: Run, verb: str) -> None:
    done = yuyi(*verb.split(), "--help")
    assert done.code == 0
    usage, *examples = [line.strip() for line in done.out.splitlines() if f"yuyi {verb}" in line]
    assert usage.startswith("Usage:")
    assert len(examples) >= 2
    assert "\b" not in done.out


def test_version(yuyi: Run) -> None:
    done = yuyi("--version")
    assert (done.code, done.out.strip()) == (0, package.__version__)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simlarity"], "similarity"),
        (["--colour"], "--colour"),
        (["similarity"], "Missing argument"),
        (["similarity", "a", "b", "--dim", "many"], "--dim"),
        (["embed", "a.txt"], "--out"),
    ],
)
def test_misuse_exits_with_2_and_says_what_is_wrong(yuyi: Run, arguments: list[str], message: str) -> None:
    done = yuyi(*arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_reader_that_goes_away_is_no_error_worth_a_word() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "yuyi", "similarity", "胡子", "香港", "--json", "-m", str(TINY)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.parametrize("arguments", [["--help"], ["info", str(TINY)], ["info", str(TINY), "--json"]])
def test_output_that_goes_to_a_full_disk(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "yuyi", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the output cannot be written (No space left on device)")
    assert len(done.stderr.splitlines()) == 1


def test_a_bug_shows_its_traceback_and_says_whose_it_is() -> None:
    code = """
import sys
import yuyi.cli.app as app
app.load_verb = lambda name: 1 / 0
sys.argv = ["yuyi", "info"]
app.run()
"""
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"ZeroDivisionError" in done.stderr
    assert b"bug in yuyi" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["similarity", "胡子长得太快", "香港买手表", "-m", str(TINY)],
        ["info", str(TINY)],
        ["models"],
        ["search", "--help"],
        ["train", "--help"],
        ["evaluate", "--help"],
        ["data", "--help"],
        ["embed", "--help"],
    ],
    ids=lambda arguments: " ".join(arguments[:1]),
)
def test_heavy_packages_stay_out(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["yuyi", *{arguments!r}]
from yuyi.cli.app import run
try:
    run()
except SystemExit as end:
    assert end.code in (0, None), end.code
sys.exit(", ".join(sorted(set({HEAVY!r}) & set(sys.modules))) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.stderr.decode() == ""
    assert done.returncode == 0
