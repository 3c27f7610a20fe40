"""From a settings file to a saved model: what a run leaves, how it goes on, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import yuyi
from yuyi.artifacts import hash_file
from yuyi.errors import InputError, RecipeError
from yuyi.records import Pair, write_pairs
from yuyi.train.run import run_training
from yuyi.train.running.run_folder import RunFolder, run_facts
from yuyi.train.settings import TrainConfig, read_train_config

from .settings_files import TINY, put, settings, write
from .whole_runs import Heard, Stopped, run

if TYPE_CHECKING:
    from yuyi.train.running.monitor import Entry

TEXTS = ["护照 办理 7？", "kettle descale 3", "图书馆 12 续借 借书证。"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Heard]:
    """A run from scratch through two stages."""
    folder, heard = tmp_path_factory.mktemp("run"), Heard()
    run(write(folder), heard=heard)
    return folder / "out", heard


def test_a_run_leaves_model_log_curves_and_checkpoints(finished: tuple[Path, Heard]) -> None:
    folder, heard = finished
    lines = [json.loads(line) for line in (folder / "training.jsonl").read_text("utf-8").splitlines()]
    assert [(line["stage"], line["step"]) for line in lines] == [
        ("words", 4), ("words", 6), ("pairs", 4), ("pairs", 6), ("pairs", 8), ("pairs", 12)
    ]  # fmt: skip
    assert lines == heard.entries
    assert {"score", "manual/mrr", "judged/spearman"} <= lines[3]["probe"].keys()
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-1-12", "step-1-8"]
    assert (folder / "curves.png").stat().st_size > 10_000
    encoder = yuyi.load(folder / "tiny")
    assert (encoder.dims, encoder.prompts["query"], encoder.max_tokens) == ((32, 16), "问：", 48)


def test_the_card_says_how_the_model_was_made(finished: tuple[Path, Heard]) -> None:
    card = (finished[0] / "tiny" / "README.md").read_text("utf-8")
    assert 'license: "apache-2.0"' in card
    assert 'language: ["zh", "en"]' in card
    assert "- words: 6 steps at 0.002; mlm 100 % (batches of up to 8)" in card
    assert "- pairs: 12 steps at 0.002; contrast 50 % (batches of up to 24)" in card
    assert "judged 50 % (batches of up to 16)" in card
    assert re.search(r"\| manual \| qa \| \d+ \|", card)


def test_sentence_transformers_gives_equal_vectors(finished: tuple[Path, Heard]) -> None:
    from sentence_transformers import SentenceTransformer

    folder = finished[0] / "tiny"
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, prompt_name="query")
    ours = yuyi.load(folder, dtype="float32").encode(TEXTS, prompt_name="query")
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_training_moved_the_model(finished: tuple[Path, Heard]) -> None:
    folder, heard = finished
    start, end = (yuyi.load(folder / name).encode(TEXTS) for name in ("start", "tiny"))
    assert float(np.abs(start - end).max()) > 0.01
    losses = [entry["loss"]["contrast"] for entry in heard.entries if "contrast" in entry["loss"]]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("at", [4, 10])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    finished: tuple[Path, Heard], tmp_path: Path, at: int
) -> None:
    file = write(tmp_path)
    with pytest.raises(Stopped):
        run(file, heard=Heard(at))
    assert not (tmp_path / "out" / "tiny").exists()
    with pytest.raises(InputError, match=r"an unfinished run is there. Go on with it by --resume"):
        run(file)
    model = run(file, resume=True)
    assert hash_file(model / "model.safetensors") == hash_file(finished[0] / "tiny" / "model.safetensors")
    lines = (tmp_path / "out" / "training.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["loss"] for line in lines] == [entry["loss"] for entry in finished[1].entries]


def test_a_finished_run_is_not_trained_again(finished: tuple[Path, Heard], tmp_path: Path) -> None:
    folder = finished[0]
    file = write(tmp_path)
    config = read_train_config(file)
    with pytest.raises(InputError, match=r"this run is finished; its model is .*tiny. Choose another place"):
        run_training(config, folder, Heard())
    heard = Heard()
    assert run_training(config, folder, heard, resume=True) == folder / "tiny"
    assert heard.entries == []
    with pytest.raises(InputError, match=r"no run to go on with is there. Leave out --resume"):
        run_training(config, tmp_path / "nothing", Heard(), resume=True)


def test_another_run_is_not_gone_on_with(finished: tuple[Path, Heard], tmp_path: Path) -> None:
    config = read_train_config(write(tmp_path), {"stages.1.learning_rate": 0.5})
    with pytest.raises(RecipeError, match=r"saved with stages.1.learning_rate 0.002, and now it is 0.5"):
        run_training(config, finished[0], Heard(), resume=True)
    config = read_train_config(write(tmp_path))
    with pytest.raises(RecipeError, match="saved with world size 1, and now it is 2"):
        RunFolder(finished[0], "tiny").compare(run_facts(config, 2))
    # What changes nothing may be changed.
    config = read_train_config(write(tmp_path), {"checkpoint.keep": 9, "log.every": 1})
    RunFolder(finished[0], "tiny").compare(run_facts(config, 1))


def test_a_model_that_a_killed_run_left_at_its_start_is_not_trained(
    finished: tuple[Path, Heard], tmp_path: Path
) -> None:
    shutil.copytree(finished[0] / "start", tmp_path / "out" / "start")
    before = hash_file(tmp_path / "out" / "start" / "model.safetensors")
    with pytest.raises(Stopped):
        run(write(tmp_path, put(settings(), "seed", 7)), heard=Heard(4))
    assert hash_file(tmp_path / "out" / "start" / "model.safetensors") != before


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    file = write(tmp_path)

    class Second(Heard):
        def log(self, entry: Entry) -> None:
            with pytest.raises(InputError, match="out: another process is training here"):
                run(file, resume=True)
            super().log(entry)

        def say(self, line: str) -> None:
            with pytest.raises(InputError, match="out: another process is training here"):
                run(file)
            super().say(line)

    heard = Second(4)
    with pytest.raises(Stopped):
        run(file, heard=heard)
    assert heard.lines[:2] == ["model: opening", "data: opening"]
    assert (tmp_path / "out" / "run.json").is_file()


def test_a_model_is_not_called_as_anything_else_in_the_folder(finished: tuple[Path, Heard]) -> None:
    others = {path.name for path in finished[0].iterdir() if path.name[0] != "."} - {"tiny"}
    for name in (*others, "stages", "tensorboard", "bad-batch.json", "Start"):
        with pytest.raises(RecipeError, match=f"name: {name} is what something else in the folder"):
            TrainConfig(name=name, stages=())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("teacher.languages", ["zh", "en"]),
        ("model.prompts.path", "路径："),
        ("model.prompts.log", "another"),
        ("average.log", 0.25),
        ("stages.1.tasks.0.emphasis.documents", 3.0),
        ("data.0.kind", "qa"),
        ("device", "auto"),
    ],
)
def test_a_key_is_compared_whatever_it_is_called(tmp_path: Path, path: str, value: Any) -> None:
    tree = put(settings(), "teacher", {"languages": ["zh"], "folder": "there"})
    put(put(tree, "model.prompts.path", "段落："), "stages.0.name", "log")
    put(put(tree, "average", {"log": 0.5}), "stages.1.tasks.0.emphasis", {"documents": 2.0})
    begun = RunFolder(tmp_path, "tiny")
    begun.begin(run_facts(read_train_config(write(tmp_path, tree)), 1))
    # Where things lie is free, and what the card and the log say.
    for free, other in (
        ("teacher.folder", "elsewhere"),
        ("data.0.path", "elsewhere/pairs.parquet"),
        ("documents", ["elsewhere/documents.parquet"]),
        ("log.every", 3),
        ("license", "MIT"),
        ("languages", ["zh"]),
    ):
        put(tree, free, other)
    begun.compare(run_facts(read_train_config(write(tmp_path, tree)), 1))
    changed = read_train_config(write(tmp_path, put(tree, path, value)))
    with pytest.raises(RecipeError, match=f"saved with {re.escape(path)} "):
        begun.compare(run_facts(changed, 1))


def test_a_run_goes_on_from_another_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Stopped):
        run(Path("run.yaml"), heard=Heard(10))
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    assert run(Path("../run.yaml"), resume=True).is_dir()


def test_a_run_does_not_go_on_with_another_teacher(tmp_path: Path) -> None:
    tree = put(settings(), "teacher", {"folder": "teacher", "languages": ["zh"]})
    put(
        tree,
        "stages",
        [
            {
                "name": "align",
                "steps": 8,
                "learning_rate": 0.001,
                "tasks": [{"objective": "align", "batch": 16}],
            }
        ],
    )
    file = write(tmp_path, put(tree, "documents", None))
    shutil.copytree(TINY / "bert-zh", tmp_path / "teacher")
    with pytest.raises(Stopped):
        run(file, heard=Heard(4))
    shutil.rmtree(tmp_path / "teacher")
    shutil.copytree(TINY / "bert-plain", tmp_path / "teacher")
    with pytest.raises(RecipeError, match="saved with corpus "):
        run(file, resume=True)


def test_a_file_is_given_a_name_and_a_kind(tmp_path: Path) -> None:
    tree = put(settings(), "data", [{"path": "topics.jsonl", "name": "themen", "kind": "classification"}])
    put(put(tree, "documents", None), "hold_out", 0)
    put(tree, "stages", [{"name": "topics", "steps": 4, "learning_rate": 0.001, "tasks": []}])
    lines = [
        json.dumps({"text_a": f"{word} {i}", "label": i % 2}) for i, word in enumerate(["护照", "水壶"] * 20)
    ]
    (tmp_path / "topics.jsonl").write_text("\n".join(lines), "utf-8")
    heard = Heard()
    model = run(write(tmp_path, tree), heard=heard)
    assert "| themen | classification | 40 |" in (model / "README.md").read_text("utf-8")
    assert list(heard.entries[-1]["loss"]) == ["labels"]
    put(put(tree, "stages.0.learning_rate", 1e30), "stages.0.clip", 1e30)
    with pytest.raises(RecipeError, match=r"bad-batch.json; no checkpoint was saved"):
        run(write(tmp_path, tree), "bad")
    bad = json.loads((tmp_path / "bad" / "bad-batch.json").read_text("utf-8"))
    shown = bad["batches"][0]["texts"]
    assert {text["text_a"][:2] for text in shown} <= {"护照", "水壶"}
    assert len(shown) > 1


def test_a_teacher_is_followed_and_asked_once(tmp_path: Path) -> None:
    tree = put(settings(), "teacher", {"folder": str(TINY / "bert-zh"), "languages": ["zh"]})
    put(tree, "stages", [{"name": "align", "steps": 30, "learning_rate": 0.01, "tasks": []}])
    put(tree, "stages.0.tasks", [{"objective": "align", "batch": 16}])
    put(tree, "documents", None)
    heard = Heard()
    run(write(tmp_path, tree), heard=heard)
    losses = [entry["loss"]["align"] for entry in heard.entries]
    assert losses[-1] < losses[0] - 0.05
    assert len(list((tmp_path / "out").glob("teacher*.npy"))) == 1


def test_old_pairs_are_replayed_and_the_previous_model_merged(
    finished: tuple[Path, Heard], tmp_path: Path
) -> None:
    previous = finished[0] / "tiny"
    tree = put(settings(), "model", {"folder": str(previous)})
    put(tree, "continual", {"previous": str(previous), "merge": 0.5})
    put(tree, "replay", [{"path": "pairs.parquet"}])
    put(tree, "data", [{"path": "new.parquet"}])
    put(tree, "stages", [{"name": "new", "steps": 12, "learning_rate": 0.01, "probe": 12, "tasks": []}])
    new = [Pair("new", "qa", f"驾照 {i}？", f"车管所 {i} 换领驾照。", None, "zh") for i in range(90)]
    file = write(tmp_path, tree)
    write_pairs(tmp_path / "new.parquet", new)
    heard = Heard()
    model = run(file, heard=heard)
    assert {"new/mrr", "replayed: manual/mrr"} <= heard.entries[-1]["probe"].keys()
    told = (model / "README.md").read_text("utf-8")
    assert "replayed: manual" in told
    assert float(np.abs(yuyi.load(model).encode(TEXTS) - yuyi.load(previous).encode(TEXTS)).max()) > 1e-3


def test_the_model_of_each_stage_is_kept_where_it_is_asked_for(
    finished: tuple[Path, Heard], tmp_path: Path
) -> None:
    assert not (finished[0] / "stages").exists()
    tree = put(settings(), "keep_stages", True)
    file = write(tmp_path, put(tree, "average", {"words": 0.25}))
    with pytest.raises(Stopped):
        run(file, heard=Heard(10))
    assert [path.name for path in (tmp_path / "out" / "stages").iterdir()] == ["words"]
    before = hash_file(tmp_path / "out" / "stages" / "words" / "model.safetensors")
    model = run(file, resume=True)
    words, pairs = (
        load_file(model.parent / "stages" / name / "model.safetensors") for name in ("words", "pairs")
    )
    assert hash_file(model.parent / "stages" / "words" / "model.safetensors") == before
    for name, tensor in load_file(model / "model.safetensors").items():
        torch.testing.assert_close(tensor, 0.25 * words[name] + 0.75 * pairs[name])
    assert yuyi.load(model.parent / "stages" / "words").encode(TEXTS).shape == (3, 32)
    # The last stage alone is what a run without averages ends with.
    expected = hash_file(finished[0] / "tiny" / "model.safetensors")
    assert hash_file(model.parent / "stages" / "pairs" / "model.safetensors") == expected
