"""What is kept is what would be encoded, whatever was asked for before; what is damaged is named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import yuyi
from yuyi.errors import InputError
from yuyi.evaluate import Sweep, vectors
from yuyi.evaluate.settings import Reader, readers
from yuyi.evaluate.vectors import VectorFile, VectorMemory

from .bigrams import BigramEncoder
from .sets import THINGS

TINY = Path(__file__).parent.parent / "tiny"


def reader_of(encoder: object, sweep: Sweep = Sweep()) -> Reader:  # noqa: B008
    (reader,) = readers(encoder, sweep)  # type: ignore[arg-type]
    return reader


ASKED = st.lists(
    st.tuples(st.sampled_from(["", "query", "document"]), st.lists(st.sampled_from([*THINGS, "", "\ud800"])))
)


@settings(max_examples=25, deadline=None)
@given(ASKED, st.booleans(), st.integers(1, 4))
def test_kept_vectors_are_fresh_ones(asked: list[tuple[str, list[str]]], on_disk: bool, portion: int) -> None:
    class Apart(BigramEncoder):
        """A query is not a document."""

        def encode_query(self, inputs: object) -> object:
            return self.encode([f"Q {text}" for text in inputs])  # type: ignore[attr-defined]

        def _encode(self, inputs: object) -> object:
            return super()._encode([text.encode("utf-8", "replace").decode() for text in inputs])  # type: ignore[attr-defined]

    reader = reader_of(Apart())
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patched:
        patched.setattr(vectors, "_PORTION", portion)
        file = VectorFile(Path(name), reader) if on_disk else None
        for start in (0, len(asked) // 2):  # a second run finds what the first one left
            memory = VectorMemory(reader, "task", file)
            for role, texts in asked[start:]:
                fresh = Apart()
                ways = {"": fresh.encode, "query": fresh.encode_query, "document": fresh.encode_document}
                np.testing.assert_array_equal(memory.take(texts, role), ways[role](texts))


def test_each_text_is_encoded_once_a_prompt() -> None:
    encoder = yuyi.load(TINY / "bert-zh", dtype="float32", device="cpu")
    reader = reader_of(encoder)
    asked: list[tuple[str, list[str]]] = []

    class Counting(Reader):
        __slots__ = ()

        def encode(self, texts: list[str], role: str) -> object:  # type: ignore[override]
            asked.append((role, texts))
            return super().encode(texts, role)

    memory = VectorMemory(Counting(reader.encoder, reader.prompts, reader.overflow, reader.normalize), "task")
    memory.take(THINGS + THINGS, "document")
    memory.take(THINGS[:4], "")  # documents of this model have no prompt either
    queries = memory.take(THINGS[:2], "query")
    assert asked == [("document", THINGS), ("query", THINGS[:2])]
    np.testing.assert_allclose(queries, encoder.encode_query(THINGS[:2]), atol=1e-6)


def test_what_does_not_fit_into_memory_is_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = BigramEncoder()
    memory = VectorMemory(reader_of(encoder), "task")
    monkeypatch.setattr(vectors, "_MOST_BYTES", 6 * 64 * 4)
    for _ in range(2):
        for start in (0, 5):
            found = memory.take(THINGS[start : start + 5], "")
            np.testing.assert_array_equal(found, BigramEncoder().encode(THINGS[start : start + 5]))
    assert encoder.calls == [("", 5)] * 4


def test_a_further_run_encodes_nothing(tmp_path: Path) -> None:
    reader = reader_of(BigramEncoder())
    VectorMemory(reader, "task", VectorFile(tmp_path, reader)).take(THINGS, "")
    encoder = BigramEncoder()
    again = reader_of(encoder)
    found = VectorMemory(again, "other", VectorFile(tmp_path, again)).take(THINGS[::-1], "")
    np.testing.assert_array_equal(found, BigramEncoder().encode(THINGS[::-1]))
    assert encoder.calls == []


def test_models_lengths_prompts_and_overflows_do_not_share(tmp_path: Path) -> None:
    encoder = yuyi.load(TINY / "static")
    found = [(encoder, Sweep())]
    found += [
        (TINY / model, Sweep(device="cpu", **sweep))  # type: ignore[arg-type, list-item]
        for model, sweep in (
            ("bert-zh", {}),
            ("bert-dense", {}),
            ("bert-zh", {"max_lengths": (5,)}),
            ("bert-zh", {"overflows": ("pool",), "max_lengths": (5,)}),
            ("bert-zh", {"prompts": {"": "查询："}}),
            ("bert-zh", {"dtypes": ("bfloat16",)}),
        )
    ]
    for model, sweep in found:
        (reader,) = readers(model, sweep)
        kept = VectorMemory(reader, "task", VectorFile(tmp_path, reader)).take(THINGS, "")
        np.testing.assert_array_equal(kept, VectorMemory(reader, "task").take(THINGS, ""))
    # One for each but the prompt, which is in the keys.
    assert len(list(tmp_path.glob("*.sqlite"))) == len(found) - 1


def test_engines_and_devices_do_not_share(tmp_path: Path) -> None:
    class Somewhere(BigramEncoder):
        def __init__(self, backend: str, device: str) -> None:
            super().__init__()
            self.backend_name, self.device = backend, device

    ways = [("torch", "cpu"), ("torch", "cuda:1"), ("onnx", "cpu")]
    files = [VectorFile(tmp_path, reader_of(Somewhere(*way))).path.name for way in ways]
    assert files == ["b16-torch-cpu.sqlite", "b16-torch-cuda1.sqlite", "b16-onnx-cpu.sqlite"]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    reader = reader_of(BigramEncoder())
    file = VectorFile(tmp_path, reader)
    VectorMemory(reader, "task", file).take(THINGS, "")
    with closing(sqlite3.connect(file.path)) as database, database:
        database.execute("UPDATE vectors SET value = ?", (np.full(64, np.nan, "<f4").tobytes(),))
    with pytest.raises(InputError, match=r"b16\.sqlite: .* not of numbers\)\. Remove the file"):
        VectorMemory(reader, "task", file).take(THINGS, "")
    with closing(sqlite3.connect(file.path)) as database, database:
        database.execute("UPDATE vectors SET value = substr(value, 1, 100)")
    with pytest.raises(InputError, match=r"b16\.sqlite: .* not of 64 values\)\. Remove the file"):
        VectorMemory(reader, "task", file).take(THINGS, "")
    file.path.write_bytes(b"no database at all, " * 100)
    with pytest.raises(InputError, match=r"b16\.sqlite: .*not a database\)\. Remove the file"):
        VectorFile(tmp_path, reader)
    for path in tmp_path.iterdir():
        path.unlink()
    file.path.mkdir()
    with pytest.raises(InputError, match=r"b16\.sqlite: cannot be used now \(unable to open"):
        VectorFile(tmp_path, reader)


def test_a_file_that_is_held_or_a_full_disk_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = reader_of(BigramEncoder())
    file = VectorFile(tmp_path, reader)
    monkeypatch.setattr(vectors, "_PATIENCE", 0)
    with closing(sqlite3.connect(file.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match=r"now \(database is locked\)\. Wait for .*") as caught:
            VectorMemory(reader, "task", file).take(THINGS, "")
    assert "Remove" not in str(caught.value)
    VectorMemory(reader, "task", file).take(THINGS, "")
