"""Settings of a training run: what is refused before anything is opened, and what the message names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from yuyi.errors import RecipeError
from yuyi.train.running.schedule import rate_at
from yuyi.train.settings import TrainConfig, read_train_config

from .settings_files import put, settings, table_settings, write
from .settings_tables import CLASSES, PAGE, with_tables

if TYPE_CHECKING:
    from pathlib import Path


def test_all_of_a_file_is_read_and_paths_are_seen_from_here(tmp_path: Path) -> None:
    config = read_train_config(write(tmp_path))
    assert config.name == "tiny"
    assert config.data[0].path == str(tmp_path / "pairs.parquet")
    assert config.documents == (str(tmp_path / "documents.parquet"),)
    assert [task.objective for _, _, task in config.tasks()] == ["mlm", "contrast", "judged"]
    assert list(config.dims) == [32, 16]
    assert config.model is not None
    assert config.model.prompts == {"query": "问：", "document": ""}


def test_assignments_reach_into_lists(tmp_path: Path) -> None:
    config = read_train_config(write(tmp_path), {"stages.1.tasks.0.batch": 8, "checkpoint.every": 3})
    assert config.stages[1].tasks[0].batch == 8
    assert config.stages[1].tasks[1].batch == 16
    assert config.checkpoint.every == 3
    with pytest.raises(RecipeError, match=r"stages.7.steps: 7 is none of the 2 elements"):
        read_train_config(write(tmp_path), {"stages.7.steps": 8})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "red", "colour: no such key. Choose from .*stages.*name"),
        ("stages.0.rate", 1, "stages.0.rate: no such key. Choose from name, steps"),
        ("stages.1.tasks.0.tempreature", 1, "stages.1.tasks.0.tempreature: no such key.*temperature"),
        ("checkpoint.evry", 1, "checkpoint.evry: no such key. Choose from every, keep"),
        ("model.sise", "tiny", "model.sise: no such key"),
        ("name", "a/b", "name: 'a/b' cannot be the name of a folder"),
        ("stages.1.tasks.0.objective", "guess", "stages.1.tasks.0.objective: .*'contrast'.*'mlm'"),
        ("precision", "float8", "precision: .*'float32'.*'bfloat16'"),
        ("precision", "float16", "precision: float16 is for GPUs"),
        ("stages.1.schedule", "steep", "stages.1.schedule: .*'linear', 'cosine' or 'wsd'"),
        ("dims", {16: 1, 32: 1}, "dims: .* do not fall"),
        ("stages.0.name", "pairs", "stages: two are called 'pairs'"),
        ("average", {"weak": 0.5}, "average.weak: no such stage. Choose from words, pairs"),
        ("average", {"words": 0.7, "pairs": 0.7}, "average: .*more than 1 together"),
        ("stages.1.warmup", 12, "stages.1.warmup: 12 of 12 steps"),
        ("documents", [], "stages.0.tasks.0.objective: mlm reads documents, and there are none"),
        ("data", [], "stages.1.tasks.0.objective: contrast reads pairs, and data is empty"),
        ("model", None, "model, vocabulary: neither is there"),
        ("vocabulary", {"size": 100}, "model, vocabulary: both are there"),
        ("stages.1.tasks.1", {"objective": "align"}, "stages.1.tasks.1.objective: align follows a teacher"),
        ("stages.1.tasks.0.negatives", 0, None),
        (
            "stages.1.tasks.0", {"objective": "contrast", "batch": 1, "negatives": 0},
            "stages.1.tasks.0.batch: 1; contrast compares the rows of a batch",
        ),
        (
            "stages.1.tasks.0", {"objective": "labels", "batch": 1},
            "stages.1.tasks.0.batch: 1; labels compares the rows of a batch",
        ),
        ("stages.1.tasks.1.batch", 1, "stages.1.tasks.1.batch: 1; judged compares the rows of a batch"),
        (
            "stages.1.tasks.0", {"objective": "labels", "labels_by": "negatives", "negatives": 0},
            "stages.1.tasks.0.negatives: 0; labels_by: negatives compares",
        ),
        (
            "stages.1.tasks.1", {"objective": "judged", "ranking": 0, "pairing": 0},
            "stages.1.tasks.1.ranking: 0, and pairing is 0 too",
        ),
        (
            "stages.1.tasks.0", {"objective": "contrast", "negatives": 0, "hardness": 5.0},
            "stages.1.tasks.0.hardness: 5.0 weighs hard negatives, and negatives is 0",
        ),
        ("stages.1.tasks.0.query_tokens", 64, "stages.1.tasks.0.query_tokens: 64, and longest cuts .* at 48"),
        ("hold_out", 0, "stages.1.probe: 6, and no rows are held out"),
        ("stages.1.learning_rate", None, "stages.1.learning_rate: missing. A transformer needs one"),
        ("documents", ["d.parquet", "d.jsonl"], r"documents: .*d.jsonl is no Parquet file"),
        ("data", "x.parquet", r"data: 'x.parquet' is no list. Write a list, as \[\{path: x.parquet\}\]"),
        ("data", ["x.parquet"], r"data.0: 'x.parquet' is not keys with values. Its keys are path"),
        ("model.pooling", "mean", r"model.pooling: 'mean' is no list. Write a list, as \[mean\]"),
        ("stages", {"name": "a"}, "stages: .* is no list. Put a hyphen before each of its elements"),
        ("teacher", {}, "teacher: none is given. Give one of package, folder and vectors"),
        (
            "teacher", {"package": "a", "folder": "b"},
            "teacher: package and folder are given. Give one of package, folder and vectors",
        ),
        ("continual", {"previous": "old"}, "continual: goes on from a transformer's folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(tmp_path: Path, path: str, value: Any, message: str | None) -> None:
    file = write(tmp_path, put(settings(), path, value))
    if message is None:
        read_train_config(file)
        return
    with pytest.raises(RecipeError, match=message):
        read_train_config(file)


def test_stages_that_are_kept_have_names_of_folders(tmp_path: Path) -> None:
    tree = put(settings(), "stages.0.name", "../words")
    assert not read_train_config(write(tmp_path, tree)).keep_stages
    with pytest.raises(RecipeError, match=r"keep_stages: '\.\./words' cannot be the name of a folder"):
        read_train_config(write(tmp_path, put(tree, "keep_stages", True)))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "stages.0.tasks.0.objective",
            "mlm",
            "objective: mlm hides words from a transformer",
        ),
        ("dims", {}, "dims: empty"),
        ("precision", "bfloat16", "precision: bfloat16; a token table is trained in float32"),
        ("checkpointing", True, "checkpointing: is set, and a token table has no layers"),
        ("documents", ["documents.parquet"], "documents: is set, and a token table learns from pairs alone"),
        ("stages.0.tasks.0.projection", True, "projection: true; a token table has rows alone"),
        ("data", [], "data: empty"),
        (
            "vocabulary.lexicon",
            100,
            "vocabulary.lexicon: 100 words of a teacher, and there is no teacher",
        ),
        (
            "stages.0.tasks.0.query_prompt",
            "query",
            "stages.0.tasks.0.query_prompt: 'query'; a token table has no prompts",
        ),
        ("device", "cuda", "device: cuda; a token table is trained on the processor"),
    ],
)
def test_what_a_token_table_cannot_do_is_named(tmp_path: Path, path: str, value: Any, message: str) -> None:
    file = write(tmp_path, put(table_settings(), path, value))
    with pytest.raises(RecipeError, match=message):
        read_train_config(file)


def test_a_token_table_has_a_learning_rate_of_its_own(tmp_path: Path) -> None:
    config = read_train_config(write(tmp_path, put(table_settings(), "stages.0.learning_rate", None)))
    assert (config.stages[0].learning_rate, config.stages[0].highest_rate) == (None, 0.1)
    assert rate_at(config.stages[0], 1) == 0.1


def test_continual_learning_starts_from_the_previous_model_and_replays_files(tmp_path: Path) -> None:
    tree = put(settings(), "model", {"folder": "old"})
    put(tree, "continual", {"previous": "old"})
    with pytest.raises(RecipeError, match=r"continual.replay: 0.3, and no file of old pairs"):
        read_train_config(write(tmp_path, tree))
    put(tree, "replay", [{"path": "pairs.parquet"}])
    assert read_train_config(write(tmp_path, tree)).continual is not None
    put(tree, "model.folder", "another")
    with pytest.raises(RecipeError, match=r"continual.previous: .*old, and model.folder is .*another"):
        read_train_config(write(tmp_path, tree))


def test_a_recipe_is_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path, {"name": "x", "table": {}, "documents": []})
    with pytest.raises(RecipeError, match=r"a recipe, which makes its own data. Run it with `yuyi run"):
        read_train_config(path)


def test_every_attribute_of_every_class_of_settings_is_documented() -> None:
    from dataclasses import fields

    from yuyi.train import config, settings

    for kind in (
        config.Course, config.Stage, config.Task, config.Continual, TrainConfig, settings.DataEntry,
        settings.CheckpointConfig, settings.LogConfig,
    ):  # fmt: skip
        told = kind.__doc__ or ""
        inherited = config.Course.__doc__ or ""
        for each in fields(kind):
            assert f"        {each.name}: " in told + (inherited if kind is TrainConfig else ""), each.name


def test_the_page_has_the_tables_of_the_classes() -> None:
    page = PAGE.read_text("utf-8")
    assert page.count("<!-- settings ") == len(CLASSES)
    assert with_tables(page) == page, "run: python tests/train/settings_tables.py"


def test_the_files_that_the_page_shows_and_ships_can_be_read(tmp_path: Path) -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(shown) == 2
    for number, text in enumerate(shown):
        (tmp_path / f"{number}.yaml").write_text(text, "utf-8")
        assert read_train_config(tmp_path / f"{number}.yaml").data
    recipes = PAGE.parent.parent / "recipes"
    assert len(list(recipes.glob("small-zh-en/*.yaml"))) == 4
    for path in (*recipes.glob("*encoder*.yaml"), *recipes.glob("small-zh-en/*.yaml")):
        assert read_train_config(path).name == path.stem.lstrip("1234-")
