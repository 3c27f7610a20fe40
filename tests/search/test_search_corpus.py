"""The index of files keeps itself current, and survives what happens to files and caches."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

import yuyi
from yuyi.errors import InputError
from yuyi.search.corpus import Corpus, cache_folder, open_corpus
from yuyi.search.query import encode_question

from .conftest import TINY


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def age(folder: Path) -> None:
    """Make all files old, so that their time stamps can be relied on."""
    for number, path in enumerate(sorted(folder.rglob("*"))):
        os.utime(path, ns=(0, 1_700_000_000_000_000_000 + number))


def ask(corpus: Corpus, encoder: yuyi.Encoder, query: str, top: int = 10) -> list[tuple[str, str]]:
    hits = corpus.search(encode_question(query, encoder), top)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    return [(Path(hit.file).name, hit.passage.text) for hit in hits]


def test_the_right_passage_comes_first(encoder, documents: Path) -> None:
    corpus = open_corpus([str(documents)], encoder)
    assert ask(corpus, encoder, "胡子长得太快怎么办？", 1) == [("问答.md", "胡子长得快怎么办？")]
    hit = corpus.search(encode_question("胡子", encoder), 1)[0]
    assert (hit.passage.path, hit.passage.line) == (("问答", "胡子"), 5)
    assert hit.file == str(documents / "问答.md")
    assert (corpus.files, corpus.passages, corpus.embedded) == (4, 4, 4)
    assert dict(corpus.skipped) == {"hidden": 1, "not text": 0, "unreadable": 0}


def test_scores_are_the_cosines_of_the_passages_in_context(encoder, documents: Path) -> None:
    question = encode_question("胡子", encoder)
    hits = open_corpus([str(documents)], encoder).search(question, 10)
    expected = encoder.encode([hit.passage.in_context for hit in hits]) @ question[0]
    np.testing.assert_allclose([hit.score for hit in hits], expected, atol=1e-6)


def test_a_second_search_embeds_nothing_and_answers_the_same(encoder, documents: Path, cache: Path) -> None:
    age(documents)
    first = open_corpus([str(documents)], encoder, cache)
    (index,) = (cache / "search").iterdir()
    written = index.stat().st_mtime_ns
    second = open_corpus([str(documents)], encoder, cache)
    assert (first.embedded, second.embedded) == (4, 0)
    assert ask(second, encoder, "买手表") == ask(first, encoder, "买手表")
    assert index.stat().st_mtime_ns == written


def test_unchanged_files_are_not_opened(encoder, documents: Path, cache: Path) -> None:
    age(documents)
    open_corpus([str(documents)], encoder, cache)
    path = documents / "问答.md"
    stamp = path.stat()
    path.write_bytes(b"\0" * stamp.st_size)  # Same size and, below, same time: only reading it would tell.
    os.utime(path, ns=(0, stamp.st_mtime_ns))
    assert ask(open_corpus([str(documents)], encoder, cache), encoder, "胡子", 1)[0][0] == "问答.md"


def test_changed_files_alone_are_embedded_again(encoder, documents: Path, cache: Path) -> None:
    age(documents)
    open_corpus([str(documents)], encoder, cache)
    (documents / "问答.md").write_text("# 胡子\n\n胡子长得太快怎么办？\n", encoding="utf-8")
    (documents / "天气.txt").unlink()
    (documents / "new.md").write_text("how to renew a passport")
    os.utime(documents / "guide" / "Install.MD")  # Touched, but the same bytes.
    corpus = open_corpus([str(documents)], encoder, cache)
    assert corpus.embedded == 2
    assert sorted(ask(corpus, encoder, "胡子")) == [
        ("Install.MD", "Install Python 3 and numpy with pip."),
        ("new.md", "how to renew a passport"),
        ("问答.md", "胡子长得太快怎么办？"),
    ]
    fresh = open_corpus([str(documents)], encoder)
    assert ask(corpus, encoder, "胡子") == ask(fresh, encoder, "胡子")
    assert open_corpus([str(documents)], encoder, cache).embedded == 0


def test_a_change_within_the_clocks_step_is_seen(encoder, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("胡子")
    stamp = path.stat().st_mtime_ns
    open_corpus([str(path)], encoder, cache)
    path.write_text("手表")
    os.utime(path, ns=(0, stamp))
    assert ask(open_corpus([str(path)], encoder, cache), encoder, "手表") == [("a.txt", "手表")]


def test_each_model_and_each_set_of_paths_has_its_index(encoder, documents: Path, cache: Path) -> None:
    age(documents)
    short = yuyi.load(TINY, truncate_dim=8)
    open_corpus([str(documents)], encoder, cache)
    assert open_corpus([str(documents)], short, cache).embedded == 4
    assert open_corpus([str(documents / "guide")], encoder, cache).embedded == 1
    assert open_corpus([str(documents)], encoder, cache).embedded == 0
    guide, all_of_it = str(documents / "guide"), str(documents)
    assert open_corpus([guide, all_of_it], encoder, cache).embedded == 4
    assert open_corpus([all_of_it, guide], encoder, cache).embedded == 0
    assert len(list((cache / "search").iterdir())) == 4


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_index_is_made_again(encoder, documents: Path, cache: Path, damage: str) -> None:
    age(documents)
    whole = ask(open_corpus([str(documents)], encoder, cache), encoder, "胡子")
    (index,) = (cache / "search").iterdir()
    data = index.read_bytes()
    middle = len(data) // 2
    index.write_bytes(
        {
            "cut": data[:-5],
            "flip": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            "empty": b"",
            "other": b"{}",
        }[damage]
    )
    corpus = open_corpus([str(documents)], encoder, cache)
    assert len(corpus.notes) == 1
    assert "damaged" in corpus.notes[0]
    assert corpus.embedded == 4
    assert ask(corpus, encoder, "胡子") == whole
    assert open_corpus([str(documents)], encoder, cache).notes == []


def test_a_cache_that_cannot_be_written_is_noted(encoder, documents: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    corpus = open_corpus([str(documents)], encoder, tmp_path / "file")
    assert corpus.passages == 4
    assert len(corpus.notes) == 1
    assert "not kept" in corpus.notes[0]


def test_what_cannot_be_read_is_noted_and_the_rest_searched(encoder, documents: Path, cache: Path) -> None:
    (documents / "binary.md").write_bytes(b"\x00\x01\x02")
    (documents / "gone.md").write_text("soon gone")
    vanish = (documents / "gone.md").unlink

    class Vanishing:
        """The encoder, before whose first look a file goes away."""

        dim, fingerprint = encoder.dim, encoder.fingerprint
        encode_query = encoder.encode_query

        def encode_document(self, inputs):
            vanish()
            return encoder.encode_document(inputs)

    corpus = open_corpus([str(documents)], Vanishing(), cache)
    assert corpus.notes == [f"{documents / 'gone.md'}: went away while it was being read"]
    assert dict(corpus.skipped) == {"hidden": 1, "not text": 1, "unreadable": 1}
    assert corpus.passages == 4
    again = open_corpus([str(documents)], encoder, cache)
    assert dict(again.skipped) == {"hidden": 1, "not text": 1, "unreadable": 0}
    assert again.embedded == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permissions_are_noted(encoder, documents: Path) -> None:
    (documents / "问答.md").chmod(0)
    (documents / "guide").chmod(0)
    corpus = open_corpus([str(documents)], encoder)
    (documents / "guide").chmod(0o755)
    assert len(corpus.notes) == 2
    assert all("Permission denied" in note for note in corpus.notes)
    assert corpus.passages == 1


def test_only_binary_files_are_refused(encoder, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\0\1")
    for _ in range(2):  # The second time from the kept index.
        with pytest.raises(InputError, match=r"a\.md: not text"):
            open_corpus([str(tmp_path / "a.md")], encoder, cache)


def test_empty_folders_and_files_give_nothing(encoder, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "empty.md").touch()
    (tmp_path / "folder").mkdir()
    for paths, files in (([tmp_path / "folder"], 0), ([tmp_path / "empty.md"], 1)):
        corpus = open_corpus([str(path) for path in paths], encoder, cache)
        assert (corpus.files, corpus.passages) == (files, 0)
        assert ask(corpus, encoder, "胡子") == []


def test_searches_at_once_do_no_harm(encoder, documents: Path, cache: Path) -> None:
    whole = ask(open_corpus([str(documents)], encoder), encoder, "胡子")
    answers: list[list[tuple[str, str]]] = []
    notes: list[str] = []

    def work() -> None:
        for _ in range(5):
            shutil.rmtree(cache / "search", ignore_errors=True)
            corpus = open_corpus([str(documents)], encoder, cache)
            answers.append(ask(corpus, encoder, "胡子"))
            notes.extend(note for note in corpus.notes if "damaged" in note)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [whole] * 20
    assert notes == []


def test_the_place_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YUYI_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/yuyi")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/yuyi")
    monkeypatch.setenv("YUYI_CACHE", "/here")
    assert cache_folder() == Path("/here")
