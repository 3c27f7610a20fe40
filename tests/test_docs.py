"""What the documentation shows is run: doctests of the public rooms, and every Python block of the pages."""

from __future__ import annotations

import doctest
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
DOCUMENTS = REPOSITORY / "tests" / "data" / "documents"
PAGES = [
    "README.md",
    *sorted(str(page.relative_to(REPOSITORY)) for page in (REPOSITORY / "docs").glob("*.md")),
]
MODULES = ["yuyi", "yuyi.encode.encoder", "yuyi.encode.load"]


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


def python_blocks(page: str) -> list[str]:
    return re.findall(
        r"^```python\n(.*?)^```", (REPOSITORY / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)])
def test_python_blocks_run(page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in python_blocks(page):
        if "__main__" in block:  # Processes that it starts read the script again.
            (tmp_path / "script.py").write_text(block, "utf-8")
            shutil.copytree(DOCUMENTS, tmp_path / "docs")
            subprocess.run([sys.executable, "script.py"], cwd=tmp_path, check=True)
        else:
            exec(compile(block, page, "exec"), {})
    assert "Traceback" not in capsys.readouterr().err


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        file = REPOSITORY / page
        for target in re.findall(r"\]\(([^)#]+)\)", file.read_text("utf-8")):
            if "://" not in target:
                assert (file.parent / target).exists(), f"{page}: {target}"
