"""What a run reads: held-out texts stay out of all of it, and each task has its own prompts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from yuyi.errors import InputError, RecipeError
from yuyi.records import Pair, write_pairs
from yuyi.text.tokenizer_folder import read_tokenizer
from yuyi.train.checks import check_data
from yuyi.train.config import Continual, Stage, Task
from yuyi.train.materials import Materials
from yuyi.train.reading.passages import PassageConfig
from yuyi.train.reading.sources import text_key
from yuyi.train.running.run_folder import RunFolder
from yuyi.train.settings import DataEntry, TrainConfig
from yuyi.train.starting.model_config import ModelConfig
from yuyi.train.starting.save import save_model
from yuyi.train.starting.start import open_start
from yuyi.train.teaching.teacher import TeacherConfig
from yuyi.train.trainees import Trainee, TransformerTrainee

if TYPE_CHECKING:
    from yuyi.train.reading.sources import Column, Source

TINY = Path(__file__).parent.parent / "tiny" / "bert-zh"
TOKENIZER = read_tokenizer(TINY)
PROMPTS = {"query": "问：", "zh": "中文 ", "judge": "比较："}


@pytest.fixture(scope="module")
def trainee(tmp_path_factory: pytest.TempPathFactory) -> Trainee:
    folder = tmp_path_factory.mktemp("model") / "start"
    start = ModelConfig(folder=str(TINY), prompts=PROMPTS)
    save_model(folder, open_start(start))
    rows = (DataEntry(path="none.parquet"),)
    config = TrainConfig(name="made", model=start, data=rows, stages=(stage(),), hold_out=1)
    return TransformerTrainee(config, folder, torch.device("cpu"))


def stage(*tasks: Task) -> Stage:
    return Stage(name="pairs", steps=2, tasks=tasks, learning_rate=0.001, probe=1)


def materials(
    folder: Path,
    trainee: Trainee,
    data: list[Pair],
    replay: list[Pair] | None = None,
    said: list[str] | None = None,
    **settings: Any,
) -> Materials:
    write_pairs(folder / "new.parquet", data)
    if replay:
        write_pairs(folder / "old.parquet", replay)
        settings["replay"] = (DataEntry(path=str(folder / "old.parquet")),)
        settings["continual"] = Continual(previous=str(TINY))
    given = {"hold_out": 20, "longest": 30, "stages": (stage(Task(objective="contrast")),), **settings}
    config = TrainConfig(
        name="made",
        model=ModelConfig(folder=str(TINY), prompts=PROMPTS),
        dims={32: 1.0},
        data=(DataEntry(path=str(folder / "new.parquet")),),
        **given,
    )
    return Materials(
        config, trainee, RunFolder(folder / "out", "made"), (said if said is not None else []).append
    )


def qa(name: str, count: int = 200, kind: str = "qa", lang: str = "zh", **cells: Any) -> list[Pair]:
    return [
        Pair(name, kind, f"胡子 {n} 怎么办", f"{name} 答 {n} 向量", cells.get("label"), lang)
        for n in range(count)
    ]


def first(column: Column) -> list[int]:
    return column.tokens.ids[: column.tokens.offsets[1]].tolist()


def keys(sources: list[Source]) -> set[int]:
    return {
        key
        for source in sources
        for column in (source.queries, source.documents, source.negatives)
        for key in column.keys.tolist()
    }


def held(made: Materials) -> list[Source]:
    probe = made.probe(made.course())
    assert probe is not None
    return list(probe._sources.values())


def test_new_held_out_rows_stay_out_of_the_old_pairs(tmp_path: Path, trainee: Trainee) -> None:
    said: list[str] = []
    made = materials(tmp_path, trainee, qa("新"), [*qa("旧"), *qa("新", 100)], said)
    course = made.course()
    sources = [source for task in course.stages[0].tasks for source in made.sources(task)]
    probes = held(made)
    names = ["replayed: 新", "replayed: 旧", "新"]
    assert sorted({source.name for source in sources}) == names
    assert sorted(source.name for source in probes) == names
    assert [len(source) for source in probes] == [10, 20, 20]
    asked = {key for source in probes for key in source.queries.keys.tolist()}
    assert asked.isdisjoint(keys(sources))
    told = [line for line in said if "left out: they have texts of held-out rows" in line]
    assert len(told) == len(set(told)) == 3
    taken = {source.name: len(source) for source in sources}
    for name, rows in zip(names, (100, 200, 200), strict=True):
        own = next(len(source) for source in probes if source.name == name)
        assert f"data: {rows - own - taken[name]} rows of {name} (qa) left out: " in "".join(told)


def test_a_teacher_is_not_asked_about_held_out_rows(tmp_path: Path, trainee: Trainee) -> None:
    config = TeacherConfig(folder=str(TINY), languages=("zh",), words=False)
    made = materials(tmp_path, trainee, qa("新"), teacher=config)
    _, source, vectors = made.teacher()
    assert len(source) == len(vectors) == 2 * (200 - 20)
    asked = keys(held(made))
    assert len(asked) == 40 and asked.isdisjoint(source.queries.keys.tolist())


def test_a_teacher_of_another_dimension_is_refused_before_it_is_asked(
    tmp_path: Path, trainee: Trainee
) -> None:
    np.save(tmp_path / "v.npy", np.ones((2, 8), dtype=np.float32))
    (tmp_path / "v.txt").write_text("天气\n你好\n", "utf-8")
    follow = Task(objective="align")
    config = TeacherConfig(vectors=str(tmp_path / "v.npy"))
    (tmp_path / "out").mkdir()
    made = materials(tmp_path, trainee, qa("新"), teacher=config, stages=(stage(follow),))
    with pytest.raises(RecipeError, match="the teacher's vectors have 8 dimensions and the model's 32"):
        made.teacher()
    assert not list((tmp_path / "out").glob("teacher*"))
    alike = (stage(replace(follow, relation=1.0)),)
    made = materials(tmp_path, trainee, qa("新"), teacher=config, stages=alike)
    assert made.teacher().vectors.shape == (2, 8)


def test_documents_that_are_pairs_are_read_without_held_out_texts(tmp_path: Path, trainee: Trainee) -> None:
    made = materials(
        tmp_path, trainee, qa("新"), documents=(str(tmp_path / "new.parquet"),),
        passages=PassageConfig(longest=20, shortest=2),
    )  # fmt: skip
    passages = made.passages()
    batch, _ = passages.take(np.arange(len(passages)))
    found = {tuple(batch.ids[start:end].tolist()) for start, end in pairwise(batch.offsets)}
    assert len(passages) == 2 * (200 - 20)
    texts = [text for pair in qa("新") for text in (pair.text_a, pair.text_b)]
    forbidden = keys(held(made))
    for text in texts:
        ids = tuple(TOKENIZER.encode(text, add_special_tokens=False).ids)
        assert (ids in found) == (text_key(text) not in forbidden)


def test_prompts_by_language_are_asked_of_a_tasks_own_rows(tmp_path: Path, trainee: Trainee) -> None:
    pairs = [*qa("中", kind="qa"), *qa("english", kind="parallel", lang="en"), *qa("other", lang="en")]
    own = Task(objective="contrast", kinds=("qa",), sources=("中",), query_prompt={"zh": "query"})
    plain = Task(objective="contrast", kinds=("parallel",))
    made = materials(tmp_path, trainee, pairs, stages=(stage(own, plain),))
    [source] = made.sources(own)
    assert (source.name, source.kind) == ("中", "qa")
    assert first(source.queries)[:2] == TOKENIZER.encode("问：", add_special_tokens=False).ids
    assert {source.name for source in made.sources(plain)} == {"中", "english", "other"}
    # Tokenised once for each set of prompts that is needed, the first for its own rows alone.
    folders = [part for part in (tmp_path / "out" / "corpus").iterdir() if part.is_dir()]
    assert len(folders) == 2
    with pytest.raises(RecipeError, match=r"query_prompt: has prompts for zh, and .* is 'en'"):
        made.sources(replace(own, sources=()))


def test_a_name_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, trainee: Trainee) -> None:
    made = materials(tmp_path, trainee, qa("中"))
    for task in (
        Task(objective="contrast", sources=("外",), query_prompt="query"),
        Task(objective="contrast", sources=("中",), emphasis={"外": 2.0}, query_prompt="query"),
    ):
        with pytest.raises(RecipeError, match=r"外 is not in the data. Choose from .*中"):
            check_data("task", task, made.sources(task))
    # A name of a source that the task leaves aside is no error.
    both = materials(tmp_path, trainee, [*qa("中"), *qa("外")])
    task = Task(objective="contrast", sources=("中",), emphasis={"外": 2.0}, query_prompt="query")
    check_data("task", task, both.sources(task))


def test_each_held_out_source_is_read_as_its_task_reads_it(tmp_path: Path, trainee: Trainee) -> None:
    judged = [
        Pair("判", "sts", f"天气 {n} 怎么样", f"今天 {n} 天气很好", float(n % 4), "zh") for n in range(200)
    ]
    other = [Pair("外", "nli", f"the {n}", f"a vector {n}", float(n % 2), "en") for n in range(200)]
    tasks = (
        Task(objective="contrast", kinds=("qa",), query_prompt={"zh": "query"}, document_tokens=5),
        Task(
            objective="judged", kinds=("sts",), query_prompt="judge", document_prompt="judge", query_tokens=9
        ),
    )
    made = materials(tmp_path, trainee, [*qa("中"), *judged, *other], stages=(stage(*tasks),))
    found = {source.name: source for source in held(made)}

    def starts(column: Column, prompt: str) -> bool:
        prefix = TOKENIZER.encode(prompt, add_special_tokens=False).ids
        return first(column)[: len(prefix)] == prefix

    assert set(found) == {"中", "判", "外"}
    assert starts(found["中"].queries, "问：") and not starts(found["中"].documents, "问：")
    assert starts(found["判"].queries, "比较：") and starts(found["判"].documents, "比较：")
    assert starts(found["外"].queries, "the") and starts(found["外"].documents, "a")
    # Special tokens are two.
    assert found["中"].documents.tokens.lengths.max() == 3 < found["中"].queries.tokens.lengths.max()
    assert found["判"].queries.tokens.lengths.max() == 7


def test_old_held_out_rows_are_read_as_new_ones_of_their_kind(tmp_path: Path, trainee: Trainee) -> None:
    task = Task(objective="contrast", sources=("新",), query_prompt="query")
    made = materials(tmp_path, trainee, qa("新"), qa("旧"), stages=(stage(task),))
    config = replace(made._config, continual=Continual(previous=str(TINY), replay=0.0))
    made = Materials(config, trainee, made._folder, print)
    prefix = TOKENIZER.encode("问：", add_special_tokens=False).ids
    for source in held(made):
        assert first(source.queries)[: len(prefix)] == prefix, source.name


def test_too_much_held_out_is_refused(tmp_path: Path, trainee: Trainee) -> None:
    pairs = [Pair("faq", "qa", f"胡子 {n % 9}", f"答 {n}", None, "zh") for n in range(400)]
    made = materials(tmp_path, trainee, pairs, hold_out=40)
    with pytest.raises(InputError, match=r"faq \(qa\): \d+ of 400 rows have a text of a held-out row"):
        made.course() and made.sources(Task(objective="contrast"))
