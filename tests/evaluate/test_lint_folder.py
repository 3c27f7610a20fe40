from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from yuyi.evaluate.linting.lint import lint

from .cards import lint_with, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from yuyi.evaluate.linting.lint import Finding

    Check = Callable[..., list[Finding]]

BERT = {"model_type": "bert", "hidden_size": 512, "max_position_embeddings": 512}
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
CLS = {"word_embedding_dimension": 512, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
MEAN = {"word_embedding_dimension": 512, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


@pytest.fixture
def check(tmp_path: Path) -> Check:
    return partial(lint_with, tmp_path / "小模型")


def files(pooling: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A folder of sentence-transformers with 512 dimensions and 512 positions."""
    return {"config.json": BERT, "modules.json": MODULES, "1_Pooling/config.json": pooling or CLS, **more}


def card(text: str) -> str:
    return f"---\nmodel-index:\n- name: 小模型\n  results: []\n---\n{text}"


def spec(dimension: object, length: object) -> str:
    return card(
        table(
            ["Model", "Dimension", "Sequence Length"], [["小模型", dimension, length], ["别的", 4096, 32768]]
        )
    )


# Dimensions and lengths.


def test_what_is_stated_as_it_is(check: Check) -> None:
    assert check(spec(512, 512), files()) == []


@pytest.mark.parametrize("dimension", [768, "256", "`1,024`", "[512, 768]"])
def test_a_dimension_that_the_model_has_not(check: Check, dimension: object) -> None:
    (finding,) = check(spec(dimension, 512), files())
    assert (finding.rule, finding.where, finding.line) == ("dimension", "table, Dimension", 7)
    assert "is stated; the pooling's config.json says 512" in finding.message


def test_a_dense_layer_decides_the_dimension(check: Check) -> None:
    dense = {"2_Dense/config.json": {"in_features": 512, "out_features": 1792}}
    modules = [
        *MODULES,
        {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    ]
    beside = files(**{"modules.json": modules}, **dense)
    assert check(spec("[1024, 1792]", 512), beside) == []
    (finding,) = check(spec(512, 512), beside)
    assert finding.message == "512 is stated; the dense layer's config.json says 1792. Mend the card."


def test_the_smaller_limit_decides_the_length(check: Check) -> None:
    (finding,) = check(spec(512, 512), files(**{"sentence_bert_config.json": {"max_seq_length": 256}}))
    assert (finding.rule, finding.message) == (
        "length",
        "512 is stated; sentence_bert_config.json says 256. Mend the card.",
    )
    roberta = {**BERT, "model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    assert check(spec(512, 512), files(**{"config.json": roberta, "sentence_bert_config.json": {}})) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("maps sentences to a 768 dimensional dense vector space", "dimension"),
        ("- **Output Dimensionality:** 768 dimensions", "dimension"),
        ("- **Maximum Sequence Length:** 8192 tokens", "length"),
        ("向量维度：768", "dimension"),
        ("说明\n* 最大长度: 1024", "length"),
        ("| 项 | 值 |\n|---|---|\n| 维度 | 768 (也可 256) |", "dimension"),
        ("| Max tokens | 8192 |\n|---|---|\n| Licence | MIT |", "length"),
        ("```python\ninputs = tokenizer(texts, max_length=8192, truncation=True)\n```", "length"),
        ("```python\nmodel.max_seq_length = 1024\n```", "length"),
    ],
)
def test_dimensions_and_lengths_in_text_and_code(check: Check, text: str, rule: str) -> None:
    (finding,) = check(card(f"\n{text}\n"), files())
    assert finding.rule == rule
    assert (
        check(
            card(f"\n{text}\n".replace("768", "512").replace("8192", "512").replace("1024", "512")), files()
        )
        == []
    )


@pytest.mark.parametrize(
    "text",
    [
        "Dimension reduction: the first 256 values are kept",
        "- Training length: 128 tokens",
        "| Length of training | 128 |\n|---|---|\n| Hours | 3 |",
        "注意长度: 128 以内最快",
        "```yaml\ndimension: 256\n```",
    ],
)
def test_numbers_that_state_neither(check: Check, text: str) -> None:
    assert check(card(f"\n{text}\n"), files()) == []


def test_declared_dimensions_may_be_stated(check: Check) -> None:
    text = card("\na 256 dimensional dense vector space\n")
    assert check(text, files(**{"config.json": {**BERT, "matryoshka_dimensions": [512, 256]}})) == []
    assert len(check(text, files(**{"config.json": BERT}))) == 1


# Pooling.

TAKES_CLS = [
    "vectors = outputs.last_hidden_state[:, 0]",
    "vectors = outputs.last_hidden_state[:, 0, :]",
    "return model_output[0][:, 0]  # 取第一个词元",
    "vectors = cls_pooling(model_output)",
    "model = Model(path, pooling_method='cls')",
    "parser.add_argument('--pooling_method', default='cls', type=str)",
    "(1): Pooling({'word_embedding_dimension': 512, 'pooling_mode_cls_token': True})",
]
TAKES_MEAN = [
    "vectors = mean_pooling(output, mask)",
    "vectors = average_pool(outputs.last_hidden_state, mask)",
    'model = Model(path, pooling="mean")',
    "vectors = outputs.last_hidden_state.mean(dim=1)",
    "(1): Pooling({'pooling_mode_cls_token': False, 'pooling_mode_mean_tokens': True})",
]


@pytest.mark.parametrize(
    ("code", "right", "wrong"),
    [*((code, CLS, MEAN) for code in TAKES_CLS), *((code, MEAN, CLS) for code in TAKES_MEAN)],
)
def test_code_that_pools_another_way(
    check: Check, code: str, right: dict[str, Any], wrong: dict[str, Any]
) -> None:
    text = card(f"\n用法：\n\n```python\nimport torch\n{code}\n```\n")
    assert check(text, files(right)) == []
    (finding,) = check(text, files(wrong))
    assert (finding.rule, finding.where, finding.line) == (
        "pooling",
        "code",
        text[: text.index(code)].count("\n") + 1,
    )
    takes, says = ("cls", "mean") if right is CLS else ("mean", "cls")
    assert f"takes {takes}; the pooling's config.json says {says}" in finding.message


@pytest.mark.parametrize(
    "code", ["scores[:, 0]", "model.encode(texts)", "vectors = embeddings[..., :256]", "x.mean(dim=1)"]
)
def test_code_that_pools_nothing(check: Check, code: str) -> None:
    assert check(card(f"\n```python\n{code}\n```\n"), files(MEAN)) == []


def test_words_about_pooling_outside_code_are_left_alone(check: Check) -> None:
    assert check(card("\nUnlike cls_pooling(x), we take `mean_pooling(x)`.\n"), files(CLS)) == []


@pytest.mark.parametrize(
    "code", ["last_token_pool(states, mask)", "outputs.last_hidden_state[:, -1]", "outputs.pooler_output"]
)
def test_other_poolings(check: Check, code: str) -> None:
    assert [finding.rule for finding in check(card(f"\n```python\n{code}\n```\n"), files(CLS))] == ["pooling"]


def test_the_later_form_of_the_pooling_config(check: Check) -> None:
    text = card(f"\n```python\n{TAKES_CLS[0]}\n```\n")
    (finding,) = check(text, files({"embedding_dimension": 512, "pooling_mode": "mean"}))
    assert finding.rule == "pooling"


# What is published stands in where nothing is beside the card.


def test_a_card_alone_is_judged_by_what_is_published(check: Check) -> None:
    text = card(
        f"\n```python\n{TAKES_MEAN[0]}\n```\n{table(['Model', 'Dimension'], [['gte-small-zh', 768]])}"
    )
    text = text.replace("name: 小模型", "name: gte-small-zh")
    assert {(finding.rule, finding.message.partition(";")[2].split(",")[0]) for finding in check(text)} == {
        ("pooling", " what is published of gte-small-zh says cls"),
        ("dimension", " what is published of gte-small-zh says 512. Mend the card."),
    }
    # A model of that name but of another shape is another model.
    assert check(text, {"config.json": {**BERT, "hidden_size": 768}}) == []
    assert check(text.replace("name: gte-small-zh", "name: 不知名")) == []


@pytest.mark.shared
def test_the_script_of_acge_asks_for_another_pooling_than_its_folder(
    tmp_path: Path, shared_data: Path
) -> None:
    folder = tmp_path / "acge_text_embedding"
    shutil.copytree(shared_data.parent / "reference" / "models" / "acge_text_embedding", folder)
    folder.chmod(0o755)
    rows = table(
        ["Model Name", "Dimension", "Sequence Length"], [["acge-text-embedding", "[1024, 1792]", 1024]]
    )
    text = card(f"{rows}\n```python\n{TAKES_CLS[5]}\n```\n").replace("小模型", "acge_text_embedding")
    (folder / "README.md").write_text(text, "utf-8")
    (finding,) = lint(folder)
    assert "takes cls; the pooling's config.json says mean" in finding.message
