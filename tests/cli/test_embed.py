from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import yuyi as package
from yuyi.encode.output import int8_scale

from .conftest import TINY

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run

TEXTS = ["胡子长得太快怎么办？", "", "香港买手表哪里好", "？！", "how do I renew my passport"]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return package.load(TINY).encode(TEXTS)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_lines_to_a_matrix(yuyi: Run, tmp_path: Path, vectors: np.ndarray, encoding: str) -> None:
    (tmp_path / "in.txt").write_bytes("\r\n".join(TEXTS).encode(encoding))
    done = yuyi("embed", "in.txt", "-o", "out.npy", "-m", TINY)
    assert done.code == 0
    assert "5 vectors of 32 dimensions" in done.err
    assert "2 of them zero" in done.err
    written = np.load(tmp_path / "out.npy")
    assert written.dtype == np.float32
    np.testing.assert_allclose(written, vectors, atol=1e-6)


def test_standard_input_and_a_summary_for_scripts(yuyi: Run, tmp_path: Path) -> None:
    lines = "\n".join(TEXTS).encode()
    done = yuyi("embed", "-", "-o", "out.npy", "-m", TINY, "--dim", "8", "--json", stdin=lines)
    summary = json.loads(done.out)
    assert (summary["rows"], summary["empty"], summary["dim"], summary["out"]) == (5, 2, 8, "out.npy")
    assert summary["fingerprint"] == package.load(TINY, truncate_dim=8).fingerprint
    assert np.load(tmp_path / "out.npy").shape == (5, 8)
    assert done.err == ""


def test_quiet_says_nothing(yuyi: Run, tmp_path: Path) -> None:
    done = yuyi("embed", "-", "-o", "out.npy", "-m", TINY, "-q", stdin=b"abc")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / "out.npy").exists()


def test_jsonl_keeps_its_keys_in_parquet(yuyi: Run, tmp_path: Path, vectors: np.ndarray) -> None:
    rows = [{"id": number, "q": text or None, "tags": ["a"]} for number, text in enumerate(TEXTS)]
    lines = [json.dumps(row, ensure_ascii=row["id"] % 2 == 0) for row in rows]
    (tmp_path / "in.jsonl").write_text("\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:]), encoding="utf-8")
    assert yuyi("embed", "in.jsonl", "--column", "q", "-o", "out.parquet", "-m", TINY).code == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.select(["id", "q", "tags"]).to_pylist() == rows
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 32)
    np.testing.assert_allclose(np.array(table["embedding"].to_pylist()), vectors, atol=1e-6)


def test_parquet_keeps_its_columns(yuyi: Run, tmp_path: Path, vectors: np.ndarray) -> None:
    texts = pa.array([text or None for text in TEXTS]).dictionary_encode()
    table = pa.table({"text": texts, "weight": pa.array(range(5), pa.int16())})
    pq.write_table(table, tmp_path / "in.parquet")
    assert yuyi("embed", "in.parquet", "-o", "out.parquet", "-m", TINY).code == 0
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.drop_columns("embedding").to_pylist() == table.to_pylist()
    assert written.schema.field("weight").type == pa.int16()
    np.testing.assert_allclose(np.array(written["embedding"].to_pylist()), vectors, atol=1e-6)


def test_a_line_of_ten_megabytes(yuyi: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("胡子长得快" * 700_000 + "\n香港\n", encoding="utf-8")
    assert yuyi("embed", "in.txt", "-o", "out.npy", "-m", TINY).code == 0
    written = np.load(tmp_path / "out.npy")
    assert written.shape == (2, 32)
    np.testing.assert_allclose(written[0], package.load(TINY).encode("胡子长得快" * 1_000), atol=1e-2)


def test_a_million_empty_lines(yuyi: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"\n" * 1_000_000)
    done = yuyi("embed", "in.txt", "-o", "out.npy", "-m", TINY, "--json")
    assert json.loads(done.out)["empty"] == 1_000_000
    assert np.load(tmp_path / "out.npy", mmap_mode="r").shape == (1_000_000, 32)


def _parquet(**columns: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("name", "content", "options", "cause"),
    [
        ("in.pdf", b"a,b", [], ".txt, .jsonl, .csv, .tsv, .parquet"),
        ("in.csv", b"a,b", [], "names no column text; it has a, b"),
        ("empty.csv", b"text\n", [], "holds no text"),
        ("missing/in.txt", None, [], "no such file"),
        ("missing.parquet", None, [], "no such file"),
        ("empty.txt", b"", [], "holds no text"),
        ("empty.jsonl", b"\n\n", [], "holds no text"),
        ("empty.parquet", _parquet(text=pa.array([], pa.string())), [], "holds no text"),
        ("binary.txt", b"\x7fELF\0\0\1", [], "binary"),
        ("broken.txt", "胡子".encode() + b"\xff\xff", [], "neither UTF-8"),
        ("mixed.txt", ("胡子" * 99_999 + "\n").encode() * 2 + "胡子".encode("gb18030"), [], "line 3 is not"),
        ("bad.jsonl", b'{"text": "a"}\n{"text": \n', [], "line 2 is not JSON"),
        ("deep.jsonl", b"[" * 100_000, [], "line 1 is not JSON"),
        ("list.jsonl", b'["text"]', [], "line 1 is not a JSON object"),
        ("number.jsonl", b'{"text": 5}', [], "line 1 has 5 under text"),
        ("half.jsonl", b'{"text": "\\ud83d"}', [], "half a character"),
        ("keys.jsonl", b'{"question": "a", "id": 1}', [], "it has question, id"),
        (
            "kinds.jsonl",
            b'{"text": "a", "id": 1}\n{"text": "b", "id": "x"}',
            ["-o", "o.parquet"],
            "different kinds",
        ),
        ("columns.parquet", _parquet(question=["a"], id=[1]), [], "it has question, id"),
        ("numbers.parquet", _parquet(text=[1, 2]), [], "int64, not text"),
        ("cut.parquet", _parquet(text=["a"])[:-20], [], "not a whole Parquet file"),
        ("taken.parquet", _parquet(text=["a"], embedding=["b"]), ["-o", "o.parquet"], "embedding"),
        ("fine.txt", b"a", ["-o", "out.csv"], ".npy, .parquet or .jsonl"),
        ("fine.txt", b"a", ["-o", "nowhere/out.npy"], "cannot be written"),
        ("fine.txt", b"a", ["-o", "fine.txt/out.npy"], "cannot be written"),
        ("fine.txt", b"a", ["-o", "a" * 300 + ".npy"], "File name too long"),
        ("fine.txt", b"a", ["-m", "nowhere"], "nowhere"),
        ("fine.txt", b"a", ["--workers", "0"], "workers=0: give a number"),
        ("fine.txt", b"a", ["--workers", "many"], "device='many'"),
        ("fine.txt", b"a", ["--overflow", "drop"], "overflow='drop'"),
        ("fine.txt", b"a", ["--precision", "int2"], "precision='int2'"),
        ("fine.txt", b"a", ["--backend", "abacus"], "backend='abacus'"),
        ("fine.txt", b"a", ["--dtype", "int2"], "dtype='int2'"),
        ("fine.txt", b"a", ["--prompt-name", "query"], "prompt_name='query'"),
    ],
)
def test_refusals(
    yuyi: Run, tmp_path: Path, name: str, content: bytes | None, options: list[str], cause: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = sorted(tmp_path.iterdir())
    assert cause in yuyi("embed", name, "-o", "out.npy", "-m", TINY, *options).error
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_gives_its_passages(yuyi: Run, tmp_path: Path) -> None:
    (tmp_path / "notes/inner").mkdir(parents=True)
    (tmp_path / "notes/a.md").write_text("# 胡子\n\n长得太快。\n\n## 香港\n\n买手表。\n", encoding="utf-8")
    (tmp_path / "notes/inner/b.txt").write_text("renew my passport")
    (tmp_path / "notes/c.txt").write_bytes(b"\0\1")
    done = yuyi("embed", "notes", "-o", "out.jsonl", "-m", TINY)
    assert done.code == 0
    assert done.err.splitlines()[0].startswith("notes/c.txt: holds binary data")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["path"], row["line"], row["heading"], row["text"]) for row in rows] == [
        ("notes/a.md", 3, "胡子", "长得太快。"),
        ("notes/a.md", 7, "胡子 > 香港", "买手表。"),
        ("notes/inner/b.txt", 1, "", "renew my passport"),
    ]
    expected = package.load(TINY).encode(["胡子\n长得太快。", "胡子\n香港\n买手表。", "renew my passport"])
    np.testing.assert_allclose([row["embedding"] for row in rows], expected, atol=1e-6)


def test_a_folder_without_text(yuyi: Run, tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    assert "holds no text" in yuyi("embed", "folder.txt", "-o", "out.npy", "-m", TINY).error


@pytest.mark.parametrize(("name", "delimiter"), [("in.csv", ","), ("in.tsv", "\t")])
def test_csv_keeps_its_columns(
    yuyi: Run, tmp_path: Path, vectors: np.ndarray, name: str, delimiter: str
) -> None:
    with (tmp_path / name).open("w", newline="", encoding="gb18030") as file:
        csv.writer(file, delimiter=delimiter).writerows([("id", "q"), *enumerate(TEXTS)])
    assert yuyi("embed", name, "--column", "q", "-o", "out.parquet", "-m", TINY).code == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["id"].to_pylist() == [str(number) for number in range(len(TEXTS))]
    assert table["q"].to_pylist() == TEXTS
    np.testing.assert_allclose(np.array(table["embedding"].to_pylist()), vectors, atol=1e-6)


@pytest.mark.parametrize("precision", ["float16", "int8", "binary"])
def test_precisions(yuyi: Run, tmp_path: Path, precision: str) -> None:
    lines = "\n".join(TEXTS).encode()
    done = yuyi("embed", "-", "-o", "out.npy", "-m", TINY, "--precision", precision, stdin=lines)
    assert done.code == 0
    expected = package.load(TINY).encode(TEXTS, precision=precision)
    written = np.load(tmp_path / "out.npy")
    assert written.dtype == expected.dtype
    np.testing.assert_array_equal(written, expected)


def test_processes_give_the_same_file(yuyi: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("\n".join(f"胡子{number}" for number in range(40_000)))
    for out, options in (("one.npy", ()), ("two.npy", ("--workers", "2"))):
        assert yuyi("embed", "in.txt", "-o", out, "-m", TINY, *options).code == 0
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()


def test_what_was_cut_is_told(yuyi: Run, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    model = TINY.parent / "bert-zh"
    encoder = package.load(model, backend="torch")
    texts = ["胡子" * 2_000, "胡子", "香港" * 2_000]
    (tmp_path / "in.txt").write_text("\n".join(texts), encoding="utf-8")
    info = encoder.encode(texts, return_info=True)[1]
    dropped = int((info.tokens - info.used).sum())
    done = yuyi("embed", "in.txt", "-o", "out.npy", "-m", model, "--backend", "torch")
    assert done.code == 0
    longer = f"2 of 3 texts were longer than {encoder.max_tokens:,} tokens and were"
    assert f"{longer} cut: {dropped:,} tokens dropped; --overflow pool keeps them" in done.err
    options = ("--backend", "torch", "--overflow", "pool")
    done = yuyi("embed", "in.txt", "-o", "pool.npy", "-m", model, *options)
    assert f"{longer} read in chunks" in done.err
    expected = encoder.encode(texts, overflow="pool")
    np.testing.assert_allclose(np.load(tmp_path / "pool.npy"), expected, atol=1e-5)


def test_what_exists_is_replaced_only_with_force(yuyi: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    out.write_bytes(b"precious")
    assert "--force" in yuyi("embed", "-", "-o", out, "-m", TINY, stdin=b"abc").error
    assert out.read_bytes() == b"precious"
    assert yuyi("embed", "-", "-o", out, "-m", TINY, "--force", stdin=b"abc").code == 0
    assert np.load(out).shape == (1, 32)


def test_a_terminal_sees_progress_after_two_seconds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "yuyi", "embed", "-", "-o", "out.npy", "-m", str(TINY)]
    reader, terminal = pty.openpty()
    process = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    assert process.stdin
    block = b"a line\n" * 200_000  # more than a megabyte, so that it is read at once
    process.stdin.write(block)
    process.stdin.flush()
    time.sleep(2.5)
    process.stdin.write(block)
    process.stdin.close()
    shown = b""
    with contextlib.suppress(OSError):  # Linux reports the end of a terminal as an error
        while part := os.read(reader, 4096):
            shown += part
    os.close(reader)
    assert process.wait(timeout=30) == 0
    assert b"embedding" in shown
    assert b"tokens/s" in shown
    assert b"400,000 vectors" in shown


@pytest.mark.parametrize("out", ["out.npy", "out.parquet", "out.jsonl"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, out: str) -> None:
    (tmp_path / "in.txt").write_text("\n".join(f"胡子{number}" for number in range(40_000)))
    code = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from yuyi.cli.app import run
run()
"""
    command = [sys.executable, "-c", code, "embed", "in.txt", "-o", out, "-m", str(TINY)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["in.txt"]


@pytest.mark.parametrize("out", ["out.npy", "out.parquet", "out.jsonl"])
def test_ctrl_c_leaves_nothing(tmp_path: Path, out: str) -> None:
    command = [sys.executable, "-m", "yuyi", "embed", "-", "-o", out, "-m", str(TINY)]
    process = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin and process.stderr
    process.stdin.write("胡子长得快\n".encode() * 200_000)  # more than a block, so that writing has begun
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not any(file.stat().st_size for file in tmp_path.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.decode().strip() == "stopped; nothing was half-written"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["out.npy", "out.parquet", "out.jsonl"])
def test_the_scale_of_int8_is_told(yuyi: Run, tmp_path: Path, out: str) -> None:
    (tmp_path / "in.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    options = ("embed", "in.txt", "-o", out, "-m", TINY, "--precision", "int8", "--dim", "8")
    summary = json.loads(yuyi(*options, "--json").out)
    assert summary["scale"] == int8_scale(8)
    assert f"a step of a value is {int8_scale(8):.9g}" in yuyi(*options, "--force").err
    if out == "out.parquet":
        metadata = pq.read_metadata(tmp_path / out).metadata
        assert float(metadata[b"yuyi.scale"]) == int8_scale(8)


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("gone.txt", "out.npy", "gone.txt"),
        ("in.csv", "out.npy", "no column text"),
        ("in.csv", "out.txt", "Choose one of these endings"),
        ("in.csv", "gone/out.npy", "cannot be written"),
    ],
)
def test_input_and_output_are_looked_at_before_the_model(
    yuyi: Run, tmp_path: Path, source: str, out: str, message: str
) -> None:
    (tmp_path / "in.csv").write_text("q\na\n")
    assert message in yuyi("embed", source, "-o", out, "-m", "no-such-model").error
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
