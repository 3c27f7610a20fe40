from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from yuyi.artifacts import hash_file
from yuyi.data.clean import clean, match_key
from yuyi.data.prepare import prepare
from yuyi.data.sources import documents_from
from yuyi.errors import InputError
from yuyi.records import Pair, read_documents, read_pairs, write_pairs

DOCUMENTS = Path(__file__).parent / "documents"


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    path = tmp_path / "ready.parquet"
    rows = [
        Pair("bank", "paraphrase", "信用卡　怎么还款", "如何还信用卡\n的欠款", 1.0, "zh"),
        Pair("bank", "paraphrase", "信用卡怎么还款？", "如何还信用卡的欠款", 1.0, "zh"),
        Pair("bank", "paraphrase", "我的护照丢了", "挂失护照", 0.0, "zh"),
        Pair("bank", "paraphrase", " ", "没有问题的回答", 0.0, "zh"),
        Pair("hotel", "classification", "房间很干净", "", 1.0, "zh"),
    ]
    write_pairs(path, rows)
    return path


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    folder = tmp_path / "eval"
    folder.mkdir()
    pq.write_table(
        pa.table({"sentence1": ["我的护照丢了！"], "sentence2": ["护照丢了怎么办"]}), folder / "sts.parquet"
    )
    return folder


def test_documents_and_ready_pairs_become_one_file(tmp_path: Path, ready: Path, evaluation: Path) -> None:
    output = tmp_path / "pairs.parquet"
    report = prepare([DOCUMENTS], [ready], output, evaluation=evaluation, workers=1)
    pairs = list(read_pairs(output))
    assert report.rows == len(pairs) == sum(sum(kinds.values()) for kinds in report.kept.values())
    assert report.kept["bank"] == {"paraphrase": 1}
    assert report.kept["hotel"] == {"classification": 1}
    assert report.dropped["bank"] == {"duplicate": 1, "empty": 1, "equals evaluation": 1}
    assert report.dropped["documents"] == {"equals evaluation": 1}
    assert pairs[-2] == Pair("bank", "paraphrase", "信用卡 怎么还款", "如何还信用卡的欠款", 1.0, "zh")
    assert json.loads(output.with_suffix(".report.json").read_text("utf-8"))["kept"] == report.kept
    texts = {document.doc_id: document.text for document in documents_from(DOCUMENTS)}
    assert all(
        is_held(pair.text_b, texts[pair.doc_id][pair.start : pair.end]) for pair in pairs if pair.doc_id
    )


def is_held(text: str, original: str) -> bool:
    """Whether the letters and digits of a text stand in the original in this order, markup between them."""
    letters = iter(match_key(clean(original)))
    return all(letter in letters for letter in match_key(text))


def test_the_number_of_processes_changes_nothing(tmp_path: Path, ready: Path) -> None:
    inputs = ([DOCUMENTS, DOCUMENTS / "kettle.md"], [ready])
    alone, together = tmp_path / "alone.parquet", tmp_path / "together.parquet"
    done: list[int] = []
    prepare(*inputs, alone, workers=1)
    prepare(*inputs, together, workers=2, on_done=done.append)
    assert hash_file(alone) == hash_file(together)
    assert len(done) == 3
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_only_the_named_rules_are_used(tmp_path: Path) -> None:
    report = prepare([DOCUMENTS], [], tmp_path / "p.parquet", rules=("title_lead",), workers=1)
    assert report.kept == {"documents": {"title_lead": 5}}
    assert report.rules == ("title_lead",)


def test_bad_input_is_refused_and_leaves_nothing(tmp_path: Path, ready: Path) -> None:
    output = tmp_path / "pairs.parquet"
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(ready.read_bytes()[:300])
    with pytest.raises(InputError, match="no such rule"):
        prepare([DOCUMENTS], [], output, rules=("headlines",))
    with pytest.raises(InputError, match="no documents and no pairs"):
        prepare([], [], output)
    with pytest.raises(InputError, match=r"broken\.parquet"):
        prepare([broken, DOCUMENTS], [], output, workers=2)
    with pytest.raises(InputError, match="cannot be written"):
        prepare([DOCUMENTS], [], tmp_path / "absent" / "pairs.parquet")
    with pytest.raises(InputError, match="no evaluation files"):
        prepare([DOCUMENTS], [], output, evaluation=tmp_path / "absent")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.parquet", "ready.parquet"]


@pytest.mark.shared
def test_spans_hold_the_answers_of_real_documents(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "train" / "documents" / "rust_book_zh.parquet"
    output = tmp_path / "pairs.parquet"
    report = prepare([source], [], output, workers=1)
    texts = {document.doc_id: document.text for document in read_documents(source)}
    assert report.rows > 1_000
    for pair in read_pairs(output):
        assert is_held(pair.text_b, texts[pair.doc_id][pair.start : pair.end]), pair
