"""Which files are found."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from yuyi.errors import InputError
from yuyi.search.scan import scan

if TYPE_CHECKING:
    from pathlib import Path


def test_text_files_of_a_folder_in_order_without_hidden_ones(documents: Path) -> None:
    (documents / ".secret.md").touch()
    found = scan([str(documents)])
    assert [file.path for file in found.files] == [
        str(documents / name) for name in ("empty.md", "天气.txt", "问答.md", "guide/Install.MD")
    ]
    assert found.hidden == 2
    assert found.unreadable == []
    assert found.files[1].size == (documents / "天气.txt").stat().st_size


def test_paths_are_shown_as_they_were_written(documents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(documents)
    assert [file.shown for file in scan(["guide/"]).files] == ["guide/Install.MD"]
    assert scan(["./问答.md", "."]).files[0].shown == "问答.md"
    assert "guide/Install.MD" in [file.shown for file in scan(["."]).files]
    assert scan(["../文档/问答.md"]).files[0].shown == "../文档/问答.md"


def test_each_file_counts_once(documents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(documents)
    paths = ["问答.md", ".", str(documents / "问答.md"), "guide", "guide/../问答.md"]
    assert len(scan(paths).files) == len(scan(["."]).files)


def test_a_named_file_counts_whatever_its_name(documents: Path) -> None:
    named = documents / ".hidden-notes"
    named.write_text("胡子")
    assert [file.path for file in scan([str(named)]).files] == [str(named)]


def test_links_to_files_are_followed_and_loops_are_not(documents: Path) -> None:
    (documents / "guide" / "up").symlink_to(documents)
    (documents / "guide" / "z.md").symlink_to(documents / "问答.md")
    (documents / "guide" / "broken.md").symlink_to(documents / "nowhere")
    found = scan([str(documents / "guide")])
    assert [file.shown.rpartition("/")[2] for file in found.files] == ["Install.MD", "z.md"]


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: No such file"):
        scan([str(tmp_path / "nowhere")])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        scan([str(tmp_path / "pipe")])
