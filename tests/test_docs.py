"""What the documentation shows is run: doctests of the public rooms, and every Python block of the pages."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from yuyi.cli.app import app

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


def command_lines() -> list[tuple[str, list[str]]]:
    """Each `yuyi ...` that a page shows in a block of the shell, or a recipe in its first lines."""
    found = []
    for page in PAGES:
        text = (REPOSITORY / page).read_text("utf-8")
        for block in re.findall(r"^```(?:bash|sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            found += [(page, line) for line in re.findall(r"^(?:.* -m )?(yuyi .*)$", block, re.MULTILINE)]
    for recipe in sorted((REPOSITORY / "recipes").rglob("*.yaml")):
        found += [
            (recipe.name, line)
            for line in re.findall(r"^#   (yuyi .*)$", recipe.read_text("utf-8"), re.MULTILINE)
        ]
    return [(where, shlex.split(line, comments=True)) for where, line in found]


@pytest.mark.parametrize(("where", "words"), command_lines())
def test_command_lines_are_such_as_the_program_takes(where: str, words: list[str]) -> None:
    command, context, arguments = get_command(app), None, words[1:]
    name: str | None = words[0]
    while True:
        context = command.make_context(name, list(arguments), parent=context)
        command = context.command  # What `yuyi train FILE` leads to.
        if not isinstance(command, TyperGroup):
            return
        name, inner, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        assert inner is not None
        command = inner


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        file = REPOSITORY / page
        for target in re.findall(r"\]\(([^)#]+)\)", file.read_text("utf-8")):
            if "://" not in target:
                assert (file.parent / target).exists(), f"{page}: {target}"
