"""What a run refuses and what it warns of, before the first step wherever that can be known."""

from __future__ import annotations

import json
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch

import yuyi
from yuyi.errors import InputError, ModelError, RecipeError, YuyiWarning
from yuyi.records import Pair, write_pairs

from .settings_files import TINY, pairs, put, settings, write
from .whole_runs import Heard, run

if TYPE_CHECKING:
    from pathlib import Path


TWO_POOLINGS = {"stages.1.tasks.0": {"objective": "retromae", "batch": 8}, "model.pooling": ["mean", "cls"]}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("stages.1.tasks.0.kinds", ["qua"], "tasks.0.kinds: qua is not in the data. .* paraphrase, qa"),
        ("stages.1.tasks.0.sources", ["manuel"], "stages.1.tasks.0.sources: manuel .* judged, manual"),
        ("stages.1.tasks.1.emphasis", {"x": 2}, "stages.1.tasks.1.emphasis: x is not in the data"),
        ("stages.1.tasks.1", {"objective": "labels"}, "stages.1.tasks.1.objective: no rows are for labels"),
        ("stages.1.tasks.0.query_prompt", "frage", "'frage' is no prompt .*Choose from query"),
        ("stages.1.tasks.0.query_prompt", {"zh": "query"}, "en"),
        ("stages.1.tasks.0.query_tokens", 2, "tasks.0.query_tokens: 2, of which 2 are special tokens"),
        (
            "stages.1.tasks.0", {"objective": "judged", "kinds": ["qa"]},
            "stages.1.tasks.0.objective: no rows are for judged",
        ),
        ("dims", {64: 1, 16: 1}, "dims: 64, and the model gives 32 dimensions"),
        ("passages", {"longest": 3, "shortest": 2}, "passages: rows of 2 to 3 tokens"),
        ("model", {"folder": "nowhere"}, "nowhere"),
        ("data.0.path", "gone.parquet", "gone.parquet: no such file"),
        ("documents.0", "gone.parquet", "gone.parquet: no such file"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    tmp_path: Path, path: str, value: Any, message: str
) -> None:
    file = write(tmp_path, put(settings(), path, value))
    with pytest.raises((RecipeError, InputError, ModelError), match=message):
        run(file)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages.1.freeze": {"head": 3}}, "freeze.head: the model has no such part"),
        ({"stages.1.tasks.0.keep": 1.0}, "keep is 1.0, and there is no previous model to keep to"),
        ({"model.include_prompt": False}, "has the prompt 'query', and the model leaves prompts out"),
        (TWO_POOLINGS, "retromae"),
    ],
)
def test_what_does_not_fit_a_later_stage_is_refused_before_the_first_step(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    tree = settings()
    for path, value in changes.items():
        put(tree, path, value)
    if "model.pooling" in changes:
        put(tree, "dims", None)
    heard = Heard()
    with pytest.raises(RecipeError, match=message):
        run(write(tmp_path, tree), heard=heard)
    assert heard.entries == []
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_without_a_mask_token_is_refused_before_the_first_step(tmp_path: Path) -> None:
    shutil.copytree(TINY / "bert-zh", tmp_path / "unmasked")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        file = tmp_path / "unmasked" / name
        file.write_text(file.read_text("utf-8").replace("[MASK]", "[HIDE]"), "utf-8")
    tree = put(put(settings(), "model", {"folder": "unmasked"}), "longest", 16)
    tree["stages"] = tree["stages"][::-1]
    put(tree, "stages.0.tasks.0.query_prompt", None)
    heard = Heard()
    with pytest.raises(ModelError, match="the tokenizer has no mask token"):
        run(write(tmp_path, tree), heard=heard)
    assert heard.entries == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "task", "message"),
    [
        (
            [Pair("topics", "classification", f"护照 {i}", "", 1.0, "zh") for i in range(40)],
            {"objective": "labels"},
            "one label",
        ),
        (
            [{"anchor": f"水壶 {i}", "positive": f"清洗 {i}", "score": 0.5} for i in range(40)],
            {"objective": "distil"},
            "distil compares a row's candidates",
        ),
        (
            [Pair("few", "qa", f"护照 {i}？", f"{i} 号办理。", None, "zh") for i in range(12)],
            {"objective": "contrast", "negatives": 0},
            "the probe has no rows",
        ),
    ],
)
def test_data_that_a_later_stage_cannot_use_are_refused_before_the_first_step(
    tmp_path: Path, rows: list[Any], task: dict[str, Any], message: str
) -> None:
    tree = put(settings(), "stages.1.tasks", [{"batch": 8, **task}])
    if task["objective"] != "contrast":
        put(put(tree, "stages.1.probe", None), "hold_out", 0)
    file = write(tmp_path, tree)
    if isinstance(rows[0], Pair):
        write_pairs(tmp_path / "pairs.parquet", rows)
    else:
        put(tree, "data", [{"path": "rows.jsonl"}])
        (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
        file = write(tmp_path, tree)
    heard = Heard()
    with pytest.raises(RecipeError, match=message):
        run(file, heard=heard)
    assert heard.entries == []
    assert not (tmp_path / "out").exists()


def test_a_refused_run_takes_nothing_away_and_may_be_corrected(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(RecipeError, match=r"freeze.head"):
        run(write(tmp_path, put(settings(), "stages.1.freeze", {"head": 3})))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_a_place_that_cannot_be_written_is_noticed_first(tmp_path: Path) -> None:
    heard = Heard()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/out: cannot be written"):
        run(write(tmp_path), "file/out", heard)
    assert heard.lines == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no rows"),
        ([Pair("one", "qa", "护照？", "办理。", None, "zh")], "no 2 rows of one collection and kind"),
        ([Pair("bad", "qa", "护照？", "", None, "zh")] * 9, "its text_b is ''"),
        ([Pair("bad", "nli", "护照", "水壶", 7.0, "zh")] * 9, "label 7"),
        (
            [Pair("some", "qa", f"护照{i}", f"{i}号", None, "zh") for i in range(40)],
            "no row of some brings any",
        ),
    ],
)
def test_data_that_cannot_be_learned_from_is_refused(tmp_path: Path, rows: list[Pair], message: str) -> None:
    tree = put(settings(), "stages.0.tasks", [{"objective": "contrast", "batch": 8, "negatives": 4}])
    if rows and rows[0].kind == "nli":
        put(tree, "stages.0.tasks.0", {"objective": "judged", "batch": 8})
    tree["stages"] = tree["stages"][:1]
    file = write(tmp_path, tree)
    write_pairs(tmp_path / "pairs.parquet", rows)
    with pytest.raises((RecipeError, InputError), match=message):
        run(file)
    assert not (tmp_path / "out").exists()


def test_a_small_source_that_teaches_nothing_stops_no_run(tmp_path: Path) -> None:
    tree = put(put(put(settings(), "documents", None), "hold_out", 0), "dims", {32: 1.0})
    tasks = [{"objective": "contrast", "batch": 8}]
    put(tree, "stages", [{"name": "all", "steps": 3, "learning_rate": 0.001, "tasks": tasks}])
    write(tmp_path)
    rows = [pair for pair in pairs() if pair.kind == "qa"]
    few = [Pair("tips", "qa", "护照？", f"{n}号", None, "zh") for n in range(2)]
    around = [Pair("ring", "qa", first, second, None, "zh") for first, second in ("甲乙", "乙丙", "丙甲")]
    write_pairs(tmp_path / "pairs.parquet", [*rows, *few, *around])
    with pytest.warns(YuyiWarning) as warned:
        model = run(write(tmp_path, tree))
    told = sorted(str(each.message) for each in warned if "leaves it out" in str(each.message))
    assert [text.split(" (")[0] for text in told] == ["source ring", "source tips"]
    assert "batches have 1 of 3 rows" in told[0] and "all 2 rows have one text_a" in told[1]
    card = (model / "README.md").read_text("utf-8")
    assert "| manual | qa |" in card and "| tips |" not in card
    assert yuyi.load(model).dim == 32


def test_rows_of_an_unknown_kind_are_told(tmp_path: Path) -> None:
    tree = put(settings(), "data", [{"path": "pairs.parquet", "name": "faq", "kind": "frage"}])
    put(put(tree, "documents", None), "hold_out", 0)
    stage = {"name": "all", "steps": 1, "learning_rate": 0.001}
    write(tmp_path)
    write_pairs(tmp_path / "pairs.parquet", [pair for pair in pairs() if pair.kind == "qa"])
    with pytest.warns(YuyiWarning, match=r"source faq: kind 'frage' is unknown.* those of 'retrieval'"):
        run(write(tmp_path, put(tree, "stages", [stage])), "guessed")
    with warnings.catch_warnings():
        warnings.simplefilter("error", YuyiWarning)
        stage["tasks"] = [{"objective": "contrast", "batch": 8, "kinds": ["frage"]}]
        run(write(tmp_path, put(tree, "stages", [stage])), "named")


def test_a_teacher_of_another_dimension_needs_a_projection(tmp_path: Path) -> None:
    tree = put(settings(), "teacher", {"folder": str(TINY / "bert-zh"), "languages": ["zh"]})
    put(tree, "model.hidden", 64)
    put(tree, "dims", {64: 1})
    put(
        tree,
        "stages",
        [
            {
                "name": "align",
                "steps": 2,
                "learning_rate": 0.001,
                "tasks": [{"objective": "align", "batch": 16}],
            }
        ],
    )
    with pytest.raises(RecipeError, match="the teacher's vectors have 32 dimensions and the model's 64"):
        run(write(tmp_path, tree))
    assert not (tmp_path / "out").exists()
    put(tree, "stages.0.tasks.0.projection", True)
    assert run(write(tmp_path, tree), "projected").is_dir()


def test_a_loss_that_is_no_number_ends_the_run_with_its_batch(tmp_path: Path) -> None:
    tree = put(settings(), "stages.1.learning_rate", 1e30)
    put(tree, "stages.1.clip", 1e30)
    with pytest.raises(RecipeError, match=r"Its batch is in .*bad-batch.json; the last good checkpoint is"):
        run(write(tmp_path, tree))
    batch = json.loads((tmp_path / "out" / "bad-batch.json").read_text("utf-8"))
    assert batch["stage"] == "pairs"
    assert not (tmp_path / "out" / "tiny").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="device: cuda, and torch sees no GPU here"):
        run(write(tmp_path, put(settings(), "device", "cuda")))
    tree = put(put(settings(), "device", "auto"), "precision", "float16")
    with pytest.raises(RecipeError, match="float16 is for GPUs, and there is none here"):
        run(write(tmp_path, tree))
