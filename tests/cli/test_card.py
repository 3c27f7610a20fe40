from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from evaluate.card_results import copy, whole_suite, write_all

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run

CARD = """\
---
license: mit
model-index:
- name: 小模型
  results:
  - task: {type: STS}
    dataset: {type: C-MTEB/AFQMC, name: MTEB AFQMC, split: validation, revision: b44c3b011063}
    metrics:
    - {type: cos_sim_spearman, value: 44.13}
---
| 模型 | STS | 平均 |
|---|---|---|
| 小模型 | 44.13 | 44.13 |

用法见 [这里](docs/)。
"""


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(CARD, "utf-8")
    return path


def test_a_sound_card(yuyi: Run, card: Path) -> None:
    done = yuyi("card", "--lint", "README.md")
    assert (done.code, done.out, done.err) == (0, "README.md: nothing found\n", "")
    assert yuyi("card", "--lint", card.parent).code == 0
    done = yuyi("card", "--lint", "README.md", "--json")
    assert (done.code, json.loads(done.out)) == (0, [])


def test_findings_exit_with_1_and_name_line_and_both_figures(yuyi: Run, card: Path) -> None:
    card.write_text(CARD.replace("44.13 | 44.13 |", "44.31 | 44.13 |"), "utf-8")
    done = yuyi("card", "--lint", "README.md")
    assert (done.code, done.err) == (1, "")
    assert done.out.startswith("average line 13, 小模型, STS\n44.31 is printed, the index gives 44.13.")
    assert done.out.endswith("README.md: 1 finding\n")
    assert max(map(len, done.out.splitlines())) <= 80
    done = yuyi("card", "--lint", "README.md", "--json")
    assert done.code == 1
    (finding,) = json.loads(done.out)
    assert set(finding) == {"rule", "where", "message", "line"}
    assert (finding["rule"], finding["line"]) == ("average", 13)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# 模型\n", "begins with no front matter"),
        (
            CARD.replace("  results:", "  results: 很好\n  more:"),
            "model-index[0].results is '很好', not a list",
        ),
        (None, "no such file"),
    ],
)
def test_input_that_is_no_card(yuyi: Run, card: Path, text: str | None, message: str) -> None:
    card.unlink()
    if text is not None:
        card.write_text(text, "utf-8")
    done = yuyi("card", "--lint", "README.md")
    assert message in done.error
    assert "README.md" in done.error


@pytest.mark.parametrize("arguments", [(), ("模型", "--lint", "README.md")])
def test_nothing_to_do_and_both_are_misuses(yuyi: Run, arguments: tuple[str, ...]) -> None:
    done = yuyi("card", *arguments)
    assert done.code == 2
    assert "--lint" in done.err


def test_a_card_without_figures_has_nothing_to_check(yuyi: Run, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(
        "---\nlicense: mit\n---\n# 模型\n\n| 项目 | 内容 |\n|---|---|\n| 作者 | 某人 |\n", "utf-8"
    )
    done = yuyi("card", "--lint", "README.md")
    assert done.code == 0
    assert done.out == "README.md: nothing to check: no model-index and no table of averages\n"
    assert yuyi("card", "--lint", "README.md", "--json").out == "[]\n"


def test_a_card_is_written_from_results_and_checked(yuyi: Run, tmp_path: Path) -> None:
    model = copy("static", tmp_path)
    write_all(tmp_path / "成绩", whole_suite(model))
    done = yuyi("card", "static", "--results", "成绩", "--name", "someone/x", "--language", "zh")
    assert (done.code, done.out, done.err) == (0, "static/README.md: nothing found\n", "")
    text = (model / "README.md").read_text("utf-8")
    assert "- name: someone/x\n" in text
    assert "| x | 32 | 60.08 | 64.48 |" in text
    assert "## 成绩\n" in text
    done = yuyi("card", "static", "--results", "成绩", "--shape", "mteb2", "-o", "card.md", "--json")
    assert (done.code, json.loads(done.out)) == (0, [])
    assert "- type: cosine_spearman\n" in (tmp_path / "card.md").read_text("utf-8")


def test_what_is_wrong_with_the_results_is_told(yuyi: Run, tmp_path: Path) -> None:
    model = copy("static", tmp_path)
    first, *others = whole_suite(model)
    write_all(tmp_path / "results", [replace(first, data=""), *others])
    done = yuyi("card", "static", "--results", "results")
    assert (done.code, done.err) == (1, "")
    assert "1 of 36 results name no commit of their data (AFQMC)" in done.out.replace("\n", " ")


def test_cards_that_cannot_be_written(yuyi: Run, tmp_path: Path) -> None:
    model = copy("static", tmp_path)
    assert "a card needs results. Give --results" in yuyi("card", "static").error
    assert "nothing: no such folder" in yuyi("card", "static", "--results", "nothing").error
    write_all(tmp_path / "results", whole_suite(model))
    assert "results: not a model folder" in yuyi("card", "results", "--results", "results").error
    (model / "README.md").write_text("# 我写的\n", "utf-8")
    assert "yuyi did not write it" in yuyi("card", "static", "--results", "results").error
    assert (model / "README.md").read_text("utf-8") == "# 我写的\n"
    assert yuyi("card", "static", "--results", "results", "--force").code == 0


def test_neither_mteb_nor_torch_is_imported(card: Path) -> None:
    code = f"""
import sys
sys.argv = ["yuyi", "card", "--lint", {str(card)!r}]
from yuyi.cli.app import run
try:
    run()
except SystemExit as end:
    assert end.code in (0, None), end.code
sys.exit(", ".join(sorted({{"torch", "mteb", "datasets", "pyarrow", "pydantic"}} & set(sys.modules))) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
