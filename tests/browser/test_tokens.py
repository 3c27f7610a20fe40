"""Transformers.js cuts texts into the pieces that Python cuts them into."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from model.oracles import FOLDERS, TEXTS, TINY
from tokenizers import Tokenizer

import yuyi
from yuyi.export.base import write_base
from yuyi.export.smaller import Smaller
from yuyi.export.source import open_source

if TYPE_CHECKING:
    from pathlib import Path

MORE = (
    " ",
    "\t 两端有空白 \n",
    "👨‍👩‍👧‍👦 一家人 🇨🇳",
    "naïve café ÀÉÎ e\u0301 İstanbul ß",
    "“引号”‘单’——破折号……～，。！？",
    "①②③ ㈱ ℃ ｶﾀｶﾅ",
    "https://example.com/a?b=c&d=e C++/C# 1,234.56",
    "don't WON'T it's",
    "안녕하세요 세계 नमस्ते สวัสดี Привет",
    "\u200b零宽\u200d\ufeff",
    "[CLS] x [SEP] <s> </s> [UNK]",
    "a\u00a0b\u3000c",
)

_SCRIPT = """
import { AutoTokenizer, env } from "@huggingface/transformers";
import { readFileSync } from "node:fs";
env.allowRemoteModels = false;
const tokenizer = await AutoTokenizer.from_pretrained(process.argv[2]);
const texts = JSON.parse(readFileSync(process.argv[3], "utf8"));
const ids = (text) => tokenizer(text, { truncation: true, return_tensor: false }).input_ids;
console.log(JSON.stringify(texts.map(ids)));
"""


def _ids(folder: Path, texts: tuple[str, ...], modules: Path, scratch: Path) -> list[list[int]]:
    """By Transformers.js in Node."""
    (scratch / "node_modules").symlink_to((modules / "node_modules").resolve())
    (scratch / "ids.mjs").write_text(_SCRIPT)
    (scratch / "texts.json").write_text(json.dumps(texts))
    command = ["node", "ids.mjs", str(folder), "texts.json"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=True, timeout=120)
    found: list[list[int]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", FOLDERS)
def test_pieces_of_encoders(name: str, modules: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    write_base(folder, open_source(TINY / name, Smaller()), ("browser",))
    limit = json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = (*TEXTS, *MORE)
    lengths = []
    for text, found in zip(texts, _ids(folder, texts, modules, tmp_path), strict=True):
        expected = tokenizer.encode(text).ids
        lengths.append(len(expected))
        # A text that is too long is cut behind its end, so that the last special token is missing.
        assert found == expected[:limit], text
    assert min(lengths) <= limit < max(lengths)


def test_pieces_of_the_embedded_table(modules: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    write_base(folder, open_source(None, Smaller()), ("browser",))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    unknown = tokenizer.token_to_id("[UNK]")
    texts = (*TEXTS, *MORE)
    for text, found in zip(texts, _ids(folder, texts, modules, tmp_path), strict=True):
        # Unknown words that follow one another are one unknown piece there; its row holds zeros.
        expected = tokenizer.encode(text).ids
        assert [each for each in found if each != unknown] == [each for each in expected if each != unknown]
    assert not yuyi.load().encode("안녕하세요 세계").any()
