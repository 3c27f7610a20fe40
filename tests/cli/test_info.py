from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import yuyi as package

from .conftest import TINY

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run


def test_facts_for_scripts(yuyi: Run) -> None:
    facts = json.loads(yuyi("info", TINY, "--json", "--tokens", "胡子长得太快").out)
    encoder = package.load(TINY)
    assert facts["fingerprint"] == encoder.fingerprint
    assert facts["dims"] == [32, 16, 8]
    assert facts["languages"] == ["zh", "en"]
    assert facts["bytes"] == sum(file.stat().st_size for file in TINY.iterdir())
    assert facts["tokens"] == encoder.tokens("胡子长得太快")
    assert facts["versions"]["yuyi"] == package.__version__


def test_facts_for_people(yuyi: Run) -> None:
    done = yuyi("info", TINY, "--tokens", "胡子长得太快")
    assert done.code == 0
    assert "tiny-static" in done.out
    assert package.load(TINY).fingerprint in done.out
    assert "胡子 | 长得 | 太快" in done.out


def test_facts_of_a_transformer(yuyi: Run) -> None:
    folder = TINY.parent / "bert-zh"
    facts = json.loads(yuyi("info", folder, "--json").out)
    assert (facts["dims"], facts["max_tokens"]) == ([32], 48)
    assert facts["prompts"] == {"query": "为这个句子生成表示：", "document": ""}
    assert facts["engine"]["backend"] == "torch"
    done = yuyi("info", folder)
    assert "backend torch" in done.out
    assert "query 为这个句子生成表示：" in done.out


def test_provenance_and_card_are_shown(yuyi: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(TINY, tmp_path / "model")
    (folder / "provenance.json").write_text('{"recipe": "static-zh-en", "data": [{"file": "a"}]}')
    (folder / "README.md").write_text("# A model")
    done = yuyi("info", folder)
    assert "recipe static-zh-en" in done.out
    assert "README.md" in done.out
    assert json.loads(yuyi("info", folder, "--json").out)["trained_from"]["data"] == [{"file": "a"}]


def test_damage_is_found(yuyi: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(TINY, tmp_path / "model")
    table = folder / "table.safetensors"
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(data)
    assert "damaged" in yuyi("info", folder).error


def test_damaged_provenance_is_found(yuyi: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(TINY, tmp_path / "model")
    (folder / "provenance.json").write_text("{")
    assert "provenance.json: damaged" in yuyi("info", folder).error


def test_a_folder_without_a_model(yuyi: Run, tmp_path: Path) -> None:
    assert "not a model folder" in yuyi("info", tmp_path).error
