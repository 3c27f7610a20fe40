"""Steps that were made from other things than are there now are refused, by the command to run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from yuyi.artifacts import publish_file
from yuyi.data.folder import DataFolder
from yuyi.data.step import Counts, Workplace, run_step
from yuyi.errors import InputError
from yuyi.records import Mark, write_marks

if TYPE_CHECKING:
    from pathlib import Path

CHAIN = {
    "documents": (),
    "blocks": ("documents",),
    "pairs": ("blocks", "documents"),
    "marks/filters": ("pairs",),
    "marks/consistency": ("pairs", "marks/filters"),
}


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "a folder")
    for step in CHAIN:
        do(folder, step, "first")
    return folder


def do(folder: DataFolder, step: str, content: str) -> None:
    def make(place: Workplace) -> Counts:
        if step.startswith("marks/"):
            write_marks(place.folder / "0000-0000.parquet", [Mark(len(content), "x", step, 1.0)])
        else:
            with publish_file(place.folder / "0000-0000.parquet") as temporary:
                temporary.write_text(content)
        return {}

    # A source may be called like a step.
    inputs = (
        {"pairs": "0"} if step == "documents" else {name: folder.need(name).digest for name in CHAIN[step]}
    )
    run_step(folder.path / step, make, settings={"content": content}, inputs=inputs, code=())


def test_what_is_up_to_date_is_given(folder: DataFolder) -> None:
    assert folder.mark_steps() == ["marks/consistency", "marks/filters"]
    assert folder.dropped_rows("0000-0000") == {5}


def test_what_a_killed_step_left_is_no_step(folder: DataFolder) -> None:
    filters = folder.path / "marks/filters"
    shutil.copytree(filters, filters.with_name(".filters.unfinished"))
    assert folder.mark_steps() == ["marks/consistency", "marks/filters"]


@pytest.mark.parametrize(
    ("changed", "needed", "command"),
    [
        ("documents", "blocks", "clean"),
        ("documents", "pairs", "clean"),
        ("blocks", "pairs", "pairs"),
        ("pairs", "marks/filters", "filter"),
        ("marks/filters", "marks/consistency", "consistency"),
    ],
)
def test_what_is_out_of_date_is_refused(folder: DataFolder, changed: str, needed: str, command: str) -> None:
    do(folder, changed, "second")
    with pytest.raises(InputError, match=rf"other .* than are there now\. Run again: yuyi data {command} '"):
        folder.need(needed)
    assert folder.need(changed)


def test_a_step_need_not_look_at_its_own_old_marks(folder: DataFolder) -> None:
    do(folder, "marks/filters", "second")
    with pytest.raises(InputError, match="yuyi data consistency"):
        folder.mark_steps()
    assert folder.mark_steps(without=("marks/consistency",)) == ["marks/filters"]


def test_marks_that_are_lost_are_no_absence_of_marks(folder: DataFolder) -> None:
    (folder.path / "marks/filters/0000-0000.parquet").unlink()
    with pytest.raises(InputError, match="no such file"):
        folder.dropped_rows("0000-0000")


def test_what_a_verb_made_can_be_removed(folder: DataFolder) -> None:
    folder.remove("consistency")
    assert folder.mark_steps() == ["marks/filters"]
    assert folder.record("marks/consistency") is None


def test_what_was_never_made_is_named_with_its_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no finished blocks\. Run: yuyi data clean"):
        DataFolder(tmp_path).need("blocks")


def test_a_damaged_record_is_named(folder: DataFolder) -> None:
    (folder.path / "pairs/step.json").write_text('{"step": ')
    with pytest.raises(InputError, match=r"pairs/step\.json: damaged .* Remove the folder"):
        folder.need("pairs")
