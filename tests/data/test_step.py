"""A step runs once, goes on after a kill, and publishes all or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from yuyi.artifacts import publish_file
from yuyi.data.step import Counts, Workplace, add_counts, read_record, run_step
from yuyi.errors import InputError, WorkerError


def write_part(name: str, job: str, folder: Path) -> Counts:
    if job == "die":
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    with publish_file(folder / f"{name}.txt") as temporary:
        temporary.write_text(job)
    with (folder.parent / "calls.log").open("a") as log:
        log.write(f"{name}\n")
    time.sleep(0.05 if job.startswith("slow") else 0)
    return {"rows": len(job), "by": {job[:1]: 1}}


def run(path: Path, jobs: dict[str, str], workers: int = 1, **settings: int):
    return run_step(
        path,
        lambda place: place.each(jobs, write_part),
        settings=settings,
        inputs={},
        code=("errors.py",),
        workers=workers,
    )


def calls(folder: Path) -> list[str]:
    return (folder / "calls.log").read_text().split()


def test_a_step_counts_its_parts_and_names_them_in_order(tmp_path: Path) -> None:
    record = run(tmp_path / "letters", {"b": "one", "a": "three"})
    assert record.parts == ("a.txt", "b.txt")
    assert record.counts == {"rows": 8, "by": {"o": 1, "t": 1}}
    assert sorted(file.name for file in (tmp_path / "letters").iterdir()) == ["a.txt", "b.txt", "step.json"]
    assert read_record(tmp_path / "letters") == record


def test_a_finished_step_is_kept_until_its_settings_change(tmp_path: Path) -> None:
    first = run(tmp_path / "letters", {"a": "x"}, limit=1)
    again = run(tmp_path / "letters", {"a": "x"}, limit=1)
    assert again.kept and not first.kept and calls(tmp_path) == ["a"]
    assert not run(tmp_path / "letters", {"a": "x"}, limit=2).kept


def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    jobs = {str(number): f"job {number}" for number in range(7)}
    digests = {run(tmp_path / str(workers) / "s", jobs, workers).digest for workers in (1, 3)}
    assert len(digests) == 1


def test_an_error_keeps_the_old_result_and_the_finished_jobs(tmp_path: Path) -> None:
    run(tmp_path / "letters", {"a": "x", "b": "y"}, limit=1)
    with pytest.raises(WorkerError, match="What was finished is kept"):
        run(tmp_path / "letters", {"a": "x", "b": "slow", "c": "die"}, workers=2, limit=2)
    assert read_record(tmp_path / "letters").settings == {"limit": 1}
    run(tmp_path / "letters", {"a": "x", "b": "slow", "c": "z"}, limit=2)
    assert sorted(calls(tmp_path)) == ["a", "a", "b", "b", "c"]
    assert read_record(tmp_path / "letters").settings == {"limit": 2}


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_step import run
if __name__ == "__main__":
    run(Path(sys.argv[1]), {str(n): f"slow {n}" for n in range(40)}, workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_step_goes_on_to_the_same_bytes(tmp_path: Path, workers: int) -> None:
    whole = run(tmp_path / "whole" / "s", {str(n): f"slow {n}" for n in range(40)})
    command = [
        sys.executable,
        "-c",
        KILLED,
        str(tmp_path / "cut" / "s"),
        str(workers),
        str(Path(__file__).parent),
    ]
    for _ in range(2):
        process = subprocess.Popen(command, start_new_session=True)
        log = tmp_path / "cut" / "calls.log"
        before = len(calls(tmp_path / "cut")) if log.exists() else 0
        while not log.exists() or len(calls(tmp_path / "cut")) < before + 5:
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert read_record(tmp_path / "cut" / "s") is None
    resumed = run(tmp_path / "cut" / "s", {str(n): f"slow {n}" for n in range(40)})
    assert resumed.digest == whole.digest and resumed.counts == whole.counts
    # A kill costs at most the jobs that were running.
    assert len(calls(tmp_path / "cut")) <= 40 + 2 * workers


def test_scratch_files_are_made_once_and_removed(tmp_path: Path) -> None:
    made: list[str] = []

    def make(place: Workplace) -> Counts:
        for _ in range(2):
            path = place.once("table", lambda path: made.append("table") or path.write_text("t"))
        with publish_file(place.folder / "out.txt") as temporary:
            temporary.write_text(path.read_text())
        return {}

    run_step(tmp_path / "s", make, settings={}, inputs={}, code=())
    assert made == ["table"]
    assert sorted(file.name for file in (tmp_path / "s").iterdir()) == ["out.txt", "step.json"]


def test_two_processes_do_not_make_one_step(tmp_path: Path) -> None:
    def make(place: Workplace) -> Counts:
        with pytest.raises(InputError, match="another process is making this"):
            run_step(tmp_path / "s", lambda place: {}, settings={}, inputs={}, code=())
        return {"rows": 1}

    assert run_step(tmp_path / "s", make, settings={}, inputs={}, code=()).counts == {"rows": 1}


def test_a_kill_between_two_renames_loses_nothing(tmp_path: Path) -> None:
    run(tmp_path / "s", {"a": "x"}, limit=1)
    (tmp_path / "s").rename(tmp_path / ".s.unfinished")
    assert run(tmp_path / "s", {"a": "x"}, limit=1).kept


def test_counts_add_up_level_by_level() -> None:
    total: Counts = {"rows": 1, "dropped": {"forum": {"short": 1}}}
    add_counts(total, {"rows": 2, "dropped": {"forum": {"short": 1, "long": 2}, "news": {"short": 3}}})
    assert total == {"rows": 3, "dropped": {"forum": {"short": 2, "long": 2}, "news": {"short": 3}}}
