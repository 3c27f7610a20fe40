"""All steps together: killed anywhere, on a full disk, with any number of processes, the same bytes."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from yuyi.records import read_pairs

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
extract: {{sources: [{{path: {docs}}}, {{path: {table}, name: helpdesk}}], part_characters: 4000}}
decontaminate: {{evaluation: [{quiz}]}}
consistency: {{least_pool: 5}}
mine: {{count: 2, lexical: 10, dense: 10}}
dedupe: {{answer_limit: 5}}
mix: {{size: 60, repeat: 4, negatives: 2}}
"""
TOPICS = ("护照", "图书馆", "水壶", "自行车", "邮局", "kettle", "library", "bicycle", "passport", "garden")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents, a table of questions, a test set, and settings with every step on but the language model."""
    folder = tmp_path_factory.mktemp("make")
    chosen = random.Random(3)
    (folder / "docs").mkdir()
    for number in range(40):
        topic = TOPICS[number % 10]
        words = [f"{topic}{chosen.randrange(10**6)}" for _ in range(60)]
        sections = "".join(
            f"## {topic}的第{part}种用法 {chosen.randrange(10**6)}\n\n{'，'.join(words[part::6])}。\n\n"
            f"{topic} 需要先登记 {chosen.randrange(10**6)}，然后在窗口等候半个小时，最后领取凭证。\n\n"
            for part in range(6)
        )
        (folder / "docs" / f"{number}.md").write_text(f"# {topic} {number}\n\n{sections}", "utf-8")
    rows = [
        {
            "问题": f"{TOPICS[number % 10]}坏了怎么办 {number}",
            "答案": f"先停用{TOPICS[number % 10]}，再找人修理。" * 3,
        }
        for number in range(60)
    ]
    (folder / "table.jsonl").write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    (folder / "quiz.jsonl").write_text('{"query": "水壶坏了怎么办 2"}\n', "utf-8")
    paths = {
        name: folder / file
        for name, file in (("docs", "docs"), ("table", "table.jsonl"), ("quiz", "quiz.jsonl"))
    }
    (folder / "data.yaml").write_text(SETTINGS.format(**paths), "utf-8")
    run(folder, "whole", workers=1)
    return folder


def run(folder: Path, out: str, workers: int) -> None:
    process = start(folder, out, workers)
    error = process.communicate()[1]
    assert process.returncode == 0, error.decode()


def start(folder: Path, out: str, workers: int, limit: int | None = None) -> subprocess.Popen[bytes]:
    """`yuyi data make` in a process group of its own; no file may grow beyond `limit` bytes."""
    command = [sys.executable, "-m", "yuyi", "data", "make", "-o", out, "--config", "data.yaml"]

    def bound() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    return subprocess.Popen(
        [*command, "--workers", str(workers)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=bound,
        start_new_session=True,
    )


def parts(folder: Path) -> dict[str, bytes]:
    """Every part of every step by name; times and memory are in `step.json` alone."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in ("step.json", "report.html") and not file.name.startswith(".")
    }


def test_negatives_of_ready_pairs_reach_the_training_set(tmp_path: Path) -> None:
    rows = [
        {
            "text_a": "水壶怎么除垢",
            "text_b": "倒入白醋烧开，放半小时再冲洗。",
            "negatives": ["自行车　要上油。", ""],
        }
    ]
    (tmp_path / "table.jsonl").write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    (tmp_path / "data.yaml").write_text("extract: {sources: [{path: table.jsonl}]}\n")
    run(tmp_path, "ready", workers=1)
    (pair,) = read_pairs(tmp_path / "ready" / "mixture" / "train.parquet")
    assert pair.negatives == ("自行车 要上油。",)


def test_every_step_did_something(workplace: Path) -> None:
    whole = workplace / "whole"
    marked = {
        step.parent.name: sum(
            sum(reasons.values()) for reasons in json.loads(step.read_text())["counts"]["marked"].values()
        )
        for step in whole.glob("marks/*/step.json")
    }
    assert marked["evaluation"] > 0 and marked["duplicates"] > 0
    taken = list(read_pairs(whole / "mixture" / "train.parquet"))
    assert len(taken) == 60
    assert any(pair.negatives for pair in taken)
    assert not any(pair.text_a == "水壶坏了怎么办 2" for pair in taken)


@pytest.mark.parametrize(("workers", "seed"), [(1, 1), (2, 2)])
def test_killed_again_and_again_it_ends_with_the_same_bytes(workplace: Path, workers: int, seed: int) -> None:
    chosen = random.Random(seed)
    out = workplace / f"killed-{workers}"
    for _ in range(4):
        process = start(workplace, out.name, workers)
        time.sleep(chosen.uniform(0.8, 3.5))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    run(workplace, out.name, workers)
    assert parts(out) == parts(workplace / "whole")


def test_on_a_full_disk_it_says_so_and_goes_on_when_there_is_room(workplace: Path) -> None:
    out = workplace / "full"
    seen = set()
    for limit in (500, 12_000, 60_000):  # Too little for the documents, the negatives, the report.
        process = start(workplace, out.name, 1, limit)
        error = process.communicate()[1].decode().splitlines()
        assert process.returncode == 2, error
        assert error[-1].startswith("error: ") and "cannot be written" in error[-1]
        seen.add(error[-1])
        assert not [file for file in out.rglob("*.parquet") if file.stat().st_size == 0]
    assert len(seen) == 3
    run(workplace, out.name, 1)
    assert parts(out) == parts(workplace / "whole")
