"""The settings of all steps, and the ones that the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from yuyi.config import read_assignments
from yuyi.data.config import read_data_config
from yuyi.errors import RecipeError

DOCS = Path(__file__).parents[2] / "docs" / "data.md"


def test_the_settings_in_the_documentation_can_be_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    (tmp_path / "data.yaml").write_text(block, "utf-8")
    config = read_data_config(tmp_path / "data.yaml", {"mix.size": 5, "mine.count": 2})
    assert config.extract.sources[1].columns == {"question": "标题", "answer": "处理结果"}
    assert not config.pairs.rules.neighbours and config.pairs.rules.qa
    assert (config.mix.size, config.mine.count if config.mine else 0) == (5, 2)


def test_steps_are_on_or_off_by_default() -> None:
    config = read_data_config()
    off = (config.quality, config.decontaminate, config.mine, config.consistency)
    assert off == (None, None, None, None)
    assert read_data_config(wanted="mine").mine is not None
    assert read_data_config(assignments={"consistency.top_k": 5}).consistency is not None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pairs.rule.qa", "false", r"pairs\.rule: no such key\. Choose from rules, longest"),
        ("clean.code", "maybe", r"clean\.code: .*'keep' or 'drop'"),
        ("mix.alpha", "-1", r"mix\.alpha: .*greater than or equal to 0"),
        ("extract.sources", "[{path: a, format: doc}]", r"extract\.sources\.0\.format: .*'auto'"),
        ("extract.sources", "[{file: a}]", r"extract\.sources\.0\.(path: missing|file: no such key)"),
        ("filters", "{}", r"filters: no such key\. Choose from extract, dedupe"),
        ("mix.alpha.x", "1", r"--set mix\.alpha\.x: alpha is 0\.3 and has no keys"),
        ("mix.alpha", "[", r"--set mix\.alpha: '\[' cannot be read as YAML"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(tmp_path: Path, key: str, value: str, message: str) -> None:
    (tmp_path / "data.yaml").write_text("mix: {alpha: 0.3}\n")
    with pytest.raises(RecipeError, match=message):
        read_data_config(tmp_path / "data.yaml", read_assignments([f"{key}={value}"]))


def test_one_name_of_a_table_leaves_the_others(tmp_path: Path) -> None:
    config = read_data_config(assignments={"filter.shortest_of.qa": 5})
    assert config.filter.shortest_of["qa"] == 5 and config.filter.shortest_of["parallel"] == 1
    (tmp_path / "data.yaml").write_text("filter: {shortest_of: {sts: 9}}\n")
    told = read_data_config(tmp_path / "data.yaml", {"filter.shortest_of.qa": 5})
    assert told.filter.shortest_of == {"sts": 9, "qa": 5}


@pytest.mark.parametrize("text", ["- a\n", "hello\n", "3\n"])
def test_a_file_that_is_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"data\.yaml: holds .* not keys with values"):
        read_data_config(tmp_path / "data.yaml")


def test_an_empty_file_and_an_empty_section_mean_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("")
    assert read_data_config(tmp_path / "data.yaml") == read_data_config()
