"""The example page, opened in Chromium: texts of both languages, nearest first, without another server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import yuyi
from yuyi.export.javascript.page import Site

from .conftest import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

# Chooses another example, waits for its results, and tells what stands in the page.
_PROBE = """<script type="module">
  const seen = (selector) => [...document.querySelectorAll(selector)].map((each) => each.textContent);
  const until = async (isSo) => { while (!isSo()) await new Promise((go) => setTimeout(go, 50)); };
  await until(() => seen("#results li").length || document.querySelector("#status.wrong"));
  const before = seen("#results li span")[0];
  document.querySelectorAll("#examples button")[1].click();
  await until(() => seen("#results li span")[0] !== before || document.querySelector("#status.wrong"));
  const english = seen("#status, #lead");
  document.getElementById("language").click();
  const resources = performance.getEntriesByType("resource").map(({ name }) => name);
  await fetch("/result", { method: "POST", body: JSON.stringify({
    query: document.getElementById("query").value, texts: seen("#results li span"),
    scores: seen("#results output").map(Number), english, chinese: seen("#status, #lead"), resources,
  })});
</script>"""


@pytest.mark.parametrize("model", ["embedded", "encoder"])
def test_the_page_compares_texts(model: str, modules: Path, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(model)
    page = (EXAMPLES / "browser" / "index.html").read_text(encoding="utf-8")
    site = Site(
        {"": EXAMPLES / "browser", "model": folder, "node_modules": modules / "node_modules"},
        {"index.html": page.replace("</body>", f"{_PROBE}</body>").encode()},
    )
    seen = json.loads(site.ask("index.html", 60, "--lang=en")[1])
    assert seen["query"] == "Where can I buy a watch?"
    assert len(seen["texts"]) == 8
    assert seen["scores"] == sorted(seen["scores"], reverse=True)
    vectors = yuyi.load(folder, backend="onnx", dtype="int8").encode([seen["query"], *seen["texts"]])
    assert np.allclose(vectors[1:] @ vectors[0], seen["scores"], atol=0.02)
    assert f"{vectors.shape[1]} dimensions" in seen["english"][1]
    assert f"{vectors.shape[1]} 维" in seen["chinese"][1]
    assert all(name.startswith("http://127.0.0.1:") for name in seen["resources"])


def test_a_page_without_a_model_says_how_to_make_one(modules: Path, tmp_path: Path) -> None:
    page = (EXAMPLES / "browser" / "index.html").read_text(encoding="utf-8")
    site = Site(
        {"": EXAMPLES / "browser", "model": tmp_path, "node_modules": modules / "node_modules"},
        {"index.html": page.replace("</body>", f"{_PROBE}</body>").encode()},
    )
    seen = json.loads(site.ask("index.html", 60, "--lang=en")[1])
    assert "yuyi export MODEL -o model --to browser" in seen["english"][1]
    assert "yuyi export 模型 -o model --to browser" in seen["chinese"][1]
