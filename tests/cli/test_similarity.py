from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

import yuyi as package

from .conftest import TINY

if TYPE_CHECKING:
    from .conftest import Run

QUESTION = "胡子长得太快怎么办？"
OTHERS = ["香港买手表哪里好", "胡子长得快怎么办？"]


def test_the_closest_comes_first_with_its_bar(yuyi: Run) -> None:
    done = yuyi("similarity", QUESTION, *OTHERS, "-m", TINY)
    assert done.code == 0
    head, first, second = done.out.splitlines()
    assert head.strip() == QUESTION
    assert OTHERS[1] in first and "━" in first
    assert OTHERS[0] in second
    assert first.count("━") > second.count("━")


def test_json_holds_the_scores_that_python_gives(yuyi: Run) -> None:
    answer = json.loads(yuyi("similarity", QUESTION, *OTHERS, "-m", TINY, "--json").out)
    encoder = package.load(TINY)
    expected = encoder.similarity(encoder.encode(QUESTION), encoder.encode(OTHERS))[0]
    scores = {other["text"]: other["score"] for other in answer["others"]}
    assert scores == pytest.approx(dict(zip(OTHERS, expected.tolist(), strict=True)), abs=1e-5)
    assert [other["text"] for other in answer["others"]] == OTHERS[::-1]
    assert (answer["text"], answer["dim"]) == (QUESTION, 32)


def test_fewer_dimensions(yuyi: Run) -> None:
    assert json.loads(yuyi("similarity", "手表", "香港", "-m", TINY, "--dim", "8", "--json").out)["dim"] == 8


@pytest.mark.parametrize(
    "text", ["长得很快" * 60, "a long text " * 60, "[bold]胡子[/bold]\x1b[31m\n胡子" * 20]
)
def test_long_and_odd_texts_are_cut_to_80_columns(yuyi: Run, text: str) -> None:
    done = yuyi("similarity", text, text, "胡子", "-m", TINY)
    assert done.code == 0
    lines = done.out.splitlines()
    assert len(lines) == 3
    assert all(cell_len(line) <= 80 for line in lines)
    assert "…" in lines[0] and "…" in lines[1]
    assert "\x1b" not in done.out


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_standard_input_gives_the_others(yuyi: Run, encoding: str) -> None:
    lines = "\n".join([*OTHERS, "", "  "]).encode(encoding)
    done = yuyi("similarity", QUESTION, "-", "-m", TINY, "--json", stdin=lines)
    assert {other["text"] for other in json.loads(done.out)["others"]} == set(OTHERS)


@pytest.mark.parametrize(
    ("texts", "stdin", "cause"),
    [
        (["胡子", ""], b"", "text 2 ('')"),
        (["。。。", "胡子"], b"", "text 1 ('。。。')"),
        (["胡子", "香港", "！？"], b"", "text 3 ('！？')"),
        (["胡子"], b"", "two are needed"),
        (["胡子", "-"], b"", "two are needed"),
        (["-", "-"], b"", "given twice"),
        (["胡子", "-"], b"\0\1\2", "standard input: holds binary data"),
        (["胡子", "\udcff"], b"", "text 2: is not valid UTF-8"),
        (["胡子", "香港", "--dim", "0"], b"", "truncate_dim=0"),
        (["胡子", "香港", "--dim", "33"], b"", "32, 16, 8"),
    ],
)
def test_what_cannot_be_compared(yuyi: Run, texts: list[str], stdin: bytes, cause: str) -> None:
    assert cause in yuyi("similarity", *texts, "-m", TINY, stdin=stdin).error


def test_a_missing_model_folder(yuyi: Run) -> None:
    assert "no known model of that name" in yuyi("similarity", "a", "b", "-m", "nowhere").error
    assert "no such folder" in yuyi("similarity", "a", "b", "-m", "./nowhere").error


def test_a_transformer_folder_is_opened_like_any_other(yuyi: Run) -> None:
    folder = TINY.parent / "bert-zh"
    done = yuyi("similarity", "今天天气很好", "天气", "passport" + " 天气" * 60, "-m", folder, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["dim"] == 32
    assert done.err.startswith("warning: 1 of 3 texts was cut; ")
    assert done.err.count("\n") == 1
    done = yuyi("similarity", "天", "气", "-m", TINY, "--dim", "7")
    assert done.err == (
        "warning: truncate_dim=7: tiny-static does not declare this dimension, but 32, 16, 8.\n"
    )
