"""`yuyi train` as a process: a whole run, stopped and gone on with, plans, merges, and what is refused."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from train.settings_files import TINY, put, settings, table_settings, write

import yuyi as library
from yuyi.artifacts import hash_file
from yuyi.records import Pair, write_pairs

if TYPE_CHECKING:
    from .conftest import Run


def test_a_file_gives_a_model_that_answers(yuyi: Run, tmp_path: Path) -> None:
    write(tmp_path, name="设置.yaml")
    done = yuyi("train", "设置.yaml")
    assert done.code == 0, done.err
    assert Path(done.out.strip()) == Path("runs/tiny/tiny")
    lines = done.err.splitlines()
    assert lines[:2] == ["model: opening", "data: opening"]
    assert any(line.startswith("  words 6/6  mlm ") for line in lines)
    assert any(line.startswith("  pairs 12/12  ") and " probe 0." in line for line in lines)
    assert "examples/s" in lines[-1]
    info = json.loads(yuyi("info", "runs/tiny/tiny", "--json").out)
    assert (info["dims"], info["max_tokens"]) == ([32, 16], 48)
    again = yuyi("train", "设置.yaml")
    assert "this run is finished; its model is runs/tiny/tiny." in again.error
    kept = yuyi("train", "设置.yaml", "--resume", "--quiet")
    assert (kept.code, kept.out, kept.err) == (0, done.out, "")


def test_a_table_comes_out_ready_for_use(yuyi: Run, tmp_path: Path) -> None:
    write(tmp_path, table_settings())
    done = yuyi("train", "run.yaml", "--out", "table", "--set", "stages.0.steps=8", "--quiet")
    assert (done.code, done.err) == (0, ""), done.err
    assert library.load(tmp_path / "table" / "tiny").dims == (32, 16)


def misused(path: str, value: Any) -> dict[str, Any]:
    return put(settings(), path, value)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (misused("colour", "red"), "run.yaml: colour: no such key. Choose from"),
        (misused("stages.1.tasks.0.form", "bent"), "stages.1.tasks.0.form: Input should be 'forward', 'symm"),
        (misused("dims", {512: 1}), "dims: 512, and the model gives 32 dimensions. Lower it."),
        (misused("precision", "float16"), "precision: float16 is for GPUs"),
        (misused("stages.1.tasks.0.objective", "align"), "align follows a teacher, and there is none"),
        (misused("stages.1.tasks.0.batch", 1), "stages.1.tasks.0"),
        (misused("data", [{"path": "gone.parquet"}]), "gone.parquet: no such file"),
        (misused("stages.1.tasks.0.query_prompt", {"zh": "query"}), "en"),
        (misused("replay", [{"path": "pairs.parquet"}]), "replay: pairs.parquet, and no key says how"),
        (misused("name", "corpus"), "name: corpus is what something else in the folder of a run is called"),
        (misused("teacher", {"package": "no_such_teacher"}), None),
    ],
)
def test_misuse_is_one_clear_line_and_leaves_nothing(
    yuyi: Run, tmp_path: Path, tree: dict[str, Any], message: str | None
) -> None:
    if message is None:
        put(tree, "stages.1.tasks.0", {"objective": "align"})
        message = "teacher.package no_such_teacher: not installed"
    elif message == "stages.1.tasks.0":
        put(tree, "stages.1.tasks.0.negatives", 0)
        message = "stages.1.tasks.0.batch: 1; contrast compares the rows of a batch"
    write(tmp_path, tree)
    assert message in yuyi("train", "run.yaml", "--quiet").error
    assert not (tmp_path / "runs" / "tiny").exists()


def test_bad_data_is_one_clear_line_and_leaves_nothing(yuyi: Run, tmp_path: Path) -> None:
    tree = settings()
    tree["stages"] = tree["stages"][1:]
    write(tmp_path, tree)
    for rows, message in (
        ([], "holds no rows"),
        ([Pair("a", "qa", "护照？", "办理。", None, "zh")], "no 2 rows of one collection and kind"),
        ([Pair("a", "qa", "护照？", "", None, "zh")] * 4, "need a positive. Drop the row"),
    ):
        write_pairs(tmp_path / "pairs.parquet", rows)
        assert message in yuyi("train", "run.yaml", "--quiet").error
        assert not (tmp_path / "runs" / "tiny").exists()


def test_other_files_are_told_apart(yuyi: Run, tmp_path: Path) -> None:
    assert "absent.yaml: no such file" in yuyi("train", "absent.yaml").error
    assert "plan: no such file" in yuyi("train", "./plan").error
    write(tmp_path, {"name": "x", "license": "CC0-1.0", "table": {}}, name="plan")
    assert "Run it with `yuyi run plan`" in yuyi("train", "./plan").error


def wait_for(found: Any, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not found():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "yuyi", "train", *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


@pytest.mark.skipif(os.name != "posix", reason="sends signals to a process")
def test_a_run_that_is_killed_or_stopped_goes_on_to_the_same_bytes(yuyi: Run, tmp_path: Path) -> None:
    tree = put(settings(), "stages.1.steps", 40)
    write(tmp_path, tree)
    whole = yuyi("train", "run.yaml", "-o", "whole", "--quiet")
    assert whole.code == 0, whole.err
    checkpoints = tmp_path / "out" / "checkpoints"

    killed = start(tmp_path, "run.yaml", "-o", "out")
    wait_for(lambda: list(checkpoints.glob("step-*")), killed)
    time.sleep(random.random() / 2)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "out" / "tiny").exists()
    refused = yuyi("train", "run.yaml", "-o", "out")
    assert "out: an unfinished run is there. Go on with it by --resume" in refused.error
    other = yuyi("train", "run.yaml", "-o", "out", "--resume", "--set", "seed=7")
    assert "saved with seed 0, and now it is 7" in other.error

    at = {path.name for path in checkpoints.iterdir()}
    stopped = start(tmp_path, "run.yaml", "-o", "out", "--resume", "--set", "license=my own")
    wait_for(lambda: {path.name for path in checkpoints.iterdir()} != at, stopped)
    os.kill(stopped.pid, signal.SIGINT)
    out, err = stopped.communicate(timeout=60)
    assert (stopped.returncode, out) == (130, b""), err.decode()
    hint = "go on with: yuyi train run.yaml --resume -o out --set 'license=my own'"
    assert hint in err.decode().splitlines()
    assert err.decode().splitlines()[-1] == "stopped; nothing was half-written"

    done = yuyi("train", "run.yaml", "-o", "out", "--resume")
    assert done.code == 0, done.err
    for name in ("model.safetensors", "README.md", "tokenizer.json"):
        assert hash_file(tmp_path / "out" / "tiny" / name) == hash_file(tmp_path / "whole" / "tiny" / name)


@pytest.mark.skipif(sys.platform != "linux", reason="starts ranks with gloo")
def test_two_ranks_make_the_model_of_one(yuyi: Run, tmp_path: Path) -> None:
    tree = put(settings(), "model.dropout", 0.0)
    write(tmp_path, tree)
    assert yuyi("train", "run.yaml", "-o", "one", "--quiet").code == 0
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "yuyi", "train", "run.yaml", "-o", "two",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == "two/tiny\n"
    texts = ["护照 办理 7？", "kettle descale 3"]
    one, two = (library.load(tmp_path / name / "tiny").encode(texts) for name in ("one", "two"))
    np.testing.assert_allclose(one, two, atol=1e-4)
    alone = yuyi("train", "run.yaml", "-o", "two", "--resume")
    assert "saved with world size 2, and now it is 1" in alone.error


def test_a_plan_says_what_a_run_takes_and_writes_nothing(yuyi: Run, tmp_path: Path) -> None:
    write(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    done = yuyi("train", "plan", "run.yaml")
    assert done.code == 0, done.err
    assert "token table" in done.out
    assert "manual (qa)" in done.out
    assert "pairs contrast" in done.out
    assert "Time on 1 x cpu: about 0:00:" in done.out
    found = json.loads(yuyi("train", "plan", "run.yaml", "--ranks", "2", "--json").out)
    assert found["parameters"]["2 layers"] > 0
    assert [task["batch"] for task in found["tasks"]] == [8, 24, 16]
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (
        "name: missing. Add this key" in yuyi("train", "plan", write(tmp_path, {"stages": [{}]}).name).error
    )


def test_models_are_merged(yuyi: Run, tmp_path: Path) -> None:
    one = str(TINY / "bert-zh")
    done = yuyi("train", "merge", one, one, "-o", "merged", "--weights", "0.3,0.7")
    assert (done.code, done.out) == (0, "merged\n"), done.err
    np.testing.assert_allclose(*(library.load(each).encode(["护照"]) for each in (tmp_path / "merged", one)))
    assert "merged: is there already" in yuyi("train", "merge", one, one, "-o", "merged").error
    assert "1 for 2 models" in yuyi("train", "merge", one, one, "-o", "x", "--weights", "1").error
    assert "no numbers" in yuyi("train", "merge", one, one, "-o", "x", "--weights", "a,b").error
    assert "--slerp 0.5: is for two" in yuyi("train", "merge", *[one] * 3, "-o", "x", "--slerp", "0.5").error
