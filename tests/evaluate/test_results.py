"""Results that are read back from a disk on which anything may lie."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from yuyi.errors import InputError
from yuyi.evaluate.results import read_result, read_results, write_result

from .made import made

if TYPE_CHECKING:
    from pathlib import Path


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = made("文本", 0.25, metrics={"spearman": -1, "draws": [0.5, 0.25]}, sources=("问答",))
    assert read_result(write_result(tmp_path, result)) == result


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (["yuyi", "main_score"], "x", "main_score is 'x', and no number"),
        (["yuyi", "main_score"], True, "main_score is True"),
        (["scores", "test", 0, "cosine_spearman"], "x", "cosine_spearman of test, default is 'x'"),
        (["scores", "test", 0, "cosine_spearman"], [0.5], "cosine_spearman of test, default is"),
        (["scores", "test", 0, "spearman"], "x", "spearman of test, default is 'x'"),
        (["scores", "test", 0, "cosine_spearman"], float("nan"), "is nan, and no number"),
        (["scores", "test"], [], "no scores"),
        (["scores", "test"], ["x"], "TypeError"),
        (["scores"], [], "AttributeError"),
        (["evaluation_time"], "1", "seconds is '1', and no number"),
        (["dataset_revision"], None, "data is None, and no text"),
        (["yuyi", "rows"], 1.5, "rows is 1.5, and no whole number"),
        (["yuyi", "made"], "yesterday", "ValueError"),
        (["yuyi", "model", "fingerprint"], 5, "model's fingerprint is 5"),
        (["yuyi", "setting", "dim"], "512", "dim is '512'"),
        (["yuyi", "setting", "max_length"], "512", "max_length is '512'"),
        (["yuyi", "setting", "prompts"], {"query": 1}, "prompt 'query' is 1, and no text"),
        (["yuyi", "versions"], {"mteb": 2}, "version of mteb is 2"),
        (["yuyi"], "x", "ValueError"),
    ],
)
def test_values_of_another_type_are_named(tmp_path: Path, keys: list[Any], value: Any, named: str) -> None:
    path = write_result(tmp_path, made(metrics={"spearman": 0.25}))
    record = json.loads(path.read_text("utf-8"))
    *places, last = keys
    inner = record
    for place in places:
        inner = inner[place]
    inner[last] = value
    path.write_text(json.dumps(record), "utf-8")
    with pytest.raises(InputError) as refused:
        read_result(path)
    assert named in str(refused.value)
    assert "AFQMC.json: not a result that yuyi wrote" in str(refused.value)
    assert str(refused.value).endswith("Remove it, and evaluate again.")


def test_a_result_without_its_main_metric_is_named(tmp_path: Path) -> None:
    path = write_result(tmp_path, made())
    path.write_text(path.read_text("utf-8").replace('"cosine_spearman": 0.5,', ""), "utf-8")
    with pytest.raises(InputError, match="no cosine_spearman of test, default"):
        read_results(tmp_path)


def test_what_cannot_be_read_is_not_to_be_removed(tmp_path: Path) -> None:
    (tmp_path / "AFQMC.json").mkdir()
    with pytest.raises(InputError, match=r"AFQMC\.json: cannot be read \(Is a directory\)") as refused:
        read_results(tmp_path)
    assert "emove" not in str(refused.value)


def test_places_that_are_no_folders(tmp_path: Path) -> None:
    (tmp_path / "文件").touch()
    for name, said in (("nowhere", "no such folder"), ("文件", "not a folder")):
        with pytest.raises(InputError, match=f"{name}: {said}"):
            read_results(tmp_path / name)
