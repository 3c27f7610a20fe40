"""Whatever there is becomes parts, the same ones however often the work is interrupted."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from yuyi.config import check_settings
from yuyi.data.extract import ExtractConfig, extract, licences
from yuyi.data.folder import DataFolder
from yuyi.data.sources import SourceConfig
from yuyi.errors import InputError
from yuyi.records import read_documents, read_pairs

if TYPE_CHECKING:
    from pathlib import Path

SENTENCES = (
    "水壶响了就关火。",
    "The kettle whistles when it boils.",
    "护照过期可以换发。",
    "It rained all day. ",
)


def write_folder(folder: Path, files: int = 12, words: int = 200) -> Path:
    draw = random.Random(0)
    folder.mkdir(parents=True)
    for number in range(files):
        text = "\n\n".join("".join(draw.choices(SENTENCES, k=3)) for _ in range(words))
        (folder / f"{number:03}.md").write_text(f"# 标题 {number}\n\n{text}\n")
    with (folder / "rows.jsonl").open("w") as file:
        for number in range(300):
            file.write(json.dumps({"question": f"第{number}问？", "answer": draw.choice(SENTENCES)}) + "\n")
    (folder / "ready.csv").write_text("text_a,text_b,label\nhow,why,1\n怎么,为什么,0.5\n")
    (folder / "picture.png").write_bytes(b"\x89PNG\x00")
    return folder


def settings(path: Path, **more: object) -> ExtractConfig:
    values = {"sources": [{"path": str(path), "name": "forum", "licence": "CC BY 4.0"}], **more}
    return check_settings(ExtractConfig, values, "settings")


def test_parts_counts_and_what_was_passed_over(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "in")
    folder = DataFolder(tmp_path / "out")
    record = extract(folder, settings(path, part_documents=100), workers=1)
    documents = [row for part in folder.parts("documents").values() for row in read_documents(part)]
    pairs = [row for part in folder.ready_pairs().values() for row in read_pairs(part)]
    assert len(documents) == 312 and [pair.label for pair in pairs] == [1.0, 0.5]
    assert record.counts["documents"] == {"forum": 312} and record.counts["pairs"] == {"forum": 2}
    assert record.counts["languages"]["forum"]["zh"] > 150
    assert record.counts["characters"]["forum"] == sum(len(row.text) for row in documents) + 11
    assert record.counts["skipped"] == {"forum": {"no known format": 1}}
    listed = [
        json.loads(line)
        for file in (folder.path / "documents").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert [(line["file"], line["reason"], line["times"]) for line in listed] == [
        ("picture.png", "no known format", 1)
    ]
    assert all(sum(1 for _ in read_documents(part)) <= 100 for part in folder.parts("documents").values())
    assert licences(record) == {"forum": {"origin": "", "licence": "CC BY 4.0"}}


def test_parts_end_after_so_many_characters(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "in")
    folder = DataFolder(tmp_path / "out")
    extract(folder, settings(path, part_characters=30_000), workers=1)
    for part in folder.parts("documents").values():
        lengths = [len(row.text) for row in read_documents(part)]
        assert sum(lengths) <= 30_000 or len(lengths) == 1


def test_nothing_is_done_again_until_a_file_changes(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "in")
    folder = DataFolder(tmp_path / "out")
    first = extract(folder, settings(path), workers=1)
    assert extract(folder, settings(path), workers=1).kept
    (path / "000.md").write_text("# New\n\nOther words.\n")
    again = extract(folder, settings(path), workers=1)
    assert not again.kept and again.digest != first.digest


def test_a_source_without_anything_to_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "binaries").mkdir()
    for name in ("a.bin", "b.png", "c.txt"):
        (tmp_path / "binaries" / name).write_bytes(bytes(range(256)))
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "empty.txt").write_text("")
    for name, cause in (
        ("empty", "holds no file"),
        (
            "binaries",
            r"nothing that can be read \(no known format: 2, not readable: 1; such as .*c\.txt: holds bin",
        ),
        ("empty.jsonl", r"nothing that can be read \(empty: 1"),
        ("empty.txt", r"nothing that can be read \(empty: 1"),
    ):
        config = ExtractConfig(sources=(SourceConfig(path=str(tmp_path / name)),))
        with pytest.raises(InputError, match=f"{name}: .*{cause}"):
            extract(DataFolder(tmp_path / "out"), config, workers=1)
    with pytest.raises(InputError, match="no sources"):
        extract(DataFolder(tmp_path / "out"), ExtractConfig(), workers=1)
    assert not (tmp_path / "out" / "documents").exists()


def test_two_sources_with_one_name_are_both_named(tmp_path: Path) -> None:
    one, two = write_folder(tmp_path / "1" / "docs"), write_folder(tmp_path / "2" / "docs")
    config = ExtractConfig(sources=(SourceConfig(path=str(one)), SourceConfig(path=str(two))))
    with pytest.raises(InputError, match=r"1/docs and .*2/docs: two sources with the name docs\. .*--config"):
        extract(DataFolder(tmp_path / "out"), config)
    for lang in ("en", "zh"):
        (tmp_path / f"news.{lang}").write_text("x")
    config = ExtractConfig(
        sources=tuple(SourceConfig(path=str(tmp_path / f"news.{lang}")) for lang in ("en", "zh"))
    )
    with pytest.raises(InputError, match=r"write '.*/news\.\{en,zh\}', with the quotes"):
        extract(DataFolder(tmp_path / "out"), config)


def test_a_link_to_itself_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    config = ExtractConfig(sources=(SourceConfig(path=str(tmp_path / "loop")),))
    with pytest.raises(InputError, match=r"loop: no such file or folder"):
        extract(DataFolder(tmp_path / "out"), config, workers=1)


def test_a_damaged_file_among_others_is_listed_and_the_output_not_read(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "in", files=2)
    (path / "cut.jsonl").write_text('{"text": "一"}\n' * 200 + "{")
    (path / "forbidden.csv").symlink_to("/proc/self/mem")
    folder = DataFolder(path / "mine")
    first = extract(folder, settings(path), workers=1)
    assert first.counts["skipped"]["forum"] == {"no known format": 1, "not readable": 1, "partly read": 1}
    lines = [
        json.loads(line)
        for file in (folder.path / "documents").glob("*.skipped.jsonl")
        for line in file.read_text().splitlines()
    ]
    notes = {line["file"]: line["note"] for line in lines}
    assert notes["cut.jsonl"].startswith("cut.jsonl: line 201 is not JSON")
    assert notes["forbidden.csv"].startswith("forbidden.csv: cannot be read")
    assert extract(folder, settings(path), workers=1).kept


def test_a_full_disk_keeps_what_was_finished(tmp_path: Path) -> None:
    # A file may not grow beyond so many bytes, which fails as a full disk does.
    path = write_folder(tmp_path / "in", words=1000)
    config = ExtractConfig(sources=(SourceConfig(path=str(path)),))
    whole = extract(DataFolder(tmp_path / "whole"), config, workers=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, hard))
    try:
        with pytest.raises(InputError, match="cannot be written"):
            extract(DataFolder(tmp_path / "out"), config, workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "out" / "documents").exists()
    assert list((tmp_path / "out" / ".documents.unfinished").glob("*.counts.json"))
    assert extract(DataFolder(tmp_path / "out"), config, workers=1).digest == whole.digest


def test_a_damaged_input_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "一"}\n' * 500 + '{"text": \n')
    config = ExtractConfig(sources=(SourceConfig(path=str(tmp_path / "rows.jsonl")),))
    with pytest.raises(InputError, match=r"rows\.jsonl: line 501 is not JSON"):
        extract(DataFolder(tmp_path / "out"), config, workers=1)
    assert not (tmp_path / "out" / "documents").exists()


KILLED = """
import sys
from pathlib import Path
from yuyi.data.extract import extract, ExtractConfig
from yuyi.data.folder import DataFolder
from yuyi.data.sources import SourceConfig
if __name__ == "__main__":
    sources = tuple(SourceConfig(path=path) for path in sys.argv[3:])
    extract(DataFolder(Path(sys.argv[1])), ExtractConfig(sources=sources), workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path, workers: int) -> None:
    paths = [write_folder(tmp_path / f"in{number}", words=500) for number in range(4)]
    config = ExtractConfig(sources=tuple(SourceConfig(path=str(path)) for path in paths))
    whole = extract(DataFolder(tmp_path / "whole"), config, workers=1)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "cut"), str(workers), *map(str, paths)]
    process = subprocess.Popen(command, start_new_session=True)
    unfinished = tmp_path / "cut" / ".documents.unfinished"
    while not list(unfinished.glob("*.counts.json")):
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut" / "documents").exists()
    finished = {file: file.stat().st_mtime_ns for file in unfinished.glob("*.counts.json")}
    assert 0 < len(finished) < 16
    resumed = extract(DataFolder(tmp_path / "cut"), config, workers=workers)
    assert resumed.digest == whole.digest and resumed.counts == whole.counts
    for name in whole.parts:
        one, other = (tmp_path / place / "documents" / name for place in ("whole", "cut"))
        assert one.read_bytes() == other.read_bytes()
