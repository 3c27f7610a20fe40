"""`yuyi compare`: results side by side, as the command prints and writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from evaluate.made import made

from yuyi.evaluate.comparing.examples import Examples, examples_path, write_examples
from yuyi.evaluate.results import Setting, write_result
from yuyi.evaluate.suites import find_suite

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run

TASKS = {"STSB": "STS", "问答": "Retrieval"}
STSB = next(task for task in find_suite("C-MTEB (35)").tasks if task.name == "STSB")


def _write(folder: Path, model: str, shift: float = 0.0, dims: tuple[int, ...] = (256,)) -> Path:
    for dim in dims:
        for task, kind in TASKS.items():
            noise = np.random.default_rng(dim).normal(scale=0.01, size=50)
            values = np.linspace(0, 1, 50) + shift + noise - noise.mean()
            result = made(
                task,
                float(values.mean()),
                kind,
                model=model,
                setting=Setting(dim),
                sources=("train",),
                data=STSB.revision,
            )
            examples = Examples("mean", result.metric, values, np.empty(0), "rows")
            write_examples(examples_path(write_result(folder, result)), examples)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return _write(tmp_path / "before", "旧"), _write(tmp_path / "after", "新", 0.1)


def test_two_models(yuyi: Run, folders: tuple[Path, Path]) -> None:
    done = yuyi("compare", *folders)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].split() == ["model", "旧", "新"]
    assert "新 less 旧" in lines
    assert "Of 2 tasks with examples, 2 higher and 0 lower beyond chance" in done.out
    [row] = [line for line in lines if line.startswith("问答, nDCG@10")]
    assert row.split()[2:] == ["+10.00", "+10.00", "to", "+10.00", "≤", "0.002"]
    assert max(map(len, lines)) <= 80
    assert done.err == ""


def test_settings_of_one_model(yuyi: Run, tmp_path: Path) -> None:
    done = yuyi("compare", _write(tmp_path / "results", "m", dims=(256, 64)))
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split() == ["dimension", "256", "64"]
    assert "64 dim less 256 dim" in done.out.splitlines()


def test_against_published_figures(yuyi: Run, folders: tuple[Path, Path]) -> None:
    done = yuyi("compare", folders[0], "--against", "gte-small-zh")
    assert done.code == 0, done.err
    assert "旧 less gte-small-zh · published" in done.out
    assert "76.51" in done.out
    assert "60.08" in done.out


def test_trained_on(yuyi: Run, folders: tuple[Path, Path]) -> None:
    done = yuyi("compare", *folders, "--trained-on", "新=stsb", "--trained-on", "旧=train")
    assert done.code == 0, done.err
    lines = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line.split()}
    assert lines["in-domain"] == ["50.00", "(2)", "60.00", "(1)"]
    assert lines["zero-shot"] == ["(0)", "60.00", "(1)"]


def test_reports(yuyi: Run, folders: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("page.html", "表.md", "all.json"):
        done = yuyi("compare", *folders, "-o", name, "--trained-on", "旧=STSB")
        assert (done.code, done.out) == (0, ""), done.err
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")
    text = (tmp_path / "表.md").read_text("utf-8")
    assert text.startswith("| task | metric | 旧 | 新 |")
    assert "### 新 less 旧" in text
    record = json.loads((tmp_path / "all.json").read_text("utf-8"))
    assert [column["name"] for column in record["columns"]] == ["旧", "新"]
    [found] = record["comparisons"]
    assert [change["name"] for change in found["tasks"]] == ["问答", "STSB"]
    assert found["overall"]["value"] == pytest.approx(10)
    interval = found["overall"]["interval"]
    assert [interval[name] for name in ("difference", "low", "high")] == pytest.approx([10, 10, 10])
    assert interval["p"] == pytest.approx(2 / (interval["draws"] + 1))
    assert record["trained"] == {"旧": {"sources": ["STSB"], "overlaps": {}}}
    printed = yuyi("compare", *folders, "--json", "--trained-on", "旧=STSB")
    assert json.loads(printed.out) == record


def test_what_cannot_be_compared(yuyi: Run, folders: tuple[Path, Path], tmp_path: Path) -> None:
    before, _ = folders
    assert "a comparison needs two" in yuyi("compare", before).error
    assert "no published figures are known" in yuyi("compare", before, "--against", "nobody").error
    assert "ends in .html, .md or .json" in yuyi("compare", *folders, "-o", "x.pdf").error
    assert "no results are of x. They are of 旧, 新" in yuyi("compare", *folders, "--trained-on", "x=a").error
    write_result(tmp_path / "data", made("STSB", model="别的", data="0" * 40))
    assert (
        f"STSB: 旧 was judged on the data {STSB.revision[:12]}, and 别的"
        in yuyi("compare", before, tmp_path / "data").error
    )


def test_damaged_files(yuyi: Run, folders: tuple[Path, Path]) -> None:
    path = next(folders[0].rglob("STSB.json"))
    examples_path(path).write_bytes(b"no examples")
    assert "STSB.examples.npz: not the examples of a result" in yuyi("compare", *folders).error
    path.write_text("{", "utf-8")
    assert "STSB.json: not a result that yuyi wrote" in yuyi("compare", *folders).error
    assert "nowhere: no such folder" in yuyi("compare", "nowhere", folders[0]).error
