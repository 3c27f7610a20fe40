"""A small real model, and a folder of documents about different things."""

from __future__ import annotations

from pathlib import Path

import pytest

import yuyi

TINY = Path(__file__).parent.parent / "tiny" / "static"


@pytest.fixture(scope="session")
def encoder() -> yuyi.Encoder:
    return yuyi.load(TINY)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "文档"
    (folder / "guide").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "hidden.md").write_text("藏起来的胡子")
    (folder / "问答.md").write_text(
        "# 问答\n\n## 胡子\n\n胡子长得快怎么办？\n\n## 手表\n\n香港买手表哪里好\n", encoding="utf-8"
    )
    (folder / "guide" / "Install.MD").write_text(
        "# Guide\n\n## Install\n\nInstall Python 3 and numpy with pip.\n"
    )
    (folder / "天气.txt").write_bytes("今天天气很好。\n\n我们去公园散步。\n".encode("gb18030"))
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff\0")
    (folder / "empty.md").touch()
    return folder
