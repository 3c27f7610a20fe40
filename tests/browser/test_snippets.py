"""The snippets of a card give the vectors of the folder, as they are but for where the library lies."""

from __future__ import annotations

import json
import re
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

_PACKAGE = "@huggingface/transformers"
_ONE = "'How do I renew my passport? 护照怎么续签？'"
# Longer than the tiny encoders read.
_LONG = "今天天气很好，我们去公园散步。 The weather is lovely. " * 60


@pytest.fixture(params=["encoder", "with_dense", "embedded"])
def case(request: pytest.FixtureRequest) -> tuple[Path, dict[str, str]]:
    """An exported folder and its snippets."""
    folder: Path = request.getfixturevalue(request.param)
    return folder, javascript_snippets(str(folder), "q8")


def _check(folder: Path, found: list[float], text: str = _ONE.strip("'")) -> None:
    (expected,), _ = yuyi.load(folder, backend="onnx", dtype="int8").encode([text], return_info=True)
    vector: NDArray[np.float64] = np.array(found)
    assert vector.shape == expected.shape
    assert float(vector @ expected) >= CLOSE * float(np.linalg.norm(vector)) > 0


def test_node(case: tuple[Path, dict[str, str]], modules: Path, tmp_path: Path) -> None:
    folder, snippets = case
    (tmp_path / "node_modules").symlink_to((modules / "node_modules").resolve())
    code = re.sub(r"console\.log\((.*)\)\n$", r"console.log(JSON.stringify(\1))\n", snippets["node"])
    (tmp_path / "snippet.mjs").write_text(code, encoding="utf-8")
    done = subprocess.run(
        ["node", "snippet.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    _check(folder, json.loads(done.stdout.splitlines()[-1]))


def test_edge(case: tuple[Path, dict[str, str]], modules: Path, tmp_path: Path) -> None:
    folder, snippets = case
    assert f"'npm:{_PACKAGE}@4'" in snippets["edge"]
    (tmp_path / "index.js").write_text(
        snippets["edge"].replace(f"npm:{_PACKAGE}@4", _PACKAGE), encoding="utf-8"
    )
    for name in ("deno.json", "package.json"):
        (tmp_path / name).write_bytes((EXAMPLES / "edge" / name).read_bytes())
    with served(tmp_path / "index.js", modules) as address:
        for text in (_ONE.strip("'"), _LONG):
            status, answer = post(address, json.dumps({"input": text}).encode())
            assert status == 200
            _check(folder, answer["embedding"], text)


def test_browser(case: tuple[Path, dict[str, str]], modules: Path) -> None:
    folder, snippets = case
    page = (EXAMPLES / "browser" / "index.html").read_text(encoding="utf-8")
    import_map = page[page.index('<script type="importmap">') : page.index("</script>") + len("</script>")]
    # A page has to be told that models lie beside it; the runtime as well.
    before = f"""<script type="module">
      import {{ env }} from '{_PACKAGE}';
      Object.assign(env, {{ allowRemoteModels: false, allowLocalModels: true, localModelPath: '/' }});
      const at = new URL('/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded', location.href);
      env.backends.onnx.wasm.wasmPaths = {{ mjs: `${{at}}.mjs`, wasm: `${{at}}.wasm` }};
      const tell = (path) => (body) => fetch(path, {{ method: 'POST', body: JSON.stringify(body) }});
      console.log = tell('/result');
      addEventListener('unhandledrejection', (event) => tell('/failure')(String(event.reason)));
    </script>"""
    snippet = snippets["browser"].replace(str(folder), "model")
    html = f'<!doctype html><meta charset="utf-8">{import_map}{before}{snippet}'
    folders = {"": folder, "model": folder, "node_modules": modules / "node_modules"}
    site = Site(folders, {"index.html": html.encode()})
    path, body = site.ask("index.html", 60)
    assert path == "/result", body.decode()
    _check(folder, json.loads(body))
