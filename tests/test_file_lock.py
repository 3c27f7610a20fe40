"""Locks on files between processes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from yuyi.file_lock import try_lock, wait_for_lock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, time
from pathlib import Path
from yuyi.file_lock import try_lock

with Path(sys.argv[1]).open("w") as file:
    assert try_lock(file)
    print("held", flush=True)
    sys.stdin.read()
    Path(sys.argv[2]).touch()
"""


def test_a_lock_is_another_process_s_until_that_ends(tmp_path: Path) -> None:
    place, told = tmp_path / "lock", tmp_path / "ended"
    command = [sys.executable, "-c", HOLD, str(place), str(told)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdin is not None
    with holder:
        assert holder.stdout.readline() == "held\n"
        with place.open("w") as file:
            assert not try_lock(file)
            holder.stdin.close()
            wait_for_lock(file)
            assert told.exists()
    assert holder.returncode == 0
    with place.open("w") as file:
        assert try_lock(file)


def test_a_lock_on_a_file_that_was_deleted_is_none(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    with place.open("w") as file:
        place.unlink()
        assert not try_lock(file)
        with place.open("w") as other:
            assert try_lock(other)
