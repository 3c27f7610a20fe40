from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from yuyi.artifacts import hash_file

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run


def write_recipe(folder: Path, steps: int) -> Path:
    """A recipe that learns from one manual of a hundred questions."""
    words = ("护照", "水壶", "图书馆", "办理", "清洗", "续借", "passport", "kettle")
    sections = [
        f"## 第 {number} 号{words[number % 8]}怎么{words[number % 5]}？\n\n"
        f"请先看第 {number} 页，再办理{words[number % 8]}，然后{words[number % 5]}，要 {number} 天。\n"
        for number in range(100)
    ]
    (folder / "data").mkdir()
    (folder / "data" / "manual.md").write_text("# 手册\n\n" + "\n".join(sections), "utf-8")
    task = {"objective": "contrast", "batch": 16}
    stage = {"name": "weak", "steps": steps, "tasks": [task]}
    recipe = {
        "name": "mine",
        "license": "CC0-1.0",
        "languages": ["zh", "en"],
        "data": "data",
        "vocabulary": {"size": 400, "smallest_count": 1, "latin_parts": 30},
        "table": {"dims": {16: 1.0}, "threads": 1, "stages": [stage]},
        "documents": [{"path": "manual.md", "origin": "the tests", "licence": "CC0"}],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), "utf-8")
    return path


def test_a_recipe_gives_a_model_that_answers(yuyi: Run, tmp_path: Path) -> None:
    write_recipe(tmp_path, 120)
    first = yuyi("run", "recipe.yaml")
    assert first.code == 0, first.err
    assert first.out.strip() == "runs/mine/mine"
    assert {"pairs: running", "vocabulary: running", "table: running", "model: running"} <= set(
        first.err.splitlines()
    )
    assert "  weak: 120/120  contrast " in first.err
    info = json.loads(yuyi("info", "runs/mine/mine", "--json").out)
    assert (info["name"], info["dims"], info["license"]) == ("mine", [16], "CC0-1.0")
    again = yuyi("run", "recipe.yaml")
    assert again.err.splitlines() == [
        f"{stage}: unchanged, kept" for stage in ("pairs", "vocabulary", "table", "model")
    ]
    elsewhere = yuyi("run", "recipe.yaml", "--quiet", "--out", "elsewhere")
    assert elsewhere.err == ""
    assert hash_file(tmp_path / "elsewhere" / "mine" / "yuyi.json") == hash_file(
        tmp_path / "runs" / "mine" / "mine" / "yuyi.json"
    )


def test_misuse_is_one_clear_line(yuyi: Run, tmp_path: Path) -> None:
    path = write_recipe(tmp_path, 5)
    assert "absent.yaml: no such file" in yuyi("run", "absent.yaml").error
    assert "nowhere" in yuyi("run", "recipe.yaml", "--data", "nowhere").error
    recipe = yaml.safe_load(path.read_text("utf-8"))
    recipe["documents"].append({"path": "gone.parquet", "origin": "x", "licence": "y"})
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), "utf-8")
    assert "gone.parquet: no such file or folder" in yuyi("run", "recipe.yaml").error
    recipe["colour"] = "red"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), "utf-8")
    assert "colour: no such key" in yuyi("run", "recipe.yaml").error
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process")
def test_ctrl_c_in_training_leaves_no_half_model_and_a_further_run_goes_on(yuyi: Run, tmp_path: Path) -> None:
    write_recipe(tmp_path, 1_200)
    command = [sys.executable, "-m", "yuyi", "run", "recipe.yaml", "--out", "out"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    end = time.monotonic() + 60
    while not list((tmp_path / "out").glob("training-*/checkpoints/step-*")) and time.monotonic() < end:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err.decode()
    assert out == b""
    assert err.decode().splitlines()[-1] == "stopped; nothing was half-written"
    assert not (tmp_path / "out" / "mine").exists()
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []
    resumed = yuyi("run", "recipe.yaml", "--out", "out")
    assert resumed.code == 0, resumed.err
    assert "pairs: unchanged, kept" in resumed.err
    lines = (tmp_path / "out" / "training.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps[-1] == 1_200
    # It went on from a checkpoint: the first step of all was logged once.
    assert steps.count(20) == 1
    whole = yuyi("run", "recipe.yaml", "--out", "whole", "--quiet")
    assert whole.code == 0
    for name in ("yuyi.json", "provenance.json"):
        assert hash_file(tmp_path / "out" / "mine" / name) == hash_file(tmp_path / "whole" / "mine" / name)
    assert not list((tmp_path / "out").glob("training-*"))
