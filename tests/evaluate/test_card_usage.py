"""The code that a card shows is run, with models that are there and without a network."""

from __future__ import annotations

import re
import shlex
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from onnx_export import States, export
from typer.testing import CliRunner

from yuyi.cli.app import app
from yuyi.evaluate.cards.words import LANGUAGES

from .card_results import card_of, copy

if TYPE_CHECKING:
    from pathlib import Path


def blocks(card: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", card, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["bert-zh", "static"])
def test_the_snippets_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, name: str, language: Any
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    card = card_of(copy(name, tmp_path), language=language)
    monkeypatch.chdir(tmp_path)
    codes = blocks(card, "python")
    assert len(codes) == 2
    printed = []
    for code in codes:
        exec(compile(code, name, "exec"), {})
        printed.append(capsys.readouterr().out)
    assert ("(16,)" in printed[1]) == (name == "static")
    if name == "bert-zh":  # yuyi's and sentence-transformers' figures.
        ours, theirs = (list(map(float, re.findall(r"-?\d\.\d+", text))) for text in printed)
        assert ours == pytest.approx(theirs, abs=1e-3)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "一.md").write_text("# 胡子\n\n怎样使胡子不浓密？ a passport\n", "utf-8")
    (commands,) = blocks(card, "bash")
    for line in commands.splitlines():
        done = CliRunner().invoke(app, shlex.split(line)[1:])
        assert done.exit_code == 0, done.output
        assert "胡子" in done.output or "assport" in done.output


def test_the_name_on_the_hub_stands_in_snippets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = copy("bert-zh", tmp_path)
    card = card_of(model, name="someone/my-model")
    home = model.parent / "home"
    shutil.copytree(model, home / "models" / "someone" / "my-model")
    monkeypatch.setenv("YUYI_HOME", str(home))
    code = blocks(card, "python")[0]
    assert 'yuyi.load("someone/my-model")\n' in code
    exec(compile(code, "card", "exec"), {})
    assert "# my-model\n" in card
    assert "--model someone/my-model\n" in card


def test_what_holds_onnx_alone_is_for_yuyi_alone(tmp_path: Path) -> None:
    from transformers import AutoModel

    folder = copy("bert-zh", tmp_path)
    names = ("input_ids", "attention_mask", "token_type_ids")
    export(States(AutoModel.from_pretrained(folder), names), folder / "onnx" / "model.onnx")
    (folder / "model.safetensors").unlink()
    card = card_of(folder)
    assert "sentence_transformers" not in card
    assert "float32 with onnx on cpu" in card
    assert "| parameters |" not in card
