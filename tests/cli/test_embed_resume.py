"""`yuyi embed` killed at any moment and started again; `sitecustomize.py` makes it slow, its shards small."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import TINY

ROWS, SHARD = 1_000, 50
SLOW = f"""
import pathlib, time
import yuyi.cli.embed, yuyi.encode.shards, yuyi.encode.workers as workers

yuyi.encode.shards._PATIENCE_SECONDS = 0.0
yuyi.cli.embed._FAST_SHARD = ({SHARD}, 1 << 22)
encode_shard = workers.encode_shard

def slow(encoder, texts, first, *done, **options):
    with (pathlib.Path(__file__).parent / "log").open("a") as log:
        log.write(f"{{first}}\\n")
    time.sleep(0.03)
    if "die" in texts and not pathlib.Path("mended").exists():
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    return encode_shard(encoder, texts, first, *done, **options)

workers.encode_shard = yuyi.cli.embed.encode_shard = slow
"""


class Embed:
    """`yuyi embed in.csv -o OUT` in a folder of its own."""

    def __init__(self, folder: Path, out: str) -> None:
        self.folder = folder / "work"
        self.out = self.folder / out
        self.log = folder / "log"
        self.environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
        (folder / "sitecustomize.py").write_text(SLOW)
        self.folder.mkdir()
        self.write_input()

    def write_input(self, **rows: str) -> None:
        texts = {str(number): f"胡子长得太快 passport {number}" for number in range(ROWS)} | rows
        lines = ["id,text", *(f"{number},{text}" for number, text in texts.items())]
        (self.folder / "in.csv").write_text("\n".join(lines), encoding="utf-8")

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "yuyi", "embed", "in.csv", "-o", self.out.name, "-m", str(TINY)]
        return subprocess.Popen(
            [*command, *options],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str) -> tuple[int, str, str]:
        process = self.start(*options)
        out, error = process.communicate(timeout=60)
        return process.returncode, out, error

    def killed(self, *options: str, at: float, how: signal.Signals = signal.SIGKILL) -> tuple[int, str]:
        """Its exit code and standard error, killed after that many seconds from its first shard on."""
        encoded = len(self.encoded)
        process = self.start(*options)
        while len(self.encoded) == encoded and process.poll() is None:
            time.sleep(0.005)
        time.sleep(at)
        process.send_signal(how)
        _, error = process.communicate(timeout=60)
        return process.returncode, error

    @property
    def encoded(self) -> list[int]:
        """The first row of each shard that was encoded, over all runs."""
        return [int(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.out.read_bytes()).hexdigest()

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def npy(tmp_path: Path) -> Embed:
    return Embed(tmp_path, "out.npy")


@pytest.mark.parametrize(
    ("out", "options", "seed"),
    [
        ("out.npy", (), 1),
        ("out.npy", ("--workers", "2"), 2),
        ("out.parquet", (), 3),
        ("out.jsonl", ("--precision", "int8"), 4),
        ("out.jsonl", ("--workers", "2"), 5),
    ],
)
def test_killed_again_and_again(tmp_path: Path, out: str, options: tuple[str, ...], seed: int) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole, embed = Embed(tmp_path / "whole", out), Embed(tmp_path / "killed", out)
    assert whole.run(*options)[0] == 0
    dice = random.Random(seed)
    kills = 0
    while kills < 5 and not embed.out.exists():
        code, error = embed.killed(*options, at=dice.uniform(0, 0.3))
        assert code in (0, -signal.SIGKILL), error
        kills += code != 0
    if not embed.out.exists():
        code, _, error = embed.run(*options)
        assert (code, "from an earlier run" in error) == (0, True)
        assert embed.left == sorted(["in.csv", out])
    assert embed.digest == whole.digest
    assert set(embed.encoded) == set(range(0, ROWS, SHARD))
    # A kill undoes the shards in hand, one for each process, and no finished one.
    in_hand = 2 if "--workers" in options else 1
    assert len(embed.encoded) <= ROWS / SHARD + kills * in_hand


def test_it_says_where_it_goes_on(npy: Embed) -> None:
    npy.killed(at=0.2)
    code, out, error = npy.run("--json")
    summary = json.loads(out)
    assert (code, summary["rows"]) == (0, ROWS)
    assert 0 < summary["resumed"] < ROWS
    assert error == f"going on after {summary['resumed']:,} rows that an earlier run finished\n"


def test_two_runs_on_one_output(npy: Embed) -> None:
    """The second is refused and leaves the first one's temporaries alone."""
    first = npy.start()
    while not npy.encoded:
        time.sleep(0.005)
    code, _, error = npy.run("--force")
    assert (code, error.count("\n")) == (2, 1)
    assert "out.npy: another run is writing it" in error
    assert first.communicate(timeout=60)[1]
    assert first.returncode == 0
    assert npy.left == ["in.csv", "out.npy"]


def test_what_kills_left_is_gone_after_the_next_run(npy: Embed) -> None:
    (npy.folder / ".out.npy.parts.olc0jvg0").mkdir()
    (npy.folder / ".out.npy.olc0jvg0.npy").touch()
    assert npy.run()[0] == 0
    assert npy.left == ["in.csv", "out.npy"]


def test_ctrl_c_says_what_is_kept(npy: Embed) -> None:
    code, error = npy.killed(at=0.2, how=signal.SIGINT)
    assert code == 130
    assert "rows are kept in out.npy.parts; the same command goes on from there" in error
    assert "Traceback" not in error
    assert npy.left == ["in.csv", "out.npy.parts"]


@pytest.mark.parametrize(
    ("options", "name"), [(("--dim", "8"), "model"), (("--precision", "int8"), "precision"), ((), "input")]
)
def test_another_command_is_refused_or_starts_over(npy: Embed, options: tuple[str, ...], name: str) -> None:
    npy.killed(at=0.2)
    if name == "input":
        npy.write_input(new="one more")
    code, _, error = npy.run(*options)
    assert code == 2
    assert f"another {name}. Run that one again" in error
    code, out, error = npy.run(*options, "--force", "--json")
    assert (code, json.loads(out)["resumed"]) == (0, 0), error
    assert npy.left == ["in.csv", "out.npy"]


def test_rows_that_kill_workers_cost_only_themselves(npy: Embed) -> None:
    npy.write_input(**{"510": "die"})
    code, _, error = npy.run("--workers", "2")
    assert code == 2
    assert "no worker process survived texts 500 to 549" in error
    assert "950 rows are kept in out.npy.parts" in error
    assert "Traceback" not in error
    (npy.folder / "mended").touch()
    code, out, _ = npy.run("--workers", "2", "--json")
    assert (code, json.loads(out)["resumed"]) == (0, 950)
    assert np.load(npy.out).shape == (ROWS, 32)


def test_ctrl_c_ends_the_workers_too(npy: Embed) -> None:
    code, error = npy.killed("--workers", "2", at=0.3, how=signal.SIGINT)
    assert (code, "Traceback" in error) == (130, False)
    deadline = time.monotonic() + 10
    while children := _processes_in(npy.folder):
        assert time.monotonic() < deadline, children
        time.sleep(0.02)


def _processes_in(folder: Path) -> list[Any]:
    """Processes that work in a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "cwd").readlink() == folder:
                found.append(place.name)
        except OSError:  # It has ended, or is not ours.
            continue
    return found
