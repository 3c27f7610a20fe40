from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import yuyi
from yuyi.artifacts import hash_file, is_sealed
from yuyi.errors import InputError, RecipeError
from yuyi.evaluate.linting.lint import lint
from yuyi.evaluate.results import from_json
from yuyi.recipe.run import run_recipe
from yuyi.training_record import read_training

if TYPE_CHECKING:
    from .conftest import Workplace

STAGES = ("pairs", "vocabulary", "table", "model")


def run(workplace: Workplace) -> dict[str, str]:
    """What was said of each stage of a run."""
    said: list[str] = []
    model = run_recipe(workplace.write(), workplace.out, say=said.append)
    assert model == workplace.out / "tiny"
    return dict(line.split(": ", 1) for line in said)


def test_documents_and_pairs_become_a_model_with_its_card(workplace: Workplace) -> None:
    entries: list[dict[str, Any]] = []
    model = run_recipe(workplace.path, workplace.out, log=entries.append)
    encoder = yuyi.load(model)
    assert (encoder.name, encoder.dims, encoder.license) == ("tiny", (16, 8), "Apache-2.0")
    close, far = encoder.similarity(
        encoder.encode("护照丢了怎么挂失"), encoder.encode(["补发护照", "清洗水壶的水垢"])
    )[0]
    assert close > far + 0.2

    provenance = json.loads((model / "provenance.json").read_text("utf-8"))
    assert provenance["fingerprint"] == encoder.fingerprint
    assert provenance["recipe"] == {"file": "tiny.yaml", "sha256": hash_file(workplace.path)}
    assert provenance["inputs"]["pairs.parquet"] == hash_file(workplace.folder / "data" / "pairs.parquet")
    assert provenance["outputs"]["table"] == hash_file(workplace.out / "table.npy")

    record = (model / "training.json").read_text("utf-8")
    training, manifest = read_training(model), workplace.out / "data" / "mixture" / "manifest.json"
    assert training is not None
    assert sum(source.rows or 0 for source in training.sources) == json.loads(manifest.read_text())["rows"]
    assert {(each.name, each.kind, each.origin) for each in training.sources} >= {
        ("made", "qa", "made for the tests"),
        ("parallel", "parallel", "made for the tests"),
    }
    card = (model / "README.md").read_text("utf-8")
    assert is_sealed(card)
    assert lint(model) == []
    assert card.startswith("---\nlanguage:\n- zh\n- en\nlicense: apache-2.0\n")
    for line in (
        "# tiny\n",
        f"| vocabulary | {encoder.vocabulary_size:,} pieces |",
        "- judged: 20 steps, learning rate 0.1: judged 67 % (batches of 32), contrast 33 % (batches of 32)\n",
        "Sources are drawn in proportion to their size to the power 0.5, each batch from one.\n",
        "`yuyi run tiny.yaml` makes this model again. `provenance.json` holds the hashes of what went in.\n",
        "| documents | ",
        " | written for the tests | Apache-2.0 | ",
        "Dropped, by reason: ",
        "- secret.parquet: is nobody's business\n",
        "- Knows five topics.\n",
    ):
        assert line in card
    assert "Scores" not in card
    assert max(map(ord, card)) < 0x10000
    assert str(workplace.folder) not in card + record + json.dumps(provenance)

    written = [json.loads(line) for line in (workplace.out / "training.jsonl").read_text().splitlines()]
    assert written == entries
    assert [(entry["stage"], entry["step"]) for entry in entries] == [
        ("weak", 20),
        ("weak", 30),
        ("judged", 20),
    ]
    assert {path.name for path in workplace.out.iterdir()} == {
        *("data", "tokenizer.json", "table.npy", "stages.json", "training.jsonl", "tiny"),
    }


def test_a_second_run_keeps_every_stage(workplace: Workplace) -> None:
    assert run(workplace) == dict.fromkeys(STAGES, "running")
    made = {path: path.stat().st_mtime_ns for path in workplace.out.rglob("*")}
    assert run(workplace) == dict.fromkeys(STAGES, "unchanged, kept")
    assert {path: path.stat().st_mtime_ns for path in workplace.out.rglob("*")} == made


def test_a_change_reruns_what_depends_on_it(workplace: Workplace) -> None:
    run(workplace)

    def rerun() -> list[str]:
        return [stage for stage, what in run(workplace).items() if what == "running"]

    workplace.recipe["limits"] = ["Knows nothing."]
    assert rerun() == ["model"]
    assert "Knows nothing." in (workplace.out / "tiny" / "README.md").read_text("utf-8")
    workplace.recipe["table"]["seed"] = 1
    assert rerun() == ["table", "model"]
    workplace.recipe["vocabulary"]["size"] = 400
    assert rerun() == ["vocabulary", "table", "model"]
    assert yuyi.load(workplace.out / "tiny").vocabulary_size <= 400
    document = workplace.folder / "data" / "documents" / "faq.md"
    document.write_text(document.read_text("utf-8").replace("五元", "六元"), "utf-8")
    assert rerun() == list(STAGES)
    (workplace.out / "tokenizer.json").unlink()
    assert rerun() == ["vocabulary"]  # It comes out the same, and so what follows stands.


def test_two_runs_give_one_fingerprint(workplace: Workplace) -> None:
    first = run_recipe(workplace.path, workplace.folder / "a")
    second = run_recipe(workplace.path, workplace.folder / "b")
    assert yuyi.load(first).fingerprint == yuyi.load(second).fingerprint
    names = sorted(path.name for path in first.iterdir())
    assert names == [
        *("README.md", "provenance.json", "table.safetensors"),
        *("tokenizer.json", "training.json", "yuyi.json"),
    ]
    assert [hash_file(first / name) for name in names] == [hash_file(second / name) for name in names]


def test_scores_of_an_evaluation_folder_go_into_the_card(workplace: Workplace) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sets = workplace.folder / "data" / "eval"
    sets.mkdir()
    columns = {
        "sentence1": ["护照挂失", "水壶水垢", "续借图书", "renew a passport", "护照办理", "kettle"],
        "sentence2": ["补发护照", "清洗水壶", "图书馆", "passport office", "水壶", "借书证"],
        "score": [4.0, 5.0, 3.0, 4.5, 0.0, 1.0],
    }
    pq.write_table(pa.table(columns), sets / "STS_test.parquet")
    workplace.recipe["evaluation"] = "eval"
    assert run(workplace) == {**dict.fromkeys(STAGES, "running"), "scores": "running"}
    model = workplace.out / "tiny"
    scores = from_json((model / "scores.json").read_text("utf-8"))
    assert [(score.task, score.setting.dim) for score in scores] == [("STS_test", 16), ("STS_test", 8)]
    assert scores[0].model.fingerprint == yuyi.load(model).fingerprint
    card = (model / "README.md").read_text("utf-8")
    figures = " | ".join(f"{100 * score.main_score:.2f}" for score in scores)
    assert f"| STS_test | STS | cosine_spearman | – | {figures} |" in card
    assert "`scores.json` every score." in card
    assert "No set was held back from the choice of settings." in card
    assert lint(model) == []


@pytest.fixture
def teacher(workplace: Workplace) -> None:
    """A teacher in the workplace: the tiny model, as sentence-transformers keeps it."""
    from pathlib import Path

    from yuyi.encode.static_folder import read_static, save_sentence_transformers

    tiny = read_static(Path(__file__).parent.parent / "tiny" / "static")
    save_sentence_transformers(workplace.folder / "teacher", tiny)
    workplace.recipe["teacher"] = {
        "folder": str(workplace.folder / "teacher"),
        "origin": "the tests",
        "licence": "CC0",
        "translations": True,
    }
    workplace.recipe["table"]["stages"][0]["tasks"].append({"objective": "align", "batch": 64, "share": 2})
    workplace.recipe["vocabulary"]["lexicon"] = 20


@pytest.mark.usefixtures("teacher")
def test_a_teacher_is_learned_from(workplace: Workplace) -> None:
    said = run(workplace)
    assert list(said) == ["pairs", "vocabulary", "teacher", "table", "model"]
    stored = np.load(workplace.out / "teacher.npz")
    texts = json.loads(stored["texts"].tobytes())
    assert stored["vectors"].shape == (len(texts), 16)
    assert {"renew passport 3", "护照 续借 3", "python"} <= set(texts)
    norms = np.linalg.norm(stored["vectors"], axis=1)
    np.testing.assert_allclose(norms[norms > 0], 1, atol=1e-5)
    english, chinese = texts.index("renew passport 3"), texts.index("护照 续借 3")
    np.testing.assert_array_equal(stored["vectors"][english], stored["vectors"][chinese])
    lines = (workplace.out / "training.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"]["align"] for line in lines if '"align"' in line]
    assert losses[-1] < losses[0]
    card = (workplace.out / "tiny" / "README.md").read_text("utf-8")
    assert "It followed the vectors of the tests (licence: CC0)." in card
    assert "The teacher was asked about texts in en; its vectors are rotated" in card
    assert "python" in yuyi.load(workplace.out / "tiny").tokens("Python")
    assert set(run(workplace).values()) == {"unchanged, kept"}
    workplace.recipe["table"]["dims"] = {8: 1.0}
    rerun = run(workplace)
    assert [stage for stage, what in rerun.items() if what == "running"] == ["teacher", "table", "model"]


@pytest.mark.usefixtures("teacher")
def test_a_teacher_that_does_not_fit_is_refused(workplace: Workplace) -> None:
    workplace.recipe["table"]["dims"] = {64: 1.0}
    with pytest.raises(RecipeError, match=r"table\.dims 64: more than the 32 of the teacher"):
        run(workplace)
    workplace.recipe["teacher"]["folder"] = str(workplace.folder / "data")
    with pytest.raises(RecipeError, match=r"teacher\.folder .*modules\.json"):
        run(workplace)
    workplace.recipe["teacher"] = {"package": "no_such_package"}
    with pytest.raises(RecipeError, match=r"teacher\.package no_such_package: not installed"):
        run(workplace)


def test_a_task_without_rows_is_refused(workplace: Workplace) -> None:
    workplace.recipe["table"]["stages"][0]["tasks"] = [{"objective": "labels"}]
    with pytest.raises(RecipeError, match=r"task labels .*no source has pairs"):
        run(workplace)
    assert not (workplace.out / "tiny").exists()


def test_missing_data_is_named_before_anything_is_written(workplace: Workplace) -> None:
    workplace.recipe["pairs"][0]["path"] = "absent.parquet"
    with pytest.raises(InputError, match=r"absent\.parquet: no such file"):
        run(workplace)
    workplace.recipe["pairs"] = []
    workplace.recipe["evaluation"] = "nowhere"
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        run(workplace)
    assert not workplace.out.exists()


def test_an_output_that_cannot_be_a_folder(workplace: Workplace) -> None:
    workplace.out.write_text("a file of mine")
    with pytest.raises(InputError, match="cannot be a folder"):
        run(workplace)
    assert workplace.out.read_text() == "a file of mine"
