from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

import numpy as np
import pytest

from yuyi.encode import shards as module
from yuyi.encode.shards import Shards, only_run
from yuyi.errors import InputError
from yuyi.text.overflow import EncodeInfo

if TYPE_CHECKING:
    from pathlib import Path

KEY = {"model": "abc", "input": ["in.txt", 5], "prompt_name": None}
SIZE = (3, 100)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.0)


VECTORS = np.arange(6, dtype=np.float16).reshape(3, 2)
INFO = EncodeInfo(np.array([9, 2, 3]), np.array([5, 2, 3]), np.array([1, 1, 2]))


def assert_whole(taken: tuple[np.ndarray, EncodeInfo] | None) -> None:
    assert taken is not None
    vectors, info = taken
    assert vectors.dtype == VECTORS.dtype
    for found, expected in zip((vectors, *astuple(info)), (VECTORS, *astuple(INFO)), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_later_run_finds_what_is_finished(tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    first = Shards(out, KEY, SIZE)
    assert (first.take(0, 3), first.rows) == (None, 0)
    first.keep(3, 6, VECTORS, INFO)
    again = Shards(out, KEY, SIZE)
    assert (again.rows, again.size) == (3, SIZE)
    assert Shards(out, KEY, (9, 900)).size == SIZE
    assert again.take(0, 3) is None
    assert_whole(again.take(3, 6))
    again.remove()
    assert list(tmp_path.iterdir()) == []


def test_short_work_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 60.0)
    Shards(tmp_path / "out.npy", KEY, SIZE).keep(0, 3, VECTORS, INFO)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_shard_is_not_taken(tmp_path: Path) -> None:
    """Cut off, or with one bit turned, wherever that is: it is either not taken, or as it was."""
    shards = Shards(tmp_path / "out.npy", KEY, SIZE)
    shards.keep(0, 3, VECTORS, INFO)
    (path,) = shards.folder.glob("*.npz")
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 7):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]):
            path.write_bytes(damaged)
            taken = shards.take(0, 3)
            refused += taken is None
            if taken is not None:
                assert_whole(taken)
    assert refused > len(whole) / 7


def test_another_key_is_refused_or_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    Shards(out, KEY, SIZE).keep(0, 3, VECTORS, INFO)
    with pytest.raises(InputError, match=r"with another model, input\. .*--force"):
        Shards(out, {**KEY, "input": ["in.txt", 6], "model": "abd"}, SIZE)
    assert Shards(out, KEY, SIZE).rows == 3
    assert Shards(out, {**KEY, "model": "abd"}, SIZE, start_over=True).rows == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out.npy.parts").mkdir()
    (tmp_path / "out.npy.parts/precious").touch()
    with pytest.raises(InputError, match="not the unfinished work"):
        Shards(tmp_path / "out.npy", KEY, SIZE, start_over=True)
    assert (tmp_path / "out.npy.parts/precious").exists()


def test_what_a_kill_left_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    Shards(out, KEY, SIZE).keep(0, 3, VECTORS, INFO)
    for gone in (".out.npy.x1y2z3_4.npy", ".out.npy.lock"):
        (tmp_path / gone).touch()
    (tmp_path / ".out.npy.parts.olc0jvg0").mkdir()
    (tmp_path / ".out.npy.parts.olc0jvg0/manifest.json").touch()
    kept = {
        "out.npy",
        "out.npy.parts",
        ".out.npy.draft.npy",
        ".out.npy.before-monday.npy",
        ".outxnpy.x1y2z3_4.npy",
    }
    for name in kept - {"out.npy.parts"}:
        (tmp_path / name).touch()
    with only_run(out):
        assert {path.name for path in tmp_path.iterdir()} == {*kept, ".out.npy.lock"}
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_two_runs_on_one_output(tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    with only_run(out):
        (tmp_path / ".out.npy.x1y2z3_4.npy").touch()
        with pytest.raises(InputError, match=r"another run is writing it"), only_run(out):
            pass
        with only_run(tmp_path / "other.npy"):
            pass
        assert (tmp_path / ".out.npy.x1y2z3_4.npy").exists()
    with only_run(out):
        assert not (tmp_path / ".out.npy.x1y2z3_4.npy").exists()
    assert list(tmp_path.iterdir()) == []
