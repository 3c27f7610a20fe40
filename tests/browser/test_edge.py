"""The example function, run by Deno: a text in, its vector out."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import numpy as np
import pytest

import yuyi

from .conftest import CLOSE, EXAMPLES
from .deno import post, served

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ("护照怎么续签？", "How do I renew my passport?", "语义搜索 turns text into 向量 😀", "𠮷野家", "")
REFUSED = {
    b"no JSON": "The body is not JSON.",
    b'{"inputs": "x"}': "There is no input.",
    b"[]": "There is no input.",
    b"null": "There is no input.",
    b'{"input": 7}': "input is not a text.",
    b'{"input": ["x"]}': "input is not a text.",
}


@pytest.mark.parametrize("model", ["embedded", "encoder", "with_dense"])
def test_the_function_answers(
    model: str, modules: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(model)
    for name in ("index.ts", "deno.json", "package.json"):
        shutil.copy(EXAMPLES / "edge" / name, tmp_path)
    encoder = yuyi.load(folder, backend="onnx", dtype="int8")
    with served(tmp_path / "index.ts", modules, MODEL=str(folder)) as address:
        for text in TEXTS:
            status, answer = post(address, json.dumps({"input": text}).encode())
            assert (status, list(answer)) == (200, ["embedding"])
            found, expected = np.array(answer["embedding"]), encoder.encode(text)
            assert found.shape == expected.shape
            length = np.linalg.norm(found)
            assert float(found @ expected) >= CLOSE * length
            assert bool(length) == bool(expected.any())
        for body, reason in REFUSED.items():
            assert post(address, body) == (400, {"error": f'{reason} Send {{"input": "a text"}}.'})
        with pytest.raises(urllib.error.HTTPError, match="405"):
            urllib.request.urlopen(address, timeout=60)
