"""In-domain and zero-shot: what models and data say that they were made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from yuyi.encode.load import EMBEDDED
from yuyi.errors import InputError, ModelError
from yuyi.evaluate.comparing.domain import Overlap, Trained, by_domain, read_trained
from yuyi.records import Mark, write_marks

from .made import made

if TYPE_CHECKING:
    from pathlib import Path


def _write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), "utf-8")
    return path


def test_a_task_is_in_domain_by_its_name_or_its_sources() -> None:
    results = [
        made("AFQMC", sources=("afqmc_train",)),
        made("BQ", sources=("bq_dev", "问答")),
        made("LCQMC"),
        made("STS12"),
    ]
    parts = by_domain(results, ["AFQMC_train", "x/lcqmc"])
    assert [[result.task for result in part] for part in parts] == [["AFQMC", "LCQMC"], ["BQ"], ["STS12"]]
    assert by_domain(results, ["问答"])[0] == [results[1]]
    assert by_domain(results, [])[0] == []


def test_nothing_is_called_zero_shot_on_a_guess() -> None:
    trained = Trained(frozenset({"STS", "STS1", "AFQMC_train"}))
    assert trained.knows(made("STS12", sources=("sts12_train",))) is False
    assert trained.knows(made("AFQMC_validation")) is None
    assert trained.knows(made("AFQMC_validation", sources=("afqmc_train",))) is True


@pytest.mark.parametrize(
    ("task", "dataset"),
    [("AFQMC", "C-MTEB/AFQMC"), ("LCQMC", "C-MTEB/LCQMC"), ("ATEC", "C-MTEB/ATEC"), ("BQ", "C-MTEB/BQ")],
)
def test_the_embedded_model_meets_no_task_of_its_sources_for_the_first_time(task: str, dataset: str) -> None:
    trained = read_trained("static-zh-en")
    assert trained.knows(made(task, sources=(dataset,))) is None
    assert trained.knows(made("TNews", sources=("C-MTEB/TNews-classification",))) is False


def test_a_name_that_only_looks_alike_is_another() -> None:
    trained = Trained(frozenset({"afqmc_train", "蚂蚁 问答", "bqx_dev"}))
    told = {name: trained.knows(made(name, sources=("x",))) for name in ("AFQMC", "蚂蚁", "BQ", "FQMC")}
    assert told == {"AFQMC": None, "蚂蚁": None, "BQ": False, "FQMC": False}


def test_kept_pairs_that_showed_a_task_make_it_in_domain() -> None:
    overlaps = {"AFQMC": Overlap(found=9, kept=1), "zh/句子": Overlap(found=9, kept=1), "BQ": Overlap(9, 0)}
    trained = Trained(frozenset({"forum"}), overlaps)
    results = [made(name, sources=("x",)) for name in ("AFQMC", "句子", "BQ")]
    assert [[each.task for each in part] for part in trained.parts(results)] == [
        ["AFQMC", "句子"],
        ["BQ"],
        [],
    ]


def test_names_on_the_command_line() -> None:
    assert read_trained("afqmc_train, C-MTEB/BQ,中文").sources == {"afqmc_train", "C-MTEB/BQ", "中文"}


def test_the_embedded_model_declares_its_sources() -> None:
    found = read_trained("static-zh-en").sources
    assert {"afqmc_train", "howtocook"} <= found
    assert found == read_trained(EMBEDDED).sources


def test_what_a_trained_model_keeps(tmp_path: Path) -> None:
    sources = [{"name": "bq_dev", "kind": "qa", "rows": 3}, {"name": "x", "origin": "C-MTEB/ATEC"}]
    _write(tmp_path / "a/training.json", {"sources": sources, "documents": ["wiki/zh-维基.jsonl"]})
    found = read_trained(tmp_path / "a")
    assert found.sources == {"bq_dev", "x", "C-MTEB/ATEC", "zh-维基"}
    assert found.knows(made("ATEC"))
    _write(
        tmp_path / "b/provenance.json", {"inputs": {"train/pairs/蚂蚁.parquet": "0", "docs/x.parquet": "1"}}
    )
    assert read_trained(tmp_path / "b").sources == {"蚂蚁", "x"}


def test_what_a_card_says(tmp_path: Path) -> None:
    card = (
        "---\nlicense: mit\ndatasets:\n- shibing624/nli_zh\n- ATEC\n---\n\n# model\n\n"
        "| source | kind | rows |\n|---|---|---:|\n| lcqmc_dev | paraphrase | 3,886 |\n\n"
        "| set | 256 |\n|---|---|\n| BQ | 1 |\n"
    )
    _write(tmp_path / "model/README.md", card)
    assert read_trained(tmp_path / "model").sources == {"lcqmc_dev", "shibing624/nli_zh", "ATEC"}
    assert read_trained(tmp_path / "model").knows(made("nli_zh"))


def _data(folder: Path, ignore: list[str]) -> Path:
    """A data folder whose pairs showed texts of two evaluation sets."""
    _write(
        folder / "mixture/manifest.json",
        {"sources": {"forum": {}, "论坛": {}}, "settings": {"ignore": ignore}},
    )
    marks = [
        Mark(0, "a", "equals evaluation", 1.0, "AFQMC"),
        Mark(1, "b", "near evaluation", 0.7, "AFQMC"),
        Mark(5, "c", "near evaluation", 0.8, "zh/STSB"),
    ]
    (folder / "marks/evaluation").mkdir(parents=True)
    write_marks(folder / "marks/evaluation/0000.parquet", marks[:2])
    write_marks(folder / "marks/evaluation/0001.parquet", marks[2:])
    return folder


def test_overlap_with_evaluation_sets(tmp_path: Path) -> None:
    found = read_trained(_data(tmp_path / "data", ["near evaluation"]))
    assert found.sources == {"forum", "论坛"}
    assert found.overlap("afqmc") == Overlap(found=2, kept=1)
    assert found.overlap("STSB") == Overlap(found=1, kept=1)
    assert found.overlap("BQ") is None
    assert read_trained(tmp_path / "data/mixture/manifest.json") == found
    both = found | Trained(frozenset({"BQ"}))
    assert both.sources == {"forum", "论坛", "BQ"}
    assert both.overlaps == found.overlaps


def test_pairs_that_were_dropped_are_not_kept(tmp_path: Path) -> None:
    assert read_trained(_data(tmp_path / "data", [])).overlap("AFQMC") == Overlap(found=2, kept=0)


def test_a_manifest_alone(tmp_path: Path) -> None:
    path = _write(tmp_path / "one/manifest.json", {"sources": {"quora": {"pairs": 3, "origin": "a/qqp"}}})
    assert read_trained(path) == Trained(frozenset({"quora", "a/qqp"}))
    with pytest.raises(InputError, match="as it names no sources"):
        read_trained(_write(tmp_path / "two/manifest.json", {"files": []}))


def test_places_that_tell_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="tells no training sources"):
        read_trained(tmp_path / "empty")
    with pytest.raises(InputError, match="no such folder or file"):
        read_trained(tmp_path / "gone")
    with pytest.raises(InputError, match="no such folder or file"):
        read_trained(str(tmp_path / "gone"))
    with pytest.raises(InputError, match="no sources are named"):
        read_trained(" , ")


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_damaged_records(text: str, tmp_path: Path) -> None:
    for name in ("training.json", "provenance.json"):
        _write(tmp_path / name / name, text)
        with pytest.raises((InputError, ModelError), match=f"{name}: "):
            read_trained(tmp_path / name)
