"""The snippets of a card, as they are, give the vectors of the folder beside them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

import yuyi
from yuyi.export.javascript.page import Site
from yuyi.export.snippets import javascript_snippets

from .conftest import CLOSE, EXAMPLES
from .deno import post, served

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ONE = "'How do I renew my passport? 护照怎么续签？'"
# Longer than the tiny encoders read.
_LONG = "今天天气很好，我们去公园散步。 The weather is lovely. " * 60


@pytest.fixture(params=["encoder", "with_dense", "embedded"])
def case(request: pytest.FixtureRequest) -> tuple[Path, dict[str, str]]:
    """An exported folder and its snippets."""
    folder: Path = request.getfixturevalue(request.param)
    return folder, javascript_snippets(folder.name, "q8")


def _check(folder: Path, found: list[float], text: str = _ONE.strip("'")) -> None:
    (expected,), _ = yuyi.load(folder, backend="onnx", dtype="int8").encode([text], return_info=True)
    vector: NDArray[np.float64] = np.array(found)
    assert vector.shape == expected.shape
    assert float(vector @ expected) >= CLOSE * float(np.linalg.norm(vector)) > 0


def _beside(folder: Path, place: Path) -> None:
    """Put the exported folder there, so that code finds it beside itself."""
    (place / folder.name).symlink_to(folder)


def test_node(case: tuple[Path, dict[str, str]], modules: Path, tmp_path: Path) -> None:
    folder, snippets = case
    _beside(folder, tmp_path)
    (tmp_path / "node_modules").symlink_to((modules / "node_modules").resolve())
    # Numbers as they are, not as a console shortens a list of them.
    whole = "console.log = (list) => process.stdout.write(JSON.stringify(list))"
    (tmp_path / "whole.mjs").write_text(whole, encoding="utf-8")
    (tmp_path / "snippet.mjs").write_text(snippets["node"], encoding="utf-8")
    command = ["node", "--import", "./whole.mjs", "snippet.mjs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    _check(folder, json.loads(done.stdout))


def test_edge(case: tuple[Path, dict[str, str]], modules: Path, tmp_path: Path) -> None:
    folder, snippets = case
    _beside(folder, tmp_path)
    (tmp_path / "index.js").write_text(snippets["edge"], encoding="utf-8")
    for name in ("deno.json", "package.json"):
        (tmp_path / name).write_bytes((EXAMPLES / "edge" / name).read_bytes())
    with served(tmp_path / "index.js", modules) as address:
        for text in (_ONE.strip("'"), _LONG):
            status, answer = post(address, json.dumps({"input": text}).encode())
            assert status == 200
            _check(folder, answer["embedding"], text)


def test_browser(case: tuple[Path, dict[str, str]], modules: Path, tmp_path: Path) -> None:
    folder, snippets = case
    # The page tells what its console would.
    tell = """<!doctype html><meta charset="utf-8"><script>
      const tell = (path) => (body) => fetch(path, { method: 'POST', body: JSON.stringify(body) });
      console.log = tell('/result');
      addEventListener('unhandledrejection', (event) => tell('/failure')(String(event.reason)));
      addEventListener('error', (event) => tell('/failure')(String(event.message)), true);
    </script>"""
    folders = {"": tmp_path, folder.name: folder, "node_modules": modules / "node_modules"}
    site = Site(folders, {"index.html": f"{tell}{snippets['browser']}".encode()})
    path, body = site.ask("index.html", 60)
    assert path == "/result", body.decode()
    _check(folder, json.loads(body))
