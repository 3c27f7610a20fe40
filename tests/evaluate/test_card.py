"""Cards of tiny models, from results that are made up of published figures."""

from __future__ import annotations

import json
import re
import string
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub import ModelCard

import yuyi
from yuyi.artifacts import is_sealed
from yuyi.data.showing.limits import LIMITS
from yuyi.errors import InputError, ModelError, YuyiWarning
from yuyi.evaluate.cards.card import make_card, write_card
from yuyi.evaluate.cards.facts import read_facts
from yuyi.evaluate.cards.speed import Speed
from yuyi.evaluate.cards.text import card_body
from yuyi.evaluate.cards.words import LANGUAGES, WORDS
from yuyi.evaluate.linting.lint import lint
from yuyi.evaluate.results import write_result
from yuyi.evaluate.suites import find_suite
from yuyi.training_record import TRAINING

from .card_results import card_of, copy, judged, result_of, whole_suite, write_all

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


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return copy("bert-zh", tmp_path)


def body(card: str) -> str:
    return card.split("\n---\n", 1)[1]


# What is written.


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["bert-zh", "static"])
def test_the_averages_of_the_whole_suite_come_out(tmp_path: Path, name: str, language: Any) -> None:
    text = card_of(copy(name, tmp_path), language=language)
    cards, board = re.findall(rf"^\| {name} \| 32 \| (.*) \|$", text, re.MULTILINE)
    assert cards == "60.08 | 64.48 | 48.95 | 70.00 | 66.21 | 65.51 | 49.72"
    assert board == "60.05 | 69.32 | 48.95 | 64.87 | 66.21 | 65.51 | 47.29"
    assert "(35)" in text
    assert "### MTEB(cmn, v1)" in text
    assert is_sealed(text)


# Each task scores its type's figure, but the first of a type more: as many points as the type has tasks.
SCORED = {
    "Classification": 10,
    "Clustering": 20,
    "PairClassification": 30,
    "Reranking": 40,
    "Retrieval": 50,
    "STS": 60,
    "Summarization": 70,
}
AVERAGED = {
    "C-MTEB (35)": "37.29 | 11.00 | 21.00 | 31.00 | 41.00 | 51.00 | 61.00",
    "MTEB(cmn, v1)": "39.06 | 11.00 | 21.00 | 31.00 | 41.00 | 51.00 | 61.00",
    "MTEB(eng, v1)": "36.89 | 11.00 | 21.00 | 31.00 | 41.00 | 51.00 | 61.00 | 71.00",
    "MTEB(eng, v2)": "38.07 | 11.00 | 21.00 | 31.00 | 41.00 | 51.00 | 61.00 | 71.00",
}


@pytest.mark.parametrize("shape", ["mteb1", "mteb2"])
@pytest.mark.parametrize("name", AVERAGED)
def test_every_named_suite_is_averaged(tmp_path: Path, name: str, shape: Any) -> None:
    folder, suite = copy("static", tmp_path), find_suite(name)
    base, setting = judged(folder)
    results = []
    for kind, tasks in suite.by_type().items():
        more = len(tasks)
        for parts in tasks.values():
            for task in parts:
                results.append(result_of(task, {task.metric: SCORED[kind] + more}, base, setting))
            more = 0
    card = card_of(folder, *results, shape=shape)
    assert f"### {name}\n" in card
    assert f"| static | 32 | {AVERAGED[name]} |" in card


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_checks_read_its_tables(model: Path, language: Any) -> None:
    text, path = card_of(model, language=language), model / "README.md"
    for printed in ("60.08", "64.48", "48.95", "70.00", "66.21", "65.51", "49.72", "47.29"):
        path.write_text(text.replace(f"| {printed} |", f"| {float(printed) + 0.3:.2f} |", 1), "utf-8")
        assert [finding.rule for finding in lint(path)][:1] == ["average"]
        path.write_text(text, "utf-8")
    for fact in (f"| {WORDS[language]['dimensions']} | ", "| bert-zh | "):
        path.write_text(text.replace(f"{fact}32 |", f"{fact}64 |"), "utf-8")
        assert {finding.rule for finding in lint(path)} == {"dimension"}


@pytest.mark.parametrize("name", ["bert-zh", "static", "xlm-roberta", "modernbert", "bert-dense"])
def test_facts_of_the_folder(tmp_path: Path, name: str) -> None:
    import torch

    from yuyi.model.embedder import load_embedder
    from yuyi.pipeline import read_pipeline

    folder = copy(name, tmp_path)
    text = body(card_of(folder))
    opened = yuyi.load(folder)
    assert f"| dimensions | {', '.join(map(str, opened.dims))}" in text
    assert f"| vocabulary | {opened.vocabulary_size} pieces |" in text
    assert ("sentence-transformers:" in text) == (name != "static")
    if name == "static":
        assert f"| parameters | {opened.vocabulary_size * 32:,} |" in text
        assert "A token table" in text
        return
    assert f"| longest text | {opened.max_tokens} tokens |" in text
    embedder = load_embedder(read_pipeline(folder)).to(torch.float32)
    count = sum(parameter.numel() for parameter in embedder.parameters())
    # Weights that only torch reads are not counted.
    assert (f"| parameters | {count:,} |" in text) == (name != "bert-dense")


def test_a_model_that_needs_code_of_its_own_has_no_snippet_for_others(tmp_path: Path) -> None:
    text = card_of(copy("gte-new", tmp_path))
    assert "sentence_transformers" not in text
    assert "library_name: yuyi\n" in text


# Settings.


def test_several_dimensions_are_one_table(tmp_path: Path) -> None:
    folder = copy("static", tmp_path)
    small = whole_suite(folder, "Dmeta-embedding", dim=16)
    card = card_of(folder, *small, *whole_suite(folder))
    rows = re.findall(r"^\| static \| (\d+) \| ([\d.]+)", card, re.MULTILINE)
    assert rows == [("32", "60.08"), ("16", "67.51"), ("32", "60.05"), ("16", "67.68")]
    assert "| Task | Type | Metric | 32 | 16 |" in card
    assert "| AFQMC | STS | cosine_spearman | 36.69 | 71.13 |" in card
    assert ModelCard(card).data.eval_results[0].metric_value == 36.689


def test_other_settings_stand_beside_the_one_of_the_index(model: Path) -> None:
    short = whole_suite(model, "Dmeta-embedding", max_length=32, dtype="bfloat16")
    card = card_of(model, *short[:-1], *whole_suite(model))
    # A setting that lacks a task has no average over all of them, but over those of the 31 that are there.
    assert "| Model | Dimension | Average (35) |" in card
    card = card_of(model, *short)
    assert "| Model | Dimension | Number type | Read up to | Average (35) |" in card
    assert "| bert-zh | 32 | bfloat16 | 32 | 67.51 |" in card
    assert "| bert-zh | 32 | float32 | 48 | 60.08 |" in card


def test_what_is_no_whole_suite_is_averaged_over_what_is_there(model: Path) -> None:
    some = [result for result in whole_suite(model) if result.task in ("AFQMC", "BQ", "Waimai")]
    card = card_of(model, *some)
    assert "### All tasks scored (3)" in card
    assert "| bert-zh | 32 | 57.09 | 84.96 | 43.16 |" in card
    assert "Average (3) | Classification (1) | STS (2)" in card
    assert "C-MTEB (35)" not in card


def test_a_task_that_was_judged_twice_counts_as_it_was_judged_last(model: Path) -> None:
    old, *others = whole_suite(model)
    (split,) = old.scores
    new = replace(
        old,
        made="2026-11-27T00:00:00+00:00",
        scores={split: {"default": {"cosine_spearman": 0.5}}},
    )
    write_result(model.parent / "results" / "a later run", new)
    card = card_of(model, old, *others)
    assert ModelCard(card).data.eval_results[0].metric_value == 50
    assert "- made: 2026-11-26 – 2026-11-27\n" in card


def test_the_usual_setting_of_several_is_that_of_the_index(model: Path) -> None:
    unusual = [
        whole_suite(model, "Dmeta-embedding", **changes)
        for changes in ({"dtype": "bfloat16"}, {"overflow": "pool"}, {"device": "a"}, {"normalize": False})
    ]
    card = card_of(model, *(result for results in unusual for result in results[:4]), *whole_suite(model))
    assert ModelCard(card).data.eval_results[0].metric_value == 36.689
    card = card_of(model, *(result for results in unusual[:2] for result in results))
    assert ModelCard(card).data.eval_results[0].metric_value == 36.689
    assert "| Model | Dimension | Number type | Longer texts | Average (35) |" in card
    assert "| bert-zh | 32 | float32 | pool | 67.51 |" in card


def test_digests_of_local_files_are_called_so(model: Path) -> None:
    results = whole_suite(model)
    assert "digests of local files" not in card_of(model, *results)
    card = card_of(model, *(replace(result, data=result.data[:16]) for result in results))
    assert "Revisions of other than 40 digits are digests of local files" in card
    first = ModelCard(card).data.eval_results[0]
    assert (first.dataset_type, first.dataset_name, len(first.dataset_revision)) == (
        "AFQMC",
        "MTEB AFQMC",
        16,
    )


def test_classifiers_fitted_on_all_rows_have_a_table_of_their_own(model: Path) -> None:
    first, *others = whole_suite(model)
    name, alone = next((each.task, each) for each in others if each.type == "Classification")
    split, subsets = next(iter(alone.scores.items()))
    more = {part: {**metrics, "accuracy_all_rows": 0.8765} for part, metrics in subsets.items()}
    fitted = replace(alone, scores={split: more})
    assert "### One classifier on all rows" not in card_of(model)
    card = card_of(model, first, *(fitted if each is alone else each for each in others))
    assert "### One classifier on all rows\n" in card
    assert f"| Task | 32 |\n| --- | ---: |\n| {name} | 87.65 |\n" in card
    assert lint(model) == []
    chinese = card_of(model, *others[:3], fitted, language="zh")
    assert "### 用全部训练数据的分类器\n" in chinese


def test_a_metric_that_is_not_usual_is_averaged_as_it_counts(model: Path) -> None:
    scores = {"f1": 0.25, "accuracy": 0.4, "recall": 0.4}
    bitext = replace(
        whole_suite(model)[0],
        **{"task": "平行句", "type": "BitextMining", "metric": "accuracy", "main_score": 0.4},
        scores={"test": {"default": scores}},
        languages={"default": ("zho-Hans", "eng-Latn")},
    )
    card = card_of(model, bitext)
    assert "| Model | Dimension | Average (1) | Bitext Mining (1) |" in card
    assert "| bert-zh | 32 | 40.00 | 40.00 |" in card
    assert [(each.metric_type, each.metric_value) for each in ModelCard(card).data.eval_results] == [
        ("accuracy", 40.0),
        ("f1", 25.0),
        ("main_score", 40.0),
        ("recall", 40.0),
    ]
    usual = card_of(model, replace(bitext, metric="f1", main_score=0.25))
    assert "| bert-zh | 32 | 25.00 | 25.00 |" in usual
    assert lint(model) == []


# How it was made.


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
    show = partial(card_body, "a", facts, None, None, frozenset(), language=language, shape="mteb1")
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
