"""mteb takes our model for one of its own: its mock run passes, prompts and scores are as it has them."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import yuyi
from yuyi.evaluate import Sweep, evaluate, local_tasks
from yuyi.evaluate.adapter import MtebModel, write_at_once
from yuyi.evaluate.offline import import_mteb, offline
from yuyi.evaluate.settings import readers
from yuyi.evaluate.vectors import VectorMemory

from .bigrams import BigramEncoder

TINY = Path(__file__).parent.parent / "tiny"
KINDS = ("similar", "same", "topic", "translated", "found")


def model_of(encoder: Any, dim: int | None = None) -> Any:
    (reader,) = readers(encoder, Sweep())
    return MtebModel(VectorMemory(reader, "task"), dim or encoder.dim)


def test_mock_run_passes_on_every_type_of_task(monkeypatch: pytest.MonkeyPatch) -> None:
    mteb = import_mteb()
    # Some draw 16,384 rows of 3, ten times.
    monkeypatch.setattr(mteb.abstasks.AbsTaskClustering, "max_documents_per_cluster", 256)
    with warnings.catch_warnings(), offline():
        warnings.simplefilter("ignore")
        found = mteb.mock_run(model_of(BigramEncoder(8)))
    assert found.all_passed
    ran = {name for name, status in found.items() if hasattr(status, "scores")}
    from mteb.mocks import MOCK_TASK_TEST_GRID

    text = {task.metadata.name for task in MOCK_TASK_TEST_GRID if task.metadata.modalities == ["text"]}
    assert ran >= text
    types = {task.metadata.type for task in MOCK_TASK_TEST_GRID if task.metadata.name in ran}
    assert types >= {
        *("STS", "PairClassification", "Classification", "Clustering", "Reranking", "Retrieval"),
        *("Summarization", "BitextMining", "MultilabelClassification", "InstructionRetrieval"),
    }


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with prompts for queries, for a type of task and for one task, and a default one."""
    folder = tmp_path_factory.mktemp("prompted") / "model"
    shutil.copytree(TINY / "bert-zh", folder)
    path = folder / "config_sentence_transformers.json"
    settings = json.loads(path.read_text("utf-8"))
    prompts = {"query": "问：", "document": "", "STS": "比：", "NFCorpus-query": "病：", "plain": "文："}
    path.write_text(json.dumps({**settings, "prompts": prompts, "default_prompt_name": "plain"}), "utf-8")
    return folder


@pytest.mark.parametrize("role", ["query", "document", None])
@pytest.mark.parametrize("task", ["NFCorpus", "STS13", "Banking77Classification"])
def test_prompts_are_those_of_sentence_transformers_under_mteb(
    prompted: Path, task: str, role: str | None
) -> None:
    mteb = import_mteb()
    from mteb._create_dataloaders import _create_dataloader_from_texts
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
    from mteb.types import PromptType
    from sentence_transformers import SentenceTransformer

    texts = ["今天天气很好", "How do I renew my passport?", ""]
    about = {
        "task_metadata": mteb.get_task(task).metadata,
        "hf_split": "test",
        "hf_subset": "default",
        "prompt_type": PromptType(role) if role else None,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = SentenceTransformerEncoderWrapper(SentenceTransformer(str(prompted), device="cpu"))
        expected = theirs.encode(_create_dataloader_from_texts(texts), show_progress_bar=False, **about)
    ours = model_of(yuyi.load(prompted, dtype="float32", device="cpu"))
    found = ours.encode(_create_dataloader_from_texts(texts), **about)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float64
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-12)


def test_what_mteb_reads_of_the_model() -> None:
    import_mteb()
    from mteb.models import EncoderProtocol, SearchProtocol

    model = model_of(yuyi.load(TINY / "bert-zh", device="cpu"), 16)
    assert isinstance(model, EncoderProtocol)
    assert not isinstance(model, SearchProtocol)
    meta = model.mteb_model_meta
    assert (meta.name, meta.embed_dim, meta.max_tokens) == ("yuyi/bert-zh", 16, 48)
    assert meta.modalities == ["text"]


def test_texts_come_whole_from_every_loader() -> None:
    import_mteb()
    from datasets import Dataset
    from torch.utils.data import DataLoader

    texts = ["一", "two", "三", "four", "五"]
    chosen = Dataset.from_dict({"text": texts, "body": texts}).select([4, 2, 0])
    model = model_of(BigramEncoder())
    about = {"task_metadata": None, "hf_split": "test", "hf_subset": "default"}

    class Metadata:
        name, type = "some", "STS"

    about["task_metadata"] = Metadata()
    rows = [{"text": text} for text in ("五", "三", "一")]
    expected = BigramEncoder().encode(["五", "三", "一"])
    for loader in (DataLoader(chosen, batch_size=2), DataLoader(rows, batch_size=2)):
        np.testing.assert_allclose(model.encode(loader, **about), expected, atol=1e-7)


def test_scores_are_those_of_mteb_run_by_itself(folder: Path) -> None:
    mteb = import_mteb()
    tasks = local_tasks(folder, KINDS)
    ours = {result.task: result for result in evaluate(BigramEncoder(), tasks)}
    with warnings.catch_warnings(), offline():
        warnings.simplefilter("ignore")
        theirs = mteb.evaluate(
            model_of(BigramEncoder()), [task.open() for task in tasks], cache=None, show_progress_bar=False
        )
    assert {found.task_name for found in theirs.task_results} == set(KINDS)
    for found in theirs.task_results:
        metrics = found.scores["test"][0]
        mine = ours[found.task_name]
        assert mine.main_score == pytest.approx(metrics["main_score"])
        for name, value in mine.scores["test"]["default"].items():
            if isinstance(value, float):
                assert value == pytest.approx(metrics[name], abs=1e-6), name


def test_predictions_written_at_once_are_those_that_mteb_writes(folder: Path, tmp_path: Path) -> None:
    for task in local_tasks(folder, KINDS):
        written = []
        for place, change in enumerate((write_at_once, lambda _: None)):
            opened = task.open()
            change(opened)
            target = tmp_path / str(place)
            target.mkdir(exist_ok=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                settings: Any = {"batch_size": 64}
                model = model_of(BigramEncoder())
                opened.evaluate(model, "test", encode_kwargs=settings, prediction_folder=target)
            written.append(json.loads((target / opened.prediction_file_name).read_text("utf-8")))
        assert {**written[1], "mteb_model_meta": None} == {**written[0], "mteb_model_meta": None}
        assert written[0]["default"]["test"]
