"""Which test sets a folder holds, and what is known of them before they are opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from yuyi.errors import InputError
from yuyi.evaluate.tasks.local import local_tasks

from .sets import THINGS, write, write_eight_kinds, write_every_kind

SHARED_SETS = {
    "AFQMC_validation": ("STS", 4316, "zh"),
    "BQ_test": ("STS", 10_000, "zh"),
    "Cmnli_validation": ("PairClassification", 8315, "zh"),
    "FewCLUE_eprstmt": ("Classification", 610, "zh"),
    "FewCLUE_iflytek": ("Classification", 1749, "zh"),
    "FewCLUE_tnews": ("Classification", 2010, "zh"),
    "LCQMC_test": ("STS", 12_500, "zh"),
    "STS12": ("STS", 3108, "en"),
    "STS13": ("STS", 1500, "en"),
    "STSB_zh_test": ("STS", 1361, "zh"),
    "STSBenchmark_en_test": ("STS", 1379, "en"),
    "Waimai": ("Classification", 1000, "zh"),
    "bitext_xquad_en_zh": ("BitextMining", 1190, "zh en"),
    "retrieval_cmrc2018_zh": ("Retrieval", 1500, "zh"),
    "retrieval_docs_en": ("Retrieval", 661, "en"),
    "retrieval_docs_zh": ("Retrieval", 800, "zh"),
    "retrieval_wikiqa_en": ("Retrieval", 369, "en"),
}
CODES = {"zho-Hans": "zh", "eng-Latn": "en"}
TOLD = (("same", ""), ("f1", ", metric: f1"), ("fewer", ", samples_per_label: 8"))
PAIR = {"sentence1": "a", "sentence2": "b"}


def spoken(languages: Any) -> str:
    return " ".join(CODES[code] for code in languages["default"])


@pytest.mark.shared
def test_shared_sets_are_recognised(shared_data: Path) -> None:
    found = local_tasks(shared_data / "eval")
    assert {one.name: (one.type, one.rows, spoken(one.languages)) for one in found} == SHARED_SETS


@pytest.mark.shared
def test_the_manifest_of_the_shared_sets_says_what_their_columns_show(shared_data: Path) -> None:
    told = local_tasks(Path(__file__).parents[2] / "benchmarks" / "visible-sets.yaml")
    guessed = local_tasks(shared_data / "eval")
    assert [one.name for one in told] == [one.name for one in guessed]
    for one, other in zip(told, guessed, strict=True):
        assert (one.type, one.rows, one.data) == (other.type, other.rows, other.data)
        assert set(one.languages["default"]) == set(other.languages["default"])
    files = {file.stem for file in (shared_data / "train").rglob("*.parquet")}
    # The others are what a model made elsewhere may call the data that these sets are of.
    others = {"eprstmt", "iflytek", "tnews", "waimai", "xquad", "cmrc2018", "drcd"}
    assert {source for one in told for source in one.sources} - files == others


@pytest.mark.shared
def test_shared_sets_can_be_scored(shared_data: Path) -> None:
    for task in local_tasks(shared_data / "eval"):
        opened = task.open()
        assert opened.data_loaded and opened.metadata.main_score == task.metric


def test_every_type_is_recognised(tmp_path: Path) -> None:
    found = local_tasks(write_eight_kinds(tmp_path))
    assert {one.name: (one.type, one.rows, one.metric) for one in found} == {
        "similar": ("STS", 100, "cosine_spearman"),
        "same": ("PairClassification", 100, "cosine_ap"),
        "topic": ("Classification", 50, "accuracy"),
        "groups.clusters": ("Clustering", 30, "v_measure"),
        "ranked": ("Reranking", 10, "map_at_1000"),
        "chosen": ("Reranking", 10, "map_at_1000"),
        "found": ("Retrieval", 10, "ndcg_at_10"),
        "summed": ("Summarization", 10, "cosine_spearman"),
        "translated": ("BitextMining", 10, "accuracy"),
    }
    assert {one.splits for one in found} == {("test",)}
    assert [one.name for one in local_tasks(tmp_path, ["topic", "found"])] == ["found", "topic"]


def test_jsonl_is_read_like_parquet(tmp_path: Path) -> None:
    rows = [{"sentence1": thing, "sentence2": thing[::-1], "score": i} for i, thing in enumerate(THINGS)]
    (tmp_path / "lines.jsonl").write_text(
        "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", "utf-8"
    )
    write(tmp_path / "table.parquet", rows)
    lines, table = local_tasks(tmp_path)
    assert (lines.type, lines.rows, lines.languages) == (table.type, table.rows, table.languages)
    assert lines.open().dataset["test"][:] == table.open().dataset["test"][:]


@pytest.mark.parametrize(
    ("texts", "languages"),
    [(("今天下雨", "出门"), "zh"), (("rain", "today"), "en"), (("今天下雨", "rain"), "zh en")],
)
def test_language_is_told_by_the_characters(tmp_path: Path, texts: tuple[str, str], languages: str) -> None:
    write(tmp_path / "x.parquet", [{"sentence1": texts[0], "sentence2": texts[1], "score": 1.0}] * 20)
    assert spoken(local_tasks(tmp_path)[0].languages) == languages


def test_data_are_named_by_what_is_in_the_files(tmp_path: Path) -> None:
    rows = [{**PAIR, "score": float(score)} for score in range(3)]
    write(tmp_path / "one.parquet", rows)
    write(tmp_path / "same.parquet", rows)
    write(tmp_path / "other.parquet", [*rows, {**PAIR, "score": 3.5}])
    data = {task.name: task.data for task in local_tasks(tmp_path)}
    assert data["one"] == data["same"] != data["other"]


def test_which_scores_are_asked_for_does_not_change_the_data(tmp_path: Path) -> None:
    folder = write_every_kind(tmp_path)
    (plain,) = local_tasks(folder, ["topic"])
    (more,) = local_tasks(folder, ["topic"], all_rows=True)
    assert (plain.data, plain.further, more.further) == (more.data, (), ("accuracy_all_rows",))
    said = [f"{{name: {name}, type: Classification, files: topic.parquet{told}}}" for name, told in TOLD]
    (folder / "told.yaml").write_text(f"tasks: [{', '.join(said)}]", "utf-8")
    same, f1, fewer = local_tasks(folder / "told.yaml")
    assert same.data == f1.data == plain.data != fewer.data


def test_further_columns_do_no_harm_unless_they_make_the_type_unclear(tmp_path: Path) -> None:
    write(tmp_path / "judged.parquet", [{**PAIR, "lang": "en", "split": "dev", "score": 1.0}])
    assert [(task.type, task.rows) for task in local_tasks(tmp_path)] == [("STS", 1)]
    write(tmp_path / "unclear.parquet", [{**PAIR, "lang": "en"}])
    with pytest.raises(
        InputError, match=r"unclear\.parquet: .* columns sentence1, sentence2, lang.*tasks\.yaml"
    ):
        local_tasks(tmp_path)


def test_texts_with_labels_may_be_two_things(tmp_path: Path) -> None:
    write(tmp_path / "texts.parquet", [{"text": "苹果", "label": "水果"}])
    with pytest.raises(InputError, match=r"texts\.parquet: text and label without split .* tasks\.yaml"):
        local_tasks(tmp_path)
    (tmp_path / "texts.parquet").rename(tmp_path / "新闻聚类.parquet")
    assert local_tasks(tmp_path)[0].type == "Clustering"


def test_missing_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        local_tasks(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no \.parquet or \.jsonl file\. Name the folder"):
        local_tasks(tmp_path)
    (tmp_path / "数据.csv").write_text("sentence1,sentence2\n", "utf-8")
    with pytest.raises(InputError, match=r"数据\.csv is there; write it as \.jsonl or \.parquet"):
        local_tasks(tmp_path)
    with pytest.raises(InputError, match=r"数据\.csv: is a file; give its folder, or a manifest \.yaml"):
        local_tasks(tmp_path / "数据.csv")


def test_a_path_may_be_text_and_a_manifest_may_end_in_yml(tmp_path: Path) -> None:
    write(tmp_path / "good.parquet", [{**PAIR, "score": 1.0}])
    told = "tasks: [{name: told, type: STS, files: good.parquet}]"
    assert [task.name for task in local_tasks(str(tmp_path))] == ["good"]
    (tmp_path / "tasks.yml").write_text(told, "utf-8")
    assert [task.name for task in local_tasks(str(tmp_path))] == ["told"]
    assert [task.name for task in local_tasks(str(tmp_path / "tasks.yml"))] == ["told"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    # Opens, also for root, and then refuses to be read from its start.
    (tmp_path / "rows.jsonl").symlink_to("/proc/self/mem")
    task = "{name: rows, type: STS, files: rows.jsonl, languages: [zh]}"
    (tmp_path / "tasks.yaml").write_text(f"tasks: [{task}]", "utf-8")
    with pytest.raises(InputError, match=r"rows\.jsonl: cannot be read \(.+\)\. Check its permissions"):
        local_tasks(tmp_path)


def test_unknown_set_is_named(tmp_path: Path) -> None:
    write(tmp_path / "good.parquet", [{**PAIR, "score": 1.0}])
    with pytest.raises(InputError, match=r"STS99: no such set in .* It has good\."):
        local_tasks(tmp_path, ["STS99"])


def test_cut_off_and_empty_files_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.parquet", [PAIR] * 50)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"cut\.parquet: not a whole Parquet file"):
        local_tasks(tmp_path)
    path.unlink()
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in PAIR}), tmp_path / "empty.parquet")
    with pytest.raises(InputError, match=r"empty\.parquet: has no rows"):
        local_tasks(tmp_path)
    (tmp_path / "empty.parquet").unlink()
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(InputError, match=r"empty\.jsonl: has no rows"):
        local_tasks(tmp_path)


def test_two_files_of_one_set_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", [PAIR])
    (tmp_path / "x.jsonl").write_text(json.dumps(PAIR))
    with pytest.raises(InputError, match=r"x\.parquet: x\.jsonl beside it is the same set"):
        local_tasks(tmp_path)
    (tmp_path / "x.jsonl").unlink()
    write(tmp_path / "x.queries.parquet", [{"id": "q", "text": "t"}])
    with pytest.raises(InputError, match="shares its name"):
        local_tasks(tmp_path)


def test_retrieval_set_names_the_missing_companion(tmp_path: Path) -> None:
    write(tmp_path / "x.queries.parquet", [{"id": "q", "text": "t"}])
    write(tmp_path / "x.qrels.parquet", [{"query_id": "q", "corpus_id": "d", "score": 1.0}])
    with pytest.raises(InputError, match=r"x\.corpus\.parquet"):
        local_tasks(tmp_path)
    write(tmp_path / "x.corpus.parquet", [{"id": "d", "body": "t"}])
    with pytest.raises(InputError, match=r"x\.corpus\.parquet: needs the columns id, text; it has id, body"):
        local_tasks(tmp_path)
