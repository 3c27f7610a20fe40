"""Which sets a folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from yuyi.errors import InputError
from yuyi.evaluate import find_sets

from .sets import write

if TYPE_CHECKING:
    from pathlib import Path

SHARED_SETS = {
    "AFQMC_validation": ("STS", 4316),
    "BQ_test": ("STS", 10_000),
    "Cmnli_validation": ("PairClassification", 8315),
    "FewCLUE_eprstmt": ("Classification", 930),
    "FewCLUE_iflytek": ("Classification", 6146),
    "FewCLUE_tnews": ("Classification", 4293),
    "LCQMC_test": ("STS", 12_500),
    "STS12": ("STS", 3108),
    "STS13": ("STS", 1500),
    "STSB_zh_test": ("STS", 1361),
    "STSBenchmark_en_test": ("STS", 1379),
    "Waimai": ("Classification", 9000),
    "bitext_xquad_en_zh": ("BitextMining", 1190),
    "retrieval_cmrc2018_zh": ("Retrieval", 1500),
    "retrieval_docs_en": ("Retrieval", 661),
    "retrieval_docs_zh": ("Retrieval", 800),
    "retrieval_wikiqa_en": ("Retrieval", 369),
}


@pytest.mark.shared
def test_shared_sets_are_recognised(shared_data: Path) -> None:
    found = find_sets(shared_data / "eval")
    assert {one.name: (one.kind.name, one.rows) for one in found} == SHARED_SETS


def test_every_kind_is_recognised(folder: Path) -> None:
    assert {one.name: (one.kind.name, one.rows) for one in find_sets(folder)} == {
        "similar": ("STS", 100),
        "same": ("PairClassification", 100),
        "topic": ("Classification", 150),
        "translated": ("BitextMining", 10),
        "found": ("Retrieval", 10),
    }


def test_further_columns_do_no_harm_unless_they_make_the_kind_unclear(tmp_path: Path) -> None:
    pair = {"sentence1": "a", "sentence2": "b", "lang": "en"}
    write(tmp_path / "judged.parquet", [{**pair, "score": 1.0}])
    assert find_sets(tmp_path)[0].kind.name == "STS"
    write(tmp_path / "unclear.parquet", [pair])
    with pytest.raises(InputError, match=r"unclear\.parquet: .* columns sentence1, sentence2, lang"):
        find_sets(tmp_path)


def test_missing_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        find_sets(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no \.parquet file"):
        find_sets(tmp_path)


def test_cut_off_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.parquet", [{"sentence1": "a", "sentence2": "b"}] * 50)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"cut\.parquet: not a whole Parquet file"):
        find_sets(tmp_path)


def test_retrieval_set_names_the_missing_companion(tmp_path: Path) -> None:
    write(tmp_path / "x.queries.parquet", [{"id": "q", "text": "t"}])
    write(tmp_path / "x.qrels.parquet", [{"query_id": "q", "corpus_id": "d", "score": 1.0}])
    with pytest.raises(InputError, match=r"x\.corpus\.parquet"):
        find_sets(tmp_path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": "d"}, r"x\.corpus\.parquet: needs the columns id, text; it has id"),
        ({"sentence1": "a"}, r"x\.corpus\.parquet: needs the columns id, text; it has sentence1"),
    ],
)
def test_retrieval_set_names_the_missing_column(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    write(tmp_path / "x.queries.parquet", [{"id": "q", "text": "t"}])
    write(tmp_path / "x.corpus.parquet", [columns])
    write(tmp_path / "x.qrels.parquet", [{"query_id": "q", "corpus_id": "d", "score": 1.0}])
    with pytest.raises(InputError, match=message):
        find_sets(tmp_path)


def test_file_without_rows_is_named(tmp_path: Path) -> None:
    empty = pa.table({"sentence1": pa.array([], pa.string()), "sentence2": pa.array([], pa.string())})
    pq.write_table(empty, tmp_path / "empty.parquet")
    with pytest.raises(InputError, match=r"empty\.parquet: has no rows"):
        find_sets(tmp_path)


def test_flat_and_retrieval_set_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", [{"sentence1": "a", "sentence2": "b"}])
    write(tmp_path / "x.queries.parquet", [{"id": "q", "text": "t"}])
    with pytest.raises(InputError, match="shares its name"):
        find_sets(tmp_path)
