"""A token table by the same command: held-out rows, probes, kept stages and teachers are for it, too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import yuyi
from yuyi.artifacts import hash_file
from yuyi.encode.static_folder import StaticCard, write_static
from yuyi.errors import ModelError, RecipeError

from .settings_files import TINY, put, table_settings, write
from .whole_runs import Heard, Stopped
from .whole_runs import run as run_file

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Tokenizer


def write_table(folder: Path, tokenizer: Tokenizer, table: Any) -> None:
    """As the command line writes it."""
    write_static(folder, StaticCard("tiny", (32, 16), ("zh", "en"), "Apache-2.0"), tokenizer, table)


def run(file: Path, out: str = "out", heard: Heard | None = None, **options: Any) -> Path:
    return run_file(file, out, heard, write_table=write_table, **options)


def probed() -> dict[str, Any]:
    """Settings of two stages that are probed and kept."""
    tree = table_settings()
    tree |= {"hold_out": 8, "keep_stages": True, "checkpoint": {"every": 7, "keep": 1}}
    first = tree["stages"][0] | {"steps": 10, "probe": 5}
    return put(tree, "stages", [first, first | {"name": "again", "steps": 8}])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Heard]:
    folder, heard = tmp_path_factory.mktemp("table"), Heard()
    run(write(folder, probed()), heard=heard)
    return folder / "out", heard


def test_a_token_table_comes_out_of_the_same_command(finished: tuple[Path, Heard]) -> None:
    folder, heard = finished
    encoder = yuyi.load(folder / "tiny")
    vectors = encoder.encode(["护照 办理 7？", "passport renew 7", "kettle descale"])
    similarities = encoder.similarity(vectors, encoder.encode(["出入境大厅 护照"]))
    assert vectors.shape == (3, 32)
    assert int(np.argmax(similarities)) == 0
    assert heard.lines[:2] == ["model: opening", "data: opening"]
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-1-8"]
    assert (folder / "curves.png").stat().st_size > 10_000


def test_it_is_probed_on_rows_that_it_never_learned_from(finished: tuple[Path, Heard]) -> None:
    folder, heard = finished
    probes = [entry["probe"] for entry in heard.entries if "probe" in entry]
    assert [entry["step"] for entry in heard.entries if "probe" in entry] == [5, 10, 5, 8]
    assert all({"score", "manual/mrr", "judged/spearman"} <= probe.keys() for probe in probes)
    assert len(list((folder / "corpus").glob("held-out-*.json"))) == 1


def test_each_stage_is_kept(finished: tuple[Path, Heard]) -> None:
    folder = finished[0]
    tables = [hash_file(folder / "stages" / name / "table.safetensors") for name in ("pairs", "again")]
    assert tables[0] != tables[1] == hash_file(folder / "tiny" / "table.safetensors")


@pytest.mark.parametrize("at", [4, 14])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    finished: tuple[Path, Heard], tmp_path: Path, at: int
) -> None:
    file = write(tmp_path, probed())
    with pytest.raises(Stopped):
        run(file, heard=Heard(at))
    model = run(file, resume=True)
    assert hash_file(model / "table.safetensors") == hash_file(finished[0] / "tiny" / "table.safetensors")
    lines = (tmp_path / "out" / "training.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["loss"] for line in lines] == [entry["loss"] for entry in finished[1].entries]


def test_a_teacher_gives_the_table_its_words(tmp_path: Path) -> None:
    tree = put(table_settings(), "teacher", {"folder": str(TINY / "bert-zh"), "languages": ["en"]})
    put(tree, "vocabulary.lexicon", 100)
    put(tree, "stages", [{"name": "align", "steps": 30, "tasks": [{"objective": "align", "batch": 64}]}])
    heard = Heard()
    model = run(write(tmp_path, tree), heard=heard)
    losses = [entry["loss"]["align"] for entry in heard.entries]
    assert losses[-1] < losses[0] - 0.05
    # In no text of the data, and among the teacher's own words.
    words = ["weather", "cosine", "numpy", "python", "today", "hong", "walk", "search"]
    above = np.triu_indices(len(words), 1)
    theirs, ours = (
        encoder.similarity(vectors, vectors)[above]
        for encoder in (yuyi.load(TINY / "bert-zh"), yuyi.load(model))
        for vectors in [encoder.encode(words)]
    )
    assert np.corrcoef(theirs, ours)[0, 1] > 0.9


def test_a_teacher_of_other_dimensions_is_followed_in_its_similarities(tmp_path: Path) -> None:
    teacher = {"folder": str(TINY / "bert-zh"), "languages": ["en"], "turn": False}
    tree = put(put(table_settings(), "teacher", teacher), "dims", {64: 1.0})
    tasks = [{"objective": "align", "batch": 64, "relation": 1.0}]
    put(tree, "stages", [{"name": "align", "steps": 30, "tasks": tasks}])
    heard = Heard()
    assert run(write(tmp_path, tree), heard=heard).is_dir()
    losses = [entry["loss"]["align"] for entry in heard.entries]
    assert losses[-1] < losses[0]


def test_averages_and_patience_are_for_tables_and_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    tree = put(put(probed(), "average", {"pairs": 0.3}), "stages.0.ema", 0.5)
    put(put(tree, "stages.1.probe", 2), "stages.1.patience", 1)
    whole = run(write(tmp_path, tree), "whole")
    with pytest.raises(Stopped):
        run(write(tmp_path, tree), "stopped", Heard(8))
    resumed = run(write(tmp_path, tree), "stopped", resume=True)
    table = "table.safetensors"
    assert hash_file(resumed / table) == hash_file(whole / table)
    kept = hash_file(tmp_path / "whole" / "stages" / "again" / table)
    assert kept != hash_file(whole / table)  # The first stage has a share in the end.


def test_a_run_without_its_tokenizer_says_so(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(write(tmp_path, probed()), heard=Heard(8))
    (tmp_path / "out" / "start" / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"start/tokenizer\.json: missing or damaged"):
        run(write(tmp_path, probed()), resume=True)


def test_what_a_table_has_not_is_refused_before_the_first_step(tmp_path: Path) -> None:
    tree = put(table_settings(), "stages.0.freeze", {"layers": 2})
    with pytest.raises(RecipeError, match="a token table has no parts to rest"):
        run(write(tmp_path, tree))
    assert not (tmp_path / "out").exists()
