"""Where an export may be written, and that nothing of one's own is lost there."""

from __future__ import annotations

from pathlib import Path

import pytest

from yuyi.errors import InputError
from yuyi.export.distilling.settings import Distilling
from yuyi.export.export import export
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller

MODEL = Path(__file__).parent.parent / "tiny" / "bert-zh"
PLAIN = ExportSettings(targets=("onnx",))


@pytest.fixture
def thesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of somebody's own, and a link to it; the folder above is the one that work is done in."""
    folder = tmp_path / "论文"
    folder.mkdir()
    (folder / "第一章.txt").write_text("多年心血\n" * 20, "utf-8")
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    return folder


def refusal(out: str, settings: ExportSettings = PLAIN, *, force: bool = True) -> str:
    with pytest.raises(InputError) as refused:
        export(MODEL, Path(out), settings, force=force)
    return str(refused.value)


def test_force_replaces_nothing_but_an_export(thesis: Path) -> None:
    assert refusal("论文") == (
        "论文: what is there is from no export, for it has no parity.json. Choose another folder, or "
        "remove it yourself."
    )
    assert "there is something already" in refusal("论文", force=False)
    assert [path.name for path in thesis.iterdir()] == ["第一章.txt"]


@pytest.mark.parametrize("given", ["论文/第一章.txt", "link/第一章.txt"])
@pytest.mark.parametrize("option", ["calibration", "passages", "sts", "corpus", "distil"])
def test_no_file_that_is_given_is_replaced(thesis: Path, option: str, given: str) -> None:
    (thesis / "parity.json").write_text("{}")
    path = Path(given)
    match option:
        case "corpus":
            settings = ExportSettings(targets=("onnx",), smaller=Smaller(corpus=path))
        case "distil":
            settings = ExportSettings(targets=("static",), distilling=Distilling(corpus=path))
        case _:
            settings = ExportSettings(targets=("onnx-int8",), **{option: path})  # type: ignore[arg-type]
    error = refusal("论文", settings)
    assert error == f"论文: {given} is in it, and would be lost. Choose another folder."
    assert path.is_file()


def test_links_and_the_folder_one_is_in_are_named(thesis: Path) -> None:
    assert refusal("link") == f"link: is a link, to {thesis}. Name the folder itself, or another."
    for out in (".", str(thesis.parent), ".."):
        assert refusal(out).startswith(f"{out}: the folder you are in cannot be replaced. Choose another")
