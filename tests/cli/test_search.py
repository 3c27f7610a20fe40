from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from .conftest import TINY

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run

QUESTION = "胡子长得太快怎么办？"
LINES = "香港买手表哪里好\n\n胡子长得快怎么办？\nHow do I renew my passport?\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YUYI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "search"


@pytest.fixture(autouse=True)
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / ".git").mkdir(parents=True)
    (folder / "问答.md").write_text(
        "# 常见问题\n\n## 胡子\n\n胡子长得快怎么办？\n\n## 手表\n\n香港买手表哪里好\n", encoding="utf-8"
    )
    (folder / "passport.txt").write_text("How do I renew my passport?\n")
    return folder


def test_passages_with_score_place_and_headings(yuyi: Run) -> None:
    done = yuyi("search", QUESTION, "notes", "-m", TINY)
    assert done.code == 0
    assert done.err.strip() == "3 passages in 2 files, 3 of them new or changed; left out: 1 hidden"
    assert "notes/问答.md:5" in done.out.splitlines()[0]
    assert done.out.splitlines()[1:3] == ["    常见问题 › 胡子", "    胡子长得快怎么办？"]
    assert done.out.count("━") > 3
    assert [line.split()[0] for line in done.out.splitlines() if line[:3].strip()] == ["1", "2", "3"]


def test_json_for_scripts(yuyi: Run) -> None:
    done = yuyi("search", QUESTION, "notes/问答.md", "--top", "1", "-m", TINY, "--json", "--quiet")
    assert done.err == ""
    (row,) = json.loads(done.out)
    score = row.pop("score")
    assert 0.5 < score <= 1
    assert row == {
        "rank": 1,
        "file": "notes/问答.md",
        "line": 5,
        "path": ["常见问题", "胡子"],
        "text": "胡子长得快怎么办？",
    }


def test_shared_words_are_marked_on_a_terminal_alone(yuyi: Run) -> None:
    coloured = yuyi("search", QUESTION, "notes", "-m", TINY, FORCE_COLOR="1", TERM="xterm")
    assert "\x1b[1;35m胡子长得\x1b[0m" in coloured.out
    assert "\x1b" not in yuyi("search", QUESTION, "notes", "-m", TINY).out


def test_the_second_search_uses_the_index(yuyi: Run, cache: Path, notes: Path) -> None:
    yuyi("search", QUESTION, "notes", "-m", TINY)
    assert len(list(cache.iterdir())) == 1
    assert "changed" not in yuyi("search", QUESTION, "notes", "-m", TINY).err
    (notes / "new.md").write_text(QUESTION)
    changed = yuyi("search", QUESTION, "notes", "-m", TINY, "--json")
    assert "4 passages in 3 files, 1 of them new or changed" in changed.err
    assert json.loads(changed.out)[0]["text"] == QUESTION


def test_no_cache_keeps_nothing(yuyi: Run, cache: Path) -> None:
    assert yuyi("search", QUESTION, "notes", "-m", TINY, "--no-cache").code == 0
    assert not cache.exists()


def test_a_damaged_index_is_announced_and_made_again(yuyi: Run, cache: Path) -> None:
    first = yuyi("search", QUESTION, "notes", "-m", TINY, "--json")
    (index,) = cache.iterdir()
    index.write_bytes(index.read_bytes()[:-9])
    done = yuyi("search", QUESTION, "notes", "-m", TINY, "--json")
    assert (done.code, done.out) == (0, first.out)
    assert "damaged" in done.err
    assert "damaged" not in yuyi("search", QUESTION, "notes", "-m", TINY).err


def test_searches_at_once(cache: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "yuyi", "search", QUESTION, "notes", "-m", str(TINY), "--json", "-q"]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) for _ in range(2)]
    answers = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == answers[1]
    assert len(json.loads(answers[0])) == 3
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("arguments", [[], ["-"]])
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_lines_of_standard_input_are_reranked(yuyi: Run, arguments: list[str], encoding: str) -> None:
    done = yuyi("search", QUESTION, *arguments, "-m", TINY, "--json", stdin=LINES.encode(encoding))
    rows = json.loads(done.out)
    assert rows[0]["line"] == 3
    assert {row["file"] for row in rows} == {"-"}
    assert {row["text"] for row in rows} == set(LINES.split("\n")) - {""}
    shown = yuyi("search", QUESTION, "-m", TINY, "-n", "1", stdin=LINES.encode(encoding))
    assert "line 3" in shown.out
    assert "胡子长得快怎么办？" in shown.out


@pytest.mark.parametrize(
    "text",
    [
        "胡子长得很快，请问怎么办？" * 30,
        "a long english text about watches " * 14,
        "混排 English 和中文 docker，安装numpy与pip。" * 15,
        "x" * 400,
        "[bold]胡子[/bold]\x1b[31m\ttab",
    ],
)
def test_every_line_fits_80_columns(yuyi: Run, notes: Path, text: str) -> None:
    heading = "很长的标题" * 20
    (notes / f"{'长名字' * 20}.md").write_text(f"# {heading}\n\n{text}\n", encoding="utf-8")
    done = yuyi("search", QUESTION, "notes", "-m", TINY)
    assert done.code == 0
    assert max(map(cell_len, done.out.splitlines())) <= 80
    assert "\x1b" not in done.out
    assert "".join(heading.split()) in "".join(done.out.split())
    if text.startswith("["):
        assert "[bold]胡子[/bold]" in done.out


def test_a_passage_of_many_lines_is_cut(yuyi: Run, notes: Path) -> None:
    (notes / "list.txt").write_text("\n".join(f"胡子{number}" for number in range(60)))
    lines = yuyi("search", QUESTION, "notes/list.txt", "-m", TINY).out.splitlines()
    assert len(lines) == 16
    assert lines[-2:] == ["    胡子13", "    …"]


def test_nothing_to_search_is_no_failure(yuyi: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.md").touch()
    (tmp_path / "folder").mkdir()
    for paths, stdin in ((["empty.md"], b""), (["folder"], b""), ([], b""), ([], b"\n \n\n")):
        done = yuyi("search", QUESTION, *paths, "-m", TINY, "--json", stdin=stdin)
        assert (done.code, json.loads(done.out)) == (0, [])
        assert "nothing to" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["", "notes"], "no word"),
        (["？！…", "notes"], "no word"),
        ([QUESTION, "nowhere"], "nowhere: No such file"),
        ([QUESTION, "notes", "-"], "cannot be mixed"),
        ([QUESTION, "picture.md"], "picture.md: not text"),
        ([QUESTION, "notes", "--model", "nowhere"], "nowhere"),
        ([QUESTION, "notes", "--dim", "33"], "33"),
    ],
)
def test_misuse_is_one_clear_line(yuyi: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "picture.md").write_bytes(b"\x89PNG\0\0")
    model = [] if "--model" in arguments else ["-m", TINY]
    assert message in yuyi("search", *arguments, *model).error


def test_binary_on_standard_input(yuyi: Run) -> None:
    assert "standard input" in yuyi("search", QUESTION, "-m", TINY, stdin=b"\0\1\2").error


def test_what_cannot_be_searched_is_noted(yuyi: Run, notes: Path) -> None:
    (notes / "binary.md").write_bytes(b"\0\1\2")
    done = yuyi("search", QUESTION, "notes", "-m", TINY)
    assert done.code == 0
    assert "left out: 1 hidden, 1 not text" in done.err
    assert yuyi("search", QUESTION, "notes", "-m", TINY, "--quiet").err == ""


def test_a_terminal_without_path_or_pipe_is_asked_for_one(tmp_path: Path) -> None:
    terminal, side = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "yuyi", "search", QUESTION, "-m", str(TINY)],
            stdin=side,
            capture_output=True,
            cwd=tmp_path,
            timeout=30,
            check=False,
        )
    finally:
        os.close(side)
        os.close(terminal)
    assert done.returncode == 2
    assert b"Name a file or folder" in done.stderr


def test_ctrl_c_leaves_nothing(notes: Path, cache: Path, tmp_path: Path) -> None:
    with (notes / "long.txt").open("w") as file:
        file.writelines(f"胡子{number}\n\n" for number in range(1_000_000))
    command = [sys.executable, "-m", "yuyi", "search", QUESTION, "notes", "-m", str(TINY)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, b"")
    assert b"stopped" in err
    assert not cache.exists()


def test_a_long_line_and_a_million_empty_ones(yuyi: Run) -> None:
    started = time.monotonic()
    stdin = b"\n" * 1_000_000 + "胡子长得快。".encode() * 100_000 + b"\n"
    done = yuyi("search", QUESTION, "-m", TINY, stdin=stdin)
    assert time.monotonic() - started < 20
    assert "line 1000001" in done.out
    assert len(done.out) < 2_000


def test_heavy_packages_stay_out(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['yuyi', 'search', '胡子', 'notes', '-q', '-m', sys.argv[1]]\n"
        "from yuyi.cli.app import run\n"
        "try:\n    run()\nexcept SystemExit as done:\n    assert done.code == 0\n"
        "sys.exit(bool({'torch', 'pyarrow', 'pandas', 'scipy', 'mteb'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(TINY)], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "胡子".encode() in done.stdout
