from __future__ import annotations

import json
import os
import resource
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch

from yuyi.errors import InputError, RecipeError, YuyiWarning
from yuyi.train.running import checkpoint
from yuyi.train.running.checkpoint import Checkpoints, Saved, check_same_run

if TYPE_CHECKING:
    from pathlib import Path

TENSORS = {
    "weights/词": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "moments/step": torch.tensor(3.0),
    "moments/exp_avg": torch.full((4,), float("nan"), dtype=torch.bfloat16),
    "empty": torch.zeros(0, 8),
}
VALUES = {"step": 5, "名": "值", "generator": {"state": 2**100}}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(checkpoints: Checkpoints, *places: tuple[int, int]) -> None:
    for stage, step in places:
        tensors = {**TENSORS, "place": torch.tensor([stage, step])}
        checkpoints.write(stage, step, tensors, {**VALUES, "at": [stage, step]})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.newest() is None and checkpoints.last is None
    path = checkpoints.write(0, 5, TENSORS, VALUES)
    assert path == checkpoints.last == tmp_path / "checkpoints" / "step-0-5"
    assert names(path) == ["hashes.json", "tensors.safetensors", "values.json"]
    saved = Checkpoints(tmp_path / "checkpoints").newest()
    assert saved is not None and saved.path == path and saved.values == VALUES
    assert saved.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        torch.testing.assert_close(saved.tensors[name], tensor, rtol=0, atol=0, equal_nan=True)


def test_the_newest_few_are_kept_and_come_first(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=3)
    write(checkpoints, (0, 9), (0, 10), (0, 100), (1, 2), (1, 10))
    assert names(tmp_path) == ["step-0-100", "step-1-10", "step-1-2"]
    saved = checkpoints.newest()
    assert saved is not None and saved.values["at"] == [1, 10]


@pytest.mark.parametrize("file", ["tensors.safetensors", "values.json", "hashes.json"])
@pytest.mark.parametrize("how", ["cut", "changed", "gone"])
def test_a_damaged_newest_one_is_named_and_the_one_before_taken(tmp_path: Path, file: str, how: str) -> None:
    write(Checkpoints(tmp_path), (0, 5), (0, 10))
    path = tmp_path / "step-0-10" / file
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        place = len(content) - 2
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        path.write_bytes(content[:place] if how == "cut" else flipped)
    checkpoints = Checkpoints(tmp_path)
    with pytest.warns(YuyiWarning, match=r"step-0-10: damaged checkpoint .*Going on from the one before"):
        saved = checkpoints.newest()
    assert saved is not None and saved.values["at"] == [0, 5]
    assert checkpoints.last == tmp_path / "step-0-5"
    # A further one takes the place of the damaged, not of the good one.
    write(checkpoints, (0, 7))
    assert names(tmp_path) == ["step-0-5", "step-0-7"]
    write(checkpoints, (0, 10))
    assert names(tmp_path) == ["step-0-10", "step-0-7"]


def test_none_that_is_whole_is_an_error(tmp_path: Path) -> None:
    write(Checkpoints(tmp_path), (0, 5), (0, 10))
    for path in tmp_path.iterdir():
        (path / "values.json").write_text("{}")
    with (
        pytest.warns(YuyiWarning),
        pytest.raises(InputError, match=r"step-0-10: damaged .*No other is whole\. Delete .* start again"),
    ):
        Checkpoints(tmp_path).newest()


def test_a_writer_killed_halfway_leaves_nothing_that_counts(tmp_path: Path) -> None:
    write(Checkpoints(tmp_path), (0, 5))
    half = tmp_path / ".step-0-10.abcdef"
    half.mkdir()
    (half / "tensors.safetensors").write_bytes(b"half")
    checkpoints = Checkpoints(tmp_path)
    saved = checkpoints.newest()
    assert saved is not None and saved.values["at"] == [0, 5]
    write(checkpoints, (0, 10))
    assert names(tmp_path) == ["step-0-10", "step-0-5"]


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_full_disk_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    write(checkpoints, (0, 5))
    before = {path: path.read_bytes() for path in (tmp_path / "step-0-5").iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 300, 20_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        try:
            with pytest.raises(InputError, match=r"step-0-10: cannot be written .*make room"):
                checkpoints.write(0, 10, {**TENSORS, "large": torch.zeros(100_000)}, VALUES)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert names(tmp_path) == ["step-0-5"]
    assert {path: path.read_bytes() for path in before} == before
    saved = Checkpoints(tmp_path).newest()
    assert saved is not None and saved.values["at"] == [0, 5]


def test_a_disk_that_changes_what_it_was_given_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    write(checkpoints, (0, 5))
    save = safetensors.torch.save_file

    def save_otherwise(tensors: dict[str, torch.Tensor], path: Path) -> None:
        save(tensors | {"moments/step": torch.tensor(4.0)}, path)

    monkeypatch.setattr(safetensors.torch, "save_file", save_otherwise)
    with pytest.raises(InputError, match=r"step-0-10: reads otherwise than it was written\. Check the disk"):
        write(checkpoints, (0, 10))
    assert names(tmp_path) == ["step-0-5"] and checkpoints.last == tmp_path / "step-0-5"


def test_a_disk_that_fails_when_all_is_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = checkpoint._sync

    def fail(path: Path) -> None:
        if path == tmp_path:
            raise OSError(5, "Input/output error")
        sync(path)

    monkeypatch.setattr(checkpoint, "_sync", fail)
    with pytest.raises(InputError, match=r"step-0-5: may not have reached the disk \(Input/output error\)"):
        write(Checkpoints(tmp_path), (0, 5))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/checkpoints: cannot be written"):
        Checkpoints(tmp_path / "file" / "checkpoints").write(0, 1, TENSORS, VALUES)


STAGES = [{"rate": 0.1}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"course": {"stages": [{"rate": 0.2}], "dims": {"8": 1}}},
            r"course\.stages\.0\.rate 0\.1, and now it is 0\.2",
        ),
        (
            {"course": {"stages": [], "dims": {"8": 1}}},
            r'course\.stages \[\{"rate": 0\.1\}\], and now it is \[\]',
        ),
        ({"course": {"stages": STAGES, "dims": {}}}, r"course\.dims\.8 1, and now it is missing"),
        ({"world size": 4}, r"world size 1, and now it is 4"),
        ({"corpus": "b"}, r'corpus "a", and now it is "b"'),
        ({"model": {"w": [2, 3], "更": [1]}}, r"model\.更 missing, and now it is \[1\]"),
    ],
)
def test_another_run_is_refused_with_the_key_that_differs(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    run = {
        "course": {"stages": STAGES, "dims": {8: 1}},
        "model": {"w": (2, 3)},
        "corpus": "a",
        "world size": 1,
    }
    saved = Saved(tmp_path / "step-0-5", {}, json.loads(json.dumps({"run": run})))
    check_same_run(saved, run)
    with pytest.raises(RecipeError, match=rf"step-0-5: saved with {message}\. Set it back"):
        check_same_run(saved, run | change)
