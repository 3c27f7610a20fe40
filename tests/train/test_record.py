"""`training.json`, which stays with what a run made: a transformer or a token table."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from yuyi.artifacts import is_sealed
from yuyi.errors import ModelError
from yuyi.train.reading.sources import Column, Source
from yuyi.train.record import joined, training_record, training_text
from yuyi.train.settings import read_train_config
from yuyi.train.starting.merge import merge_folders
from yuyi.training_record import TRAINING, Batches, read_training
from yuyi.training_record import Source as Told
from yuyi.types import TokenBatch
from yuyi.version import __version__

from .settings_files import TINY, put, settings, table_settings, write
from .test_run_tables import write_table
from .whole_runs import run

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = {
    "sources": {
        "manual": {"origin": "https://example.org/手册", "licence": "CC-BY-4.0", "taken": 90},
        "judged": {"origin": None, "licence": None},
    }
}


def trained(folder: Path, tree: dict[str, Any], manifest: str = json.dumps(MANIFEST)) -> Path:
    """The model of a short run on data with a manifest beside them."""
    folder.mkdir(exist_ok=True)
    for number, stage in enumerate(tree["stages"]):
        put(tree, f"stages.{number}", {**stage, "steps": 3})
    file = write(folder, tree)
    (folder / "manifest.json").write_text(manifest, "utf-8")
    return run(file, write_table=write_table)


def test_a_transformer_says_what_it_was_made_of(tmp_path: Path) -> None:
    model = trained(tmp_path, settings())
    made = read_training(model)
    assert made is not None
    assert (made.yuyi, made.license, made.languages) == (__version__, "Apache-2.0", ("zh", "en"))
    assert (made.start, made.documents, made.teacher) == ("", ("documents",), {})
    assert [(stage.name, stage.steps, stage.learning_rate) for stage in made.stages] == [
        ("words", 3, 0.002),
        ("pairs", 3, 0.002),
    ]
    assert made.stages[1].tasks[1] == Batches(objective="judged", share=1.0, batch=16)
    sources = {(source.name, source.kind): source for source in made.sources}
    manual = sources["manual", "qa"]
    assert manual.rows is not None
    assert manual == Told(
        name="manual", kind="qa", rows=manual.rows, origin="https://example.org/手册", licence="CC-BY-4.0"
    )
    assert {source.licence for source in made.sources if source.name != "manual"} == {""}
    assert (made.settings["dims"], made.settings["seed"]) == ("32, 16", 0)
    text = (model / "README.md").read_text("utf-8")
    assert f"| manual | qa | {manual.rows} |" in text
    assert is_sealed(text)
    assert str(tmp_path) not in (model / TRAINING).read_text("utf-8")


def test_a_token_table_does_too(tmp_path: Path) -> None:
    made = read_training(trained(tmp_path, table_settings()))
    assert made is not None
    assert {stage.steps for stage in made.stages} == {3}
    assert "CC-BY-4.0" in {source.licence for source in made.sources}


def test_what_it_began_with_and_old_rows_are_named(tmp_path: Path) -> None:
    tree = put(settings(), "model", {"folder": str(TINY / "bert-zh")})
    put(tree, "continual", {"previous": str(TINY / "bert-zh"), "merge": 0.5})
    put(tree, "replay", [{"path": "pairs.parquet"}])
    put(tree, "stages", [{"name": "new", "steps": 4, "learning_rate": 0.01, "tasks": []}])
    for key in ("documents", "hold_out", "dims"):
        del tree[key]
    made = read_training(trained(tmp_path, tree))
    assert made is not None
    assert made.start == "bert-zh"
    assert {source.replayed for source in made.sources if source.name == "manual"} == {True, False}


def short(name: str, source: str, **model: Any) -> dict[str, Any]:
    """Settings of four steps on pairs of one source."""
    stage = {"name": "pairs", "steps": 4, "learning_rate": 0.002, "tasks": [{"objective": "contrast"}]}
    tree = {**settings(), "name": name, "model": model, "stages": [stage]}
    tree["data"] = [{"path": "pairs.parquet", "name": source}]
    return {key: value for key, value in tree.items() if key not in ("documents", "hold_out", "dims")}


def test_a_run_that_goes_on_from_another_tells_of_both_and_so_does_a_merge(tmp_path: Path) -> None:
    models = [trained(tmp_path / "a", short("a", "first", folder=str(TINY / "bert-zh")))]
    for name in ("b", "c"):
        models.append(trained(tmp_path / name, short(name, name, folder=str(models[0]))))
    made = read_training(models[1])
    assert made is not None
    assert made.start == "bert-zh"
    assert [(stage.run, stage.name) for stage in made.stages] == [("a", "pairs"), ("b", "pairs")]
    assert [source.name for source in made.sources] == ["first", "b"]
    assert read_training(models[1].parent / "start") == read_training(models[0])
    merge_folders(models[1:], tmp_path / "merged", [1, 1])
    made = read_training(tmp_path / "merged")
    assert made is not None
    assert [stage.run for stage in made.stages] == ["a", "b", "c"]
    assert [source.name for source in made.sources] == ["first", "b", "c"]


def test_a_record_of_the_first_model_need_not_say_everything(tmp_path: Path) -> None:
    start = shutil.copytree(TINY / "bert-zh", tmp_path / "start")
    (start / TRAINING).write_text('{"start": "gte-small-zh", "sources": [{"name": "AFQMC"}]}', "utf-8")
    made = read_training(trained(tmp_path / "run", short("a", "b", folder=str(start))))
    assert made is not None
    assert (made.start, [source.name for source in made.sources]) == ("gte-small-zh", ["AFQMC", "b"])
    (start / TRAINING).write_text('{"stages": [{"steps": 3}]}', "utf-8")
    with pytest.raises(ModelError, match=r"training\.json: no record of a training run"):
        trained(tmp_path / "other", short("a", "b", folder=str(start)))


@pytest.mark.parametrize("manifest", ["", "[]", '{"sources": 3}', '{"sources": {"manual": "mit"}}'])
def test_a_manifest_that_cannot_be_read_ends_no_run(tmp_path: Path, manifest: str) -> None:
    config = read_train_config(write(tmp_path, settings()))
    (tmp_path / "manifest.json").write_text(manifest, "utf-8")
    none = Column(TokenBatch(np.zeros(0, np.int32), np.zeros(1, np.int64)), np.zeros(0, np.uint64))
    (source,) = training_record(config, config, [Source.of("manual", "qa", none, none)], {})["sources"]
    assert (source["name"], source["rows"], source["origin"], source["licence"]) == ("manual", 0, "", "")


def test_what_no_record_tells_stays_unknown(tmp_path: Path) -> None:
    told = {"stages": [{"name": "一", "tasks": [{"objective": "contrast"}, {"objective": "align"}]}]}
    (tmp_path / TRAINING).write_text(json.dumps(told), "utf-8")
    made = read_training(tmp_path)
    assert made is not None
    assert made.start is None
    assert (made.stages[0].steps, made.stages[0].learning_rate) == (None, None)
    assert made.stages[0].percents == (None, None)
    assert training_text({**told, "sources": [{"name": "法律"}]}).splitlines() == [
        "- 一; contrast, align",
        "",
        "| source | kind | rows |",
        "|---|---|---:|",
        "| 法律 |  |  |",
    ]
    later = {"start": "between", "stages": []}
    assert "start" not in joined([told, later])
    assert joined([{"start": ""}, later])["start"] == ""


def test_shares_of_nothing_are_no_error(tmp_path: Path) -> None:
    for shares, percents in (((0, 0), (None, None)), ((0, 2), (0.0, 100.0)), ((3, 1), (75.0, 25.0))):
        tasks = [{"objective": "contrast", "share": share} for share in shares]
        (tmp_path / TRAINING).write_text(json.dumps({"stages": [{"name": "a", "tasks": tasks}]}), "utf-8")
        made = read_training(tmp_path)
        assert made is not None
        assert made.stages[0].percents == percents
    tasks = [{"objective": "contrast", "share": -1}]
    (tmp_path / TRAINING).write_text(json.dumps({"stages": [{"name": "a", "tasks": tasks}]}), "utf-8")
    with pytest.raises(ModelError, match="share -1"):
        read_training(tmp_path)
