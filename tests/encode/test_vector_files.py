from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.encode.vector_files import vector_file
from yuyi.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@given(sizes=st.lists(st.integers(0, 7), max_size=6), dim=st.integers(1, 9))
def test_appended_blocks_are_one_matrix(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], dim: int
) -> None:
    path = tmp_path_factory.mktemp("npy") / "out.npy"
    blocks = [np.random.default_rng(size).random((size, dim), dtype=np.float32) for size in sizes]
    with vector_file(path, dim) as write:
        for block in blocks:
            write(block)
    expected = np.concatenate([np.zeros((0, dim), np.float32), *blocks])
    written = np.load(path)
    assert written.dtype == np.float32
    np.testing.assert_array_equal(written, expected)


def test_the_header_has_room_for_many_rows(tmp_path: Path) -> None:
    block = np.ones((100_000, 1), dtype=np.float32)
    with vector_file(tmp_path / "out.npy", 1) as write:
        for _ in range(12):
            write(block)
    assert np.load(tmp_path / "out.npy", mmap_mode="r").shape == (1_200_000, 1)


def test_parquet_gets_one_column_more(tmp_path: Path) -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    with vector_file(tmp_path / "out.parquet", 3) as write:
        write(vectors[:3], pa.record_batch({"id": [0, 1, 2]}))
        write(vectors[3:], pa.record_batch({"id": [3]}))
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["id"].to_pylist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(np.array(table["embedding"].to_pylist(), np.float32), vectors)


@pytest.mark.parametrize("name", ["out.npy", "out.parquet", "out.jsonl"])
def test_an_error_in_the_middle_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), vector_file(tmp_path / name, 2) as write:
        write(np.ones((1, 2), dtype=np.float32), pa.record_batch({"id": [1]}))
        1 / 0  # noqa: B018
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(name, b"old")]


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"\.npy, \.parquet or \.jsonl"),
        vector_file(tmp_path / "out.csv", 2),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@given(
    vectors=st.lists(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3)
    )
)
def test_jsonl_gives_the_same_floats_back(
    tmp_path_factory: pytest.TempPathFactory, vectors: list[list[float]]
) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "out.jsonl"
    rows = [{"id": number, "text": '{"[]}胡子'} for number in range(len(vectors))]
    expected = np.array(vectors, np.float32).reshape(-1, 3)
    with vector_file(path, 3) as write:
        write(expected, rows)
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [{"id": row["id"], "text": row["text"]} for row in found] == rows
    np.testing.assert_array_equal(
        np.array([row["embedding"] for row in found], np.float32).reshape(-1, 3), expected
    )


@pytest.mark.parametrize("dtype", ["float16", "int8", "uint8"])
def test_every_precision_keeps_its_type(tmp_path: Path, dtype: str) -> None:
    vectors = np.arange(6).reshape(2, 3).astype(dtype)
    for name in ("out.npy", "out.parquet", "out.jsonl"):
        with vector_file(tmp_path / name, 3, dtype) as write:
            write(vectors, [{"id": 1}, {"id": 2}])
    assert np.load(tmp_path / "out.npy").dtype == dtype
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.field("embedding").type.value_type == pa.from_numpy_dtype(dtype)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    for found in (
        np.load(tmp_path / "out.npy"),
        table["embedding"].to_pylist(),
        [json.loads(line)["embedding"] for line in lines],
    ):
        np.testing.assert_array_equal(np.array(found, dtype), vectors)


def test_dates_become_text_in_jsonl(tmp_path: Path) -> None:
    day = datetime.date(2026, 2, 3)
    with vector_file(tmp_path / "out.jsonl", 1) as write:
        write(np.ones((1, 1), np.float32), pa.record_batch({"day": [day]}))
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {"day": "2026-02-03", "embedding": [1]}
    with pytest.raises(InputError, match="JSON has no form"), vector_file(tmp_path / "out.jsonl", 1) as write:
        write(np.ones((1, 1), np.float32), [{"raw": b"bytes"}])


def test_a_key_that_appears_late_is_named(tmp_path: Path) -> None:
    one = np.ones((1, 1), np.float32)
    with pytest.raises(InputError, match="the key late"), vector_file(tmp_path / "out.parquet", 1) as write:
        write(one, [{"text": "a"}])
        write(one, [{"text": "a", "late": 1}])
    with vector_file(tmp_path / "out.jsonl", 1) as write:
        write(one, [{"text": "a"}])
        write(one, [{"text": "a", "late": 1}])
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl"])
def test_a_column_of_that_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="column of this name"), vector_file(tmp_path / name, 1) as write:
        write(np.ones((1, 1), np.float32), [{"embedding": "taken"}])
    assert list(tmp_path.iterdir()) == []
