"""No card, however odd, makes lint fail otherwise than by an error that names the file."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from yuyi.errors import InputError, ModelError
from yuyi.evaluate.linting.card import Finding
from yuyi.evaluate.linting.lint import lint
from yuyi.known.published import published

from .cards import HEADING, front_matter, lint_with, old_results, table

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.text(max_size=12),
    st.sampled_from(
        ["小模型", "STS", "MTEB AFQMC", "MTEB STS22 (zh)", "cos_sim_spearman", "60.04", "NaN", "1e999", "1:2"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def mapping(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mappings that mostly have these keys, and now and then something else altogether."""
    built = st.fixed_dictionaries({}, optional=keys)
    return st.one_of(*[built] * 9, VALUES)


def listed(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*[st.lists(strategy, max_size=4)] * 9, VALUES)


METRICS = listed(mapping(type=SCALARS, value=SCALARS))
DATASET = mapping(name=SCALARS, type=SCALARS, config=SCALARS, split=SCALARS, revision=SCALARS)
RESULTS = listed(mapping(task=mapping(type=SCALARS, name=SCALARS), dataset=DATASET, metrics=METRICS))
FRONT_MATTERS = mapping(**{"model-index": listed(mapping(name=SCALARS, results=RESULTS)), "license": SCALARS})
CELLS = st.one_of(
    st.sampled_from(["小模型", "60.04", "nan", "-", "**1**", "[a](b)", "1e5", "101"]), st.text(max_size=8)
)
TABLES = st.lists(st.lists(CELLS, min_size=len(HEADING), max_size=len(HEADING)), max_size=3)


def survives(text: str, files: dict[str, Any] | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            findings = lint_with(Path(folder), text, files)
        except (InputError, ModelError) as error:
            assert folder in str(error)
            assert str(error).endswith(".")
        else:
            assert all(isinstance(finding, Finding) and finding.message for finding in findings)


@given(FRONT_MATTERS, TABLES)
def test_any_front_matter_above_any_table(values: Any, rows: list[list[str]]) -> None:
    survives(f"---\n{yaml.safe_dump(values, allow_unicode=True)}---\n{table(HEADING, rows)}")


INDEX = front_matter("小模型", old_results(published("gte-small-zh")))
HEADINGS = [
    "Model",
    "Dim",
    "模型",
    "Average",
    "Average (35)",
    "平均（31）",
    "Mean (TaskType)",
    "STS",
    "STS (7)",
    "分类",
    "Retrieval (8)",
    "Summarization",
    "",
]
FIGURES = st.one_of(
    st.decimals(0, 100, places=2).map(str),
    st.sampled_from(
        [
            "60.08",
            "60.05",
            "0.6008",
            "49.72",
            "64.48",
            "1",
            "0",
            "小模型",
            "gte-large-zh",
            "100",
            "-1",
            "1.5%",
        ]
    ),
)


@given(st.lists(st.sampled_from(HEADINGS), min_size=1, max_size=6), st.data())
def test_any_figures_above_a_whole_index(heading: list[str], data: st.DataObject) -> None:
    row = st.tuples(
        st.sampled_from(["小模型", "小模型 (b)", "gte-large-zh", "STS", "x"]), *[FIGURES] * (len(heading) - 1)
    )
    rows = data.draw(st.lists(row, max_size=3))
    survives(f"{INDEX}\n最低的一次测试\n{table(heading, rows)}")


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text(front: str, body: str) -> None:
    survives(f"---\n{front}\n---\n{body}".replace("\r", "").encode("utf-8", "replace").decode())


@given(VALUES)
def test_any_settings_beside_the_card(value: Any) -> None:
    text = yaml.safe_dump({"model-index": [{"name": "gte-small-zh"}]})
    body = "```python\nmax_length=1\nlast_hidden_state[:, 0]\n```\na 7 dimensional dense vector space"
    keys = ("hidden_size", "max_position_embeddings", "matryoshka_dimensions", "pad_token_id", "model_type")
    settings = {
        "config.json": _json(dict.fromkeys(keys, value)),
        "modules.json": _json(value),
        "1_Pooling/config.json": _json({"pooling_mode": value, "word_embedding_dimension": value}),
        "2_Dense/config.json": _json({"out_features": value}),
        "sentence_bert_config.json": _json({"max_seq_length": value}),
    }
    survives(f"---\n{text}---\n{body}", settings)
    del settings["modules.json"]
    survives(f"---\n{text}---\n{body}", settings)


def _json(value: Any) -> str:
    return json.dumps(value, default=str)


def test_repeats_in_a_card_do_not_make_it_slow(tmp_path: Path) -> None:
    many = 20_000
    body = "\n".join(
        [
            "```python",
            "pooling" * many,
            "state" * many + "[:, 1]",
            "a" * many * 4,
            "```",
            table(["Model", "Average", "STS"], [["[" * many, "(" * many, "*" * many]]),
            "lowest " * many,
            "最低" * many,
            "Output Dimensionality:" * many,
        ]
    )
    (tmp_path / "README.md").write_text(f"---\nlicense: mit\n---\n{body}", "utf-8")
    assert [finding.rule for finding in lint(tmp_path)] == ["average"]
