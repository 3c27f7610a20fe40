"""Cards that are there already, and what no card is made of."""

from __future__ import annotations

import json
import re
import string
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import ModelCard

import yuyi
from yuyi.errors import InputError, ModelError, YuyiWarning
from yuyi.evaluate.cards.card import make_card, write_card
from yuyi.evaluate.cards.words import WORDS
from yuyi.training_record import TRAINING

from .card_results import card_of, copy, judged, whole_suite, write_all

if TYPE_CHECKING:
    from pathlib import Path


# What is there already.


def test_its_own_card_is_replaced_and_no_other(model: Path) -> None:
    first = card_of(model)
    assert card_of(model) == first
    path = model / "README.md"
    path.write_text(first.replace("# bert-zh", "# Bert"), "utf-8")
    with pytest.raises(InputError, match=r"README\.md: yuyi did not write it, or it was edited since"):
        card_of(model)
    assert "# Bert" in path.read_text("utf-8")
    assert card_of(model, out=model.parent / "card.md").endswith(first[-60:])
    assert card_of(model, force=True) == first


def test_what_only_the_card_said_stays(model: Path) -> None:
    (model / "README.md").write_text(
        "---\nlicense: mit\nlanguage: zh\ndatasets: [a/b]\ntags: [x]\n---\n", "utf-8"
    )
    data = ModelCard(card_of(model, force=True)).data
    assert (data.license, data.language, data.datasets) == ("mit", ["zh"], ["a/b"])
    assert "x" not in data.tags
    card = card_of(model, out=model.parent / "card.md")
    assert ModelCard(card).data.license == "mit"
    card = card_of(model)
    assert ModelCard(card).data.license == "mit"
    assert "| licence | mit |" in card
    (model / "README.md").write_text("no front matter", "utf-8")
    assert ModelCard(card_of(model, force=True)).data.license is None


def test_a_table_of_sources_that_is_replaced_is_warned_of(model: Path) -> None:
    written = "---\ndatasets: [a/kept]\n---\n| source | rows |\n|---|---|\n| 法律 | 3 |\n| AFQMC | 4 |\n"
    (model / "README.md").write_text(written, "utf-8")
    with pytest.warns(
        YuyiWarning, match="told of training on AFQMC, 法律, and nothing in the folder does now"
    ):
        card = card_of(model, force=True)
    assert ModelCard(card).data.datasets == ["a/kept"]
    assert "| AFQMC | STS | cosine_spearman | yes | 36.69 |" in card
    (model / "README.md").write_text(written, "utf-8")
    (model / TRAINING).write_text(json.dumps({"sources": [{"name": "AFQMC"}]}), "utf-8")
    card_of(model, force=True)


# What is refused.


def test_results_of_another_model_are_refused_by_both_fingerprints(tmp_path: Path) -> None:
    one, other = copy("bert-zh", tmp_path), copy("xlm-roberta", tmp_path)
    results = whole_suite(other)
    with pytest.raises(InputError) as refused:
        card_of(one, *results)
    for part in (yuyi.load(one).fingerprint[:12], yuyi.load(other).fingerprint[:12], "xlm-roberta"):
        assert part in str(refused.value)
    with pytest.raises(InputError, match="results of 2 models, bert-zh, xlm-roberta"):
        make_card(one, [*whole_suite(one), *results])
    assert not (one / "README.md").exists()


def test_of_results_of_several_models_its_own_are_taken(tmp_path: Path) -> None:
    one, other = copy("bert-zh", tmp_path), copy("xlm-roberta", tmp_path)
    results = tmp_path / "成绩"
    own, older = judged(one)[0], replace(judged(one)[0], name="旧", fingerprint="0" * 16)
    write_all(results, whole_suite(other))
    write_all(results, [replace(each, model=older) for each in whole_suite(one)])
    with pytest.raises(InputError, match=r"holds results of other models alone: .*xlm-roberta") as refused:
        write_card(one, results)
    assert f"{results / '旧'}" in str(refused.value)
    assert "(旧 000000000000)" in str(refused.value)
    write_all(results, whole_suite(one))
    text = write_card(one, results).read_text("utf-8")
    assert text == card_of(one, *whole_suite(one))
    same = replace(older, name=own.name)
    write_all(results, [replace(each, model=same) for each in whole_suite(one)])
    with pytest.warns(YuyiWarning, match=r"are left out: .*000000000000"):
        assert write_card(one, results).read_text("utf-8") == text


def test_a_fingerprint_of_the_setting_is_known_again(model: Path) -> None:
    _, setting = judged(model)
    narrow = yuyi.load(model, dtype="bfloat16", max_tokens=32)
    changed = replace(setting, dtype="bfloat16", max_length=32)
    results = [
        replace(result, setting=changed, model=replace(result.model, fingerprint=narrow.fingerprint))
        for result in whole_suite(model)
    ]
    assert "bfloat16 with torch on cpu" in card_of(model, *results)


def test_what_is_missing_is_named(model: Path) -> None:
    write = partial(write_card, model)
    with pytest.raises(InputError, match=r"nothing: no such folder\. Name one that yuyi evaluate --results"):
        write(model.parent / "nothing")
    (model.parent / "no results").mkdir()
    with pytest.raises(InputError, match=r"no results: holds no results\. Make them with yuyi evaluate"):
        write(model.parent / "no results")
    with pytest.raises(ModelError, match="no such model folder"):
        write_card(model.parent / "none", model.parent)
    (model.parent / "empty").mkdir()
    with pytest.raises(ModelError, match="not a model folder that yuyi can open"):
        write_card(model.parent / "empty", model.parent)
    with pytest.raises(InputError, match=r"--name 某人/模型: .* letters a to z, digits, - _ \. only"):
        write(model.parent, name="某人/模型")
    with pytest.raises(InputError, match="results of 16 of 32 dimensions alone"):
        card_of(model, *whole_suite(model, dim=16))


def test_both_languages_say_the_same() -> None:
    english, chinese = WORDS["en"], WORDS["zh"]
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        places = [
            {field for _, field, _, _ in string.Formatter().parse(each) if field}
            for each in (text, chinese[key])
        ]
        assert places[0] == places[1], key
        assert re.search(r"[\u4e00-\u9fff]", text) is None
