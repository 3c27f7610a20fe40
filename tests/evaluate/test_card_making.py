"""What cards say of how a model was made."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub import ModelCard

import yuyi
from yuyi.data.showing.limits import LIMITS
from yuyi.errors import ModelError
from yuyi.evaluate.cards.card import make_card
from yuyi.evaluate.cards.facts import read_facts
from yuyi.evaluate.cards.speed import Speed
from yuyi.evaluate.cards.text import card_body
from yuyi.evaluate.cards.words import LANGUAGES, WORDS
from yuyi.training_record import TRAINING

from .card_results import body, card_of, copy, whole_suite

if TYPE_CHECKING:
    from pathlib import Path


MADE = {
    "yuyi": "0.1.0",
    "license": "Apache-2.0",
    "languages": ["zh", "en"],
    "start": "gte-small-zh",
    "teacher": {"name": "老师", "licence": "MIT"},
    "stages": [
        {"run": "first", "name": "words", "steps": 100, "learning_rate": 1e-3},
        {
            "run": "second",
            "name": "pairs",
            "steps": 12_000,
            "learning_rate": 2e-5,
            "tasks": [
                {"objective": "contrast", "share": 3, "batch": 2048},
                {"objective": "judged", "share": 1.0, "batch": 512},
            ],
        },
    ],
    "sources": [
        {"name": "AFQMC", "kind": "sts", "rows": 34_334, "licence": "Apache-2.0"},
        {"name": "AFQMC", "kind": "qa", "rows": 66, "licence": "Apache-2.0"},
        {"name": "manual", "origin": "https://huggingface.co/datasets/某/x", "rows": 90},
        {"name": "wiki", "origin": "https://huggingface.co/datasets/owner/wiki-zh", "rows": 1_000},
    ],
    "documents": ["laws"],
    "settings": {"longest": 40, "seed": 0},
    "dropped": {"duplicate": 29_361},
    "left_out": [{"path": "ocnli.parquet", "reason": "CC BY-NC 2.0"}],
    "limits": ["Traditional characters are known far less well."],
    "notes": ["`yuyi run model.yaml` makes it again."],
    "something newer": 1,
}


def test_training_data_licences_and_domains(model: Path) -> None:
    (model / TRAINING).write_text(json.dumps(MADE), "utf-8")
    card = card_of(model)
    data = ModelCard(card).data
    assert (data.license, data.language, data.base_model) == (
        "apache-2.0",
        ["zh", "en"],
        "thenlper/gte-small-zh",
    )
    assert data.datasets == ["owner/wiki-zh"]
    for line in (
        "It began with gte-small-zh.",
        "It followed the vectors of 老师 (licence: MIT).",
        "- first, words: 100 steps, learning rate 0.001\n",
        "- second, pairs: 12,000 steps, learning rate 2e-05: contrast 75 % (batches of 2,048), judged 25 %",
        "Settings of the last run: longest 40, seed 0.",
        "It was made with yuyi 0.1.0.",
        "35,490 rows.",
        "| AFQMC | qa, sts | not stated | Apache-2.0 | 34,400 |",
        "\n\n`yuyi run model.yaml` makes it again.\n",
        "Masked words were learned in the texts of laws.",
        "Dropped, by reason: duplicate 29,361.",
        "- ocnli.parquet: CC BY-NC 2.0",
        "- It was last trained on texts of up to 40 tokens; it reads longer ones, too.",
        "- Traditional characters are known far less well.",
        "- in-domain, as a training source bears the name of the data set: mean 36.69 (tasks: 1)",
        "- zero-shot, as far as names tell: mean 60.77 (tasks: 34)",
        "| AFQMC | STS | cosine_spearman | yes | 36.69 |",
        "| BQ | STS | cosine_spearman | no | 49.64 |",
    ):
        assert line in card
    chinese = card_of(model, language="zh")
    for line in (
        "从 gte-small-zh 开始训练。",
        "以 老师 为教师模型（许可证：MIT），拟合其向量。",
        "- second, pairs：12,000 步，学习率 2e-05：contrast 75%（每批 2,048 条）、judged 25%",
        "| AFQMC | qa, sts | 未说明 | Apache-2.0 | 34,400 |",
        "- 域内（有训练数据与其数据集同名）：平均 36.69（1 个任务）",
        "| AFQMC | 语义相似度 | cosine_spearman | 是 | 36.69 |",
    ):
        assert line in chinese


def test_what_makers_say_of_limits_is_not_said_twice(model: Path, tmp_path: Path) -> None:
    table = copy("static", tmp_path / "table")
    assert "- A mean of pieces does not see word order" in make_card(table, [])
    limits = ["Cosines are relative. Choose a threshold on your own data.", "词序不计。"]
    (table / TRAINING).write_text(json.dumps({"limits": limits}), "utf-8")
    card = make_card(table, [])
    assert card.count("- Cosines are relative.") == 1
    assert "- 词序不计。\n" in card
    assert card.count("- A mean of pieces does not see word order") == 1
    chinese = make_card(table, [], language="zh")
    assert "Cosines" not in chinese
    assert chinese.count("余弦值是相对的") == 1


def test_reasons_are_told_in_the_language_of_the_card(model: Path) -> None:
    dropped = {"contains evaluation": 3, "document: too short": 2, "未授权": 1}
    sources = [{"name": "a", "rows": 1, "licence": "none stated"}]
    (model / TRAINING).write_text(json.dumps({"dropped": dropped, "sources": sources}), "utf-8")
    chinese, english = make_card(model, [], language="zh"), make_card(model, [])
    assert "按原因剔除：包含评测文本 3、文档：太短 2、未授权 1。" in chinese
    assert "Dropped, by reason: contains evaluation 3, document: too short 2, 未授权 1." in english
    assert ("none stated" in chinese, "none stated" in english) == (False, True)
    assert {f"recorded {reason}" for reason in LIMITS} <= WORDS["zh"].keys()


def test_how_sources_are_drawn(model: Path) -> None:
    made = {"stages": MADE["stages"], "settings": {"exponent": 0.5}, "sources": [{"name": "法律", "rows": 7}]}
    (model / TRAINING).write_text(json.dumps(made), "utf-8")
    card = make_card(model, [])
    assert "\nSources are drawn in proportion to their size to the power 0.5, each batch from one.\n" in card
    assert "| source | origin | licence | rows |\n" in card
    assert "| 法律 | not stated | not stated | 7 |\n" in card
    assert "各来源按其大小的 0.5 次幂抽取" in make_card(model, [], language="zh")


def test_origins_and_documents_are_training_data_too(model: Path) -> None:
    made = {
        "sources": [{"name": "同义句", "origin": "https://huggingface.co/datasets/C-MTEB/AFQMC", "rows": 3}],
        "documents": ["BQ"],
    }
    (model / TRAINING).write_text(json.dumps(made), "utf-8")
    card = card_of(model)
    assert "| AFQMC | STS | cosine_spearman | yes | 36.69 |" in card
    assert "| BQ | STS | cosine_spearman | yes | 49.64 |" in card
    assert "| LCQMC | STS | cosine_spearman | no |" in card


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_unknown_is_not_spoken_of(model: Path, language: Any) -> None:
    made = {
        "teacher": {"name": "老师"},
        "stages": [{"name": "一", "tasks": [{"objective": "contrast"}, {"objective": "align", "share": 0}]}],
        "sources": [{"name": "法律", "rows": 7}, {"name": "法律", "kind": "", "rows": None}],
    }
    (model / TRAINING).write_text(json.dumps(made), "utf-8")
    words, card = WORDS[language], body(make_card(model, [], language=language))
    made_of = card[card.index(f"## {words['training']}\n") : card.index(f"## {words['limits']}\n")]
    assert re.findall(r"\d", made_of) == []
    assert words["fresh"] not in made_of
    for word in ("yuyi", "%", words["licence of"][:3], words["kind"], f"| {words['rows']} |"):
        assert word not in made_of
    assert f"- 一{words['colon']}contrast{words['comma']}align\n" in made_of
    assert f"| 法律 | {words['unstated']} | {words['unstated']} |\n" in made_of
    (model / TRAINING).write_text(json.dumps({**made, "start": "", "yuyi": "0.1.0"}), "utf-8")
    card = make_card(model, [], language=language)
    assert words["fresh"] in card
    assert words["trained with"].format(yuyi="0.1.0") in card


def test_the_exponent_is_told_once(model: Path) -> None:
    made = {"stages": MADE["stages"], "settings": {"exponent": 0.5, "seed": 3}}
    (model / TRAINING).write_text(json.dumps(made), "utf-8")
    card = make_card(model, [])
    assert "Settings of the last run: seed 3.\n" in card
    assert card.count("0.5") == 1


@pytest.mark.parametrize(
    ("shape", "said", "count"),
    [
        ("mteb1", "The front matter has them in percent, with", 3),
        ("mteb2", "has these scores alone, from 0 to 1", 1),
    ],
)
def test_what_the_front_matter_has_is_said_by_its_shape(
    model: Path, shape: Any, said: str, count: int
) -> None:
    first = whole_suite(model)[0]
    (split,) = first.scores
    metrics = {"cosine_spearman": 0.5, "cosine_pearson": 0.4, "further": 0.3}
    card = card_of(model, replace(first, main_score=0.5, scores={split: {"default": metrics}}), shape=shape)
    assert said in card
    assert len(ModelCard(card).data.eval_results) == count


def test_a_task_that_does_not_tell_whose_data_it_has_is_neither(model: Path) -> None:
    (model / TRAINING).write_text(json.dumps(MADE), "utf-8")
    first, second, *others = whole_suite(model)
    card = card_of(model, first, replace(second, sources=()), *others)
    assert f"| {second.task} | STS | cosine_spearman | – | 45.77 |" in card
    assert "- unknown: the task does not name its data; mean 45.77 (tasks: 1)" in card
    assert "(tasks: 33)" in card


def test_what_is_not_recorded_is_said_to_be_so(model: Path) -> None:
    assert "What it was trained on is not recorded" in card_of(model)
    assert "没有训练数据的记录" in card_of(model, language="zh")


@pytest.mark.parametrize(
    "record",
    [
        "[]",
        "{",
        json.dumps({"stages": [{"name": "a", "steps": "many"}]}),
        json.dumps({"sources": [{"rows": 3}]}),
        json.dumps({"sources": {"a": 3}}),
        json.dumps({"settings": 3}),
        json.dumps({"languages": "zh", "license": 3}),
    ],
)
def test_a_damaged_record_is_refused(model: Path, record: str) -> None:
    (model / TRAINING).write_text(record, "utf-8")
    with pytest.raises(ModelError, match=r"training\.json"):
        card_of(model)
    assert not (model / "README.md").exists()


def test_speed_is_measured_here(model: Path) -> None:
    card = card_of(model, speed=True)
    found = re.search(
        r"^([\d,]+) texts a second of (\d+) tokens on average, the best of \d+ rounds over ten short texts, "
        r"repeated; float32 with torch on .+, cores: \d+\.$",
        card,
        re.MULTILINE,
    )
    assert found is not None
    assert int(found[1].replace(",", "")) > 100
    assert 20 < int(found[2]) < 48


@pytest.mark.parametrize("language", LANGUAGES)
def test_cores_are_a_processors(model: Path, language: Any) -> None:
    speed = Speed(
        texts=9_000.4, rounds=7, tokens=24.6, dtype="bfloat16", backend="torch", machine="H200", cores=None
    )
    facts = read_facts(model, yuyi.load(model))
    told = {"language": language, "shape": "mteb1", "parity": None}
    show: Any = partial(card_body, "a", facts, None, None, frozenset(), **told)
    on_gpu, on_cpu = show(speed=speed), show(speed=replace(speed, machine="Xeon", cores=16))
    end = {"en": "bfloat16 with torch on H200.", "zh": "bfloat16，torch，H200。"}[language]
    assert f"{end}\n" in on_gpu
    assert {"en": "on Xeon, cores: 16.", "zh": "Xeon，16 核。"}[language] in on_cpu


def test_without_results_there_are_no_scores(model: Path) -> None:
    (model / TRAINING).write_text(json.dumps(MADE), "utf-8")
    card = make_card(model, [], name="某人/模型")
    assert "## Scores" not in card
    assert "- first, words: 100 steps" in card
    assert "# 模型\n" in card
    data = ModelCard(card).data
    assert (data.eval_results, data.license) == (None, "apache-2.0")
    assert "mteb" not in data.tags
