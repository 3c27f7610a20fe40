"""`training.json`, which stays with what a run made: a transformer or a token table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from yuyi.artifacts import is_sealed
from yuyi.evaluate.card_training import Batches, Source, read_training
from yuyi.train.record import TRAINING
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
    for number, stage in enumerate(tree["stages"]):
        put(tree, f"stages.{number}", {**stage, "steps": 4})
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
        ("words", 4, 0.002),
        ("pairs", 4, 0.002),
    ]
    assert made.stages[1].tasks[1] == Batches(objective="judged", share=1.0, batch=16)
    sources = {(source.name, source.kind): source for source in made.sources}
    manual = sources["manual", "qa"]
    assert manual.rows is not None
    assert manual == Source(
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
    assert {stage.steps for stage in made.stages} == {4}
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


@pytest.mark.parametrize("manifest", ["", "[]", '{"sources": 3}', '{"sources": {"manual": "mit"}}'])
def test_a_manifest_that_cannot_be_read_ends_no_run(tmp_path: Path, manifest: str) -> None:
    made = read_training(trained(tmp_path, table_settings(), manifest))
    assert made is not None
    assert {source.licence for source in made.sources} == {""}
