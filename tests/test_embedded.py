"""The model inside the package: small, whole, and right on examples that a person can judge."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import yuyi
from yuyi.artifacts import hash_file, is_sealed
from yuyi.encode.load import EMBEDDED
from yuyi.evaluate.linting.lint import lint
from yuyi.evaluate.results import from_json
from yuyi.training_record import read_training

LIMIT = 16_000_000
REPORT = Path(__file__).parent.parent / "docs" / "reports" / "static-zh-en.html"

SCORES = from_json((EMBEDDED / "scores.json").read_text("utf-8"))

# What the model must reach at 256 dimensions: main scores x 100, for Waimai one classifier on all rows.
FLOORS = {
    "AFQMC_validation": 30,
    "BQ_test": 57,
    "LCQMC_test": 58,
    "STSB_zh_test": 70,
    "Cmnli_validation": 68,
    "Waimai": 86,
    "STS12": 50,
    "STS13": 63,
    "STSBenchmark_en_test": 65,
    "retrieval_docs_zh": 61,
    "retrieval_cmrc2018_zh": 68,
    "retrieval_docs_en": 58,
    "retrieval_wikiqa_en": 44,
    "bitext_xquad_en_zh": 19,
}


@pytest.fixture(scope="module")
def model() -> yuyi.Encoder:
    return yuyi.load()


def ranking(model: yuyi.Encoder, query: str, texts: list[str]) -> list[str]:
    scores = model.similarity(model.encode_query(query), model.encode_document(texts))[0]
    return [texts[place] for place in np.argsort(-scores)]


def test_it_is_small_enough() -> None:
    assert sum(file.stat().st_size for file in EMBEDDED.iterdir()) <= LIMIT


def test_it_declares_what_it_is(model: yuyi.Encoder) -> None:
    assert model.dims == (256, 128, 64)
    assert model.languages == ("zh", "en")
    assert model.license == "Apache-2.0"


def test_provenance_and_scores_are_of_this_very_model(model: yuyi.Encoder) -> None:
    provenance = json.loads((EMBEDDED / "provenance.json").read_text("utf-8"))
    assert provenance["fingerprint"] == model.fingerprint
    assert {result.model.fingerprint for result in SCORES} == {model.fingerprint}
    assert {result.setting.dim for result in SCORES} == set(model.dims)


def test_the_recipe_in_the_repository_is_the_one_that_made_it() -> None:
    provenance = json.loads((EMBEDDED / "provenance.json").read_text("utf-8"))
    recipe = Path(__file__).parent.parent / "recipes" / provenance["recipe"]["file"]
    assert hash_file(recipe) == provenance["recipe"]["sha256"]


def test_the_record_tells_where_every_row_is_from() -> None:
    training = read_training(EMBEDDED)
    assert training is not None
    assert sum(source.rows or 0 for source in training.sources) == 1_163_347
    assert all(source.rows and source.origin and source.licence for source in training.sources)
    named = {name for result in SCORES for name in result.sources}
    assert {"afqmc_train", "stsb_en_train_dev"} <= named & {source.name for source in training.sources}


def test_the_card_is_made_of_the_record_and_the_scores() -> None:
    card, training = (EMBEDDED / "README.md").read_text("utf-8"), read_training(EMBEDDED)
    assert is_sealed(card)
    assert lint(EMBEDDED) == []
    whole = {result.task: result for result in SCORES if result.setting.dim == 256}
    assert len(whole) == 17
    for result in whole.values():
        assert re.search(rf"^\| {result.task} \| .* \| {100 * result.main_score:.2f} \|", card, re.MULTILINE)
    mean = 100 * sum(result.main_score for result in whole.values()) / len(whole)
    assert f"| static-zh-en | 256 | {mean:.2f} |" in card
    assert "| Waimai | 87.00 | 86.50 | 81.90 |" in card
    assert training is not None
    for line in (
        *(f"- {limit}\n" for limit in training.limits),
        *(f"- {each['path']}: {each['reason']}\n" for each in training.left_out),
        *(f"\n{note}\n" for note in training.notes),
        *(f" {reason} {count:,}" for reason, count in training.dropped.items()),
        *(f"| {each.name} | {each.origin} | {each.licence} | {each.rows:,} |\n" for each in training.sources),
    ):
        assert line in card


def test_what_is_committed_names_no_place_of_a_machine() -> None:
    pages = [*EMBEDDED.glob("*.json"), EMBEDDED / "README.md", REPORT]
    for page in pages:
        assert re.search(r"(?<![\w.])/(?:home|opt|root|tmp|work)/", page.read_text("utf-8")) is None


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_every_floor_is_met(name: str, floor: float) -> None:
    (found,) = (result for result in SCORES if result.task == name and result.setting.dim == 256)
    assert 100 * found.scores["test"]["default"].get("accuracy_all_rows", found.main_score) >= floor


@pytest.mark.parametrize("dim", [256, 128, 64])
@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("胡子长得太快怎么办？", ["胡子长得快怎么办？", "怎样使胡子不浓密！", "香港买手表哪里好"]),
        ("忘记密码了怎么登录", ["密码忘了如何找回账号", "如何修改头像", "红烧肉的做法"]),
        (
            "how do I roll back a transaction",
            ["undoing a database transaction", "installing python on windows"],
        ),
        ("手机屏幕碎了", ["更换手机屏幕多少钱", "今天下午有雨"]),
    ],
)
def test_it_ranks_as_a_person_would(query: str, texts: list[str], dim: int) -> None:
    assert ranking(yuyi.load(truncate_dim=dim), query, texts[::-1]) == texts


def test_it_finds_a_translation(model: yuyi.Encoder) -> None:
    texts = ["如何安装软件", "如何删除文件", "数据库的备份"]
    assert ranking(model, "how to delete a file", texts)[0] == "如何删除文件"


def test_words_it_does_not_know_do_not_stop_it(model: yuyi.Encoder) -> None:
    vectors = model.encode(["", "   ", "ႠႡ", "🦄🦄", "𠮷野家"])
    assert np.isfinite(vectors).all()
    norms = np.linalg.norm(vectors, axis=1)
    assert np.all((norms < 1e-6) | (np.abs(norms - 1) < 1e-5))
