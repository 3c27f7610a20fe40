"""The charts are PNG files, and say so where matplotlib is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from folders import data_folder, mark, pair

from yuyi.data.showing.charts import write_charts
from yuyi.errors import MissingExtra
from yuyi.records import Mark

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.data.folder import DataFolder


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    some = [pair("论坛 $x_y", "问答", number) for number in range(30)]
    data = data_folder(tmp_path, {"0000-0000": some})
    mark(data, "filters", {"0000-0000": [Mark(row, "", "too short", 1.0) for row in range(9)]})
    return data


def test_charts_are_the_same_png_files_every_time(folder: DataFolder) -> None:
    pytest.importorskip("matplotlib")
    paths = write_charts(folder)
    assert [path.name for path in paths] == ["sources.png", "rules.png", "reasons.png", "lengths.png"]
    before = [path.read_bytes() for path in paths]
    assert all(each.startswith(b"\x89PNG") and len(each) > 5_000 for each in before)
    assert [path.read_bytes() for path in write_charts(folder)] == before


def test_without_matplotlib_the_error_names_the_extra(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yuyi.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'yuyi\[report\]'"):
        write_charts(folder)
    assert not (folder.path / "charts").exists()
