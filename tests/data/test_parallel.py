"""Texts and their translations, line by line, from files that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.data.readers import parallel
from yuyi.data.readers.parallel import read_parallel
from yuyi.data.readers.skipped import Skipped
from yuyi.errors import InputError
from yuyi.records import Document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


TMX = """<?xml version="1.0" encoding="UTF-8"?>
<tmx version="1.4"><header srclang="en"/><body>
<tu><tuv xml:lang="en"><seg>The water <ph x="1"/>boils.</seg></tuv>
    <tuv xml:lang="zh"><seg>水开了。</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Alone.</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Off.</seg></tuv><tuv xml:lang="zh"><seg>关。</seg></tuv></tu>
</body></tmx>
"""


def pairs_of(documents: Sequence[Document]) -> list[tuple[str, str]]:
    pairs = []
    for document in documents:
        texts = [document.text[part.start : part.end] for part in document.parts]
        for number, part in enumerate(document.parts):
            if part.role == "translation":
                assert document.parts[part.of].role == "original"
                pairs.append((texts[part.of], texts[number]))
    return pairs


def read(*paths: Path, lang: str = "") -> list[Document]:
    rows = list(read_parallel(paths, name=paths[0].name, source="s", lang=lang))
    return [row for row in rows if isinstance(row, Document)]


def test_two_files_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("One.\n\nThree.\n- Four\n")
    (tmp_path / "a.zh").write_text("一。\n二。\n三。\n# 四\n")
    (document,) = read(tmp_path / "a.en", tmp_path / "a.zh")
    assert pairs_of([document]) == [("One.", "一。"), ("Three.", "三。"), ("- Four", "# 四")]
    assert (document.doc_id, document.lang, document.source) == ("a.en#1", "en-zh", "s")
    assert read(tmp_path / "a.en", tmp_path / "a.zh", lang="en-ja")[0].lang == "en-ja"


@given(st.lists(st.tuples(*[st.text("ab中文 。", min_size=1, max_size=9)] * 2), max_size=12))
def test_no_pair_is_lost_between_documents(pairs: list[tuple[str, str]]) -> None:
    whole = [(one.strip(), other.strip()) for one, other in pairs if one.strip() and other.strip()]
    documents = [parallel._document(whole[start : start + 5], "s", "d") for start in range(0, len(whole), 5)]
    assert pairs_of(documents) == whole


def test_lines_without_translation_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("One.\nTwo.\n\n\n")
    (tmp_path / "a.zh").write_text("一。\n\n三。\n\n")
    rows = list(read_parallel([tmp_path / "a.en", tmp_path / "a.zh"], name="a.en", source="s"))
    assert rows[:2] == [Skipped("a.en", "line without translation")] * 2
    assert [type(row) for row in rows[2:]] == [Document]


def test_many_lines_become_several_documents(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("".join(f"Line {number}.\n" for number in range(450)))
    (tmp_path / "a.zh").write_text("".join(f"第{number}行。\n" for number in range(450)))
    documents = read(tmp_path / "a.en", tmp_path / "a.zh")
    assert [document.doc_id for document in documents] == ["a.en#1", "a.en#201", "a.en#401"]
    assert pairs_of(documents) == [(f"Line {number}.", f"第{number}行。") for number in range(450)]


def test_files_of_different_length_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("One.\nTwo.\n")
    (tmp_path / "a.zh").write_text("一。\n")
    with pytest.raises(InputError, match=r"a\.zh: ends after line 1, and .*a\.en goes on"):
        read(tmp_path / "a.en", tmp_path / "a.zh")
    with pytest.raises(InputError, match=r"nowhere: no such file"):
        read(tmp_path / "a.en", tmp_path / "nowhere")


def test_tables_without_a_head_line(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('The "water" boils.\t水开了。\t0.9\n\nOff.\t关。\t0.8\n')
    assert pairs_of(read(tmp_path / "a.tsv")) == [('The "water" boils.', "水开了。"), ("Off.", "关。")]
    (tmp_path / "a.csv").write_text('"Off, now.",关。\n')
    assert pairs_of(read(tmp_path / "a.csv")) == [("Off, now.", "关。")]
    (tmp_path / "b.tsv").write_text("One.\t一。\nTwo.\n")
    with pytest.raises(InputError, match=r"b\.tsv: line 2 has one column"):
        read(tmp_path / "b.tsv")


def test_translation_memories(tmp_path: Path) -> None:
    (tmp_path / "a.tmx").write_text(TMX)
    assert pairs_of(read(tmp_path / "a.tmx")) == [("The water boils.", "水开了。"), ("Off.", "关。")]
    (tmp_path / "cut.tmx").write_text(TMX[:200])
    with pytest.raises(InputError, match=r"cut\.tmx: line .* not well-formed XML"):
        read(tmp_path / "cut.tmx")
