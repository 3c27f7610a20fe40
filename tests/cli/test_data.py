from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Run

DOCUMENTS = Path(__file__).parent.parent / "data" / "documents"


def test_pairs_of_a_folder(yuyi: Run, tmp_path: Path) -> None:
    result = yuyi("data", "pairs", DOCUMENTS, "-o", "pairs.parquet", "--workers", "1")
    assert result.code == 0, result.err
    assert "pairs in pairs.parquet" in result.out
    assert "question_answer 6" in " ".join(result.out.split())
    assert max(map(len, result.out.splitlines())) <= 80
    assert {path.name for path in tmp_path.iterdir()} == {"pairs.parquet", "pairs.report.json"}


def test_the_report_as_json_and_some_rules_only(yuyi: Run, tmp_path: Path) -> None:
    result = yuyi(
        "data", "pairs", DOCUMENTS / "faq.md", DOCUMENTS / "kettle.md", "-o", "p.parquet",
        "--rules", "question_answer, title_lead", "--json",
    )  # fmt: skip
    assert json.loads(result.out)["kept"] == {"documents": {"question_answer": 4, "title_lead": 2}}
    again = yuyi("data", "pairs", "p.parquet", "-o", "q.parquet", "--json")
    assert json.loads(again.out)["kept"] == json.loads(result.out)["kept"]


def test_misuse_is_one_clear_line(yuyi: Run) -> None:
    assert "ends in .parquet" in yuyi("data", "pairs", DOCUMENTS, "-o", "pairs.csv").error
    assert "no such file or folder" in yuyi("data", "pairs", "absent", "-o", "p.parquet").error
    assert "no such rule" in yuyi("data", "pairs", DOCUMENTS, "-o", "p.parquet", "--rules", "lead").error
    assert "no evaluation files" in yuyi("data", "pairs", DOCUMENTS, "-o", "p.parquet", "--eval", ".").error


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("# 标题\n\n一句话。**两**句话。\n\n" * 100_000, "utf-8")
    command = [
        sys.executable,
        "-m",
        "yuyi",
        "data",
        "pairs",
        "a.md",
        "b.md",
        "-o",
        "p.parquet",
        "--workers",
        "2",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    while process.poll() is None and not any(path.name.startswith(".") for path in tmp_path.iterdir()):
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.decode().strip() == "stopped; nothing was half-written"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.md", "b.md"]
