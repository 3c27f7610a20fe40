from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from yuyi.known import all_models

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run


def test_the_table_names_every_model_and_fits_100_columns(yuyi: Run) -> None:
    done = yuyi("models", COLUMNS="100")
    assert done.code == 0
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 100
    for model in all_models():
        row = next(line.split() for line in lines if f" {model.id or model.name} " in line)
        assert "/".join(map(str, model.dims)) in row
        for means in model.scores.values():
            assert f"{means['average']:.2f}" in row


def test_a_narrow_table_keeps_each_model_on_its_line(yuyi: Run) -> None:
    lines = yuyi("models", COLUMNS="80").out.splitlines()
    assert max(map(len, lines)) <= 80
    for model in all_models():
        assert sum(model.name == line.split()[0] for line in lines if line.strip()) == 1, model.name


def test_the_best_comes_first_in_each_language(yuyi: Run) -> None:
    rows = [line for line in yuyi("models", COLUMNS="100").out.splitlines() if " zh " in line]
    averages = [float(found[0]) for row in rows if (found := re.search(r"\d\d\.\d\d", row))]
    assert len(averages) > 10
    assert averages == sorted(averages, reverse=True)


def test_facts_for_scripts(yuyi: Run) -> None:
    rows = json.loads(yuyi("models", "--json").out)
    assert {row["name"] for row in rows} == {model.name for model in all_models()}
    acge = next(row for row in rows if row["name"] == "acge_text_embedding")
    assert acge["id"] == "aspire/acge_text_embedding"
    assert (acge["dims"], acge["pooling"], acge["max_tokens"]) == ([1792, 1024], "mean", 1024)
    assert acge["scores"]["C-MTEB (35)"]["average"] == 68.91


def test_a_choice_by_language_and_name(yuyi: Run) -> None:
    rows = json.loads(yuyi("models", "GTE", "--language", "zh", "--json").out)
    names = [row["name"] for row in rows]
    assert names == ["gte-large-zh", "gte-base-zh", "gte-small-zh", "gte-multilingual-base"]
    owned = json.loads(yuyi("models", "thenlper/", "-l", "EN", "--json").out)
    assert {row["name"] for row in owned} == {"gte-small", "gte-base", "gte-large"}


def test_what_is_on_this_machine(yuyi: Run, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "models" / "gte-small-zh"
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    settings = {"YUYI_HOME": str(tmp_path / "home"), "HF_HUB_CACHE": str(tmp_path)}
    rows = json.loads(yuyi("models", "gte", "--json", **settings).out)
    assert {row["name"]: row["folder"] for row in rows if row["folder"]} == {"gte-small-zh": str(folder)}
    table = yuyi("models", "gte", **settings).out.partition("\n\n●")[0]
    assert [line.split()[1] for line in table.splitlines() if line.startswith("●")] == ["gte-small-zh"]


@pytest.mark.parametrize(
    ("arguments", "asked"), [(["nothing-like-this"], "nothing-like-this"), (["-l", "xx"], "--language xx")]
)
def test_nothing_fits(yuyi: Run, arguments: list[str], asked: str) -> None:
    assert yuyi("models", *arguments).error.startswith(f"{asked}: no known model fits.")
