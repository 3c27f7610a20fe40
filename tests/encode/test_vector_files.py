from __future__ import annotations

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


@pytest.mark.parametrize("name", ["out.npy", "out.parquet"])
def test_an_error_in_the_middle_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), vector_file(tmp_path / name, 2) as write:
        write(np.ones((1, 2), dtype=np.float32), pa.record_batch({"id": [1]}))
        1 / 0  # noqa: B018
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(name, b"old")]


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.npy or \.parquet"), vector_file(tmp_path / "out.csv", 2):
        pass
    assert list(tmp_path.iterdir()) == []
