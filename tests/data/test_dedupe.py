"""Duplicates of documents and pairs are marked, and what only looks like one is not."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.config import check_settings
from yuyi.data.clean import match_key
from yuyi.data.dedupe import DedupeConfig, dedupe_documents, dedupe_pairs
from yuyi.data.folder import DataFolder
from yuyi.data.step import run_step
from yuyi.errors import InputError, RecipeError
from yuyi.records import Document, Mark, Pair, read_marks, write_documents, write_marks, write_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from yuyi.data.step import Counts, Workplace

ZH = (
    "在计算机科学中，散列函数把任意长度的数据映射到固定长度的值，相同的输入总是得到相同的输出，"
    "不同的输入则很少得到相同的输出。它用于校验文件、保存密码，也用于在大量文本里寻找重复的段落。"
)
EN = (
    "The river rises in the northern hills and flows past three old market towns before it reaches the "
    "sea. Boats carried grain and timber along it until the railway came, and today it is known for "
    "walking paths and for the herons that nest on its islands."
)


def pair(
    text_a: str,
    text_b: str,
    pair_id: str = "",
    source: str = "s",
    kind: str = "qa",
    label: float | None = None,
) -> Pair:
    return Pair(source, kind, text_a, text_b, label, "zh", pair_id=pair_id)


def folder_of(path: Path, *parts: Sequence[Pair | Document]) -> DataFolder:
    """A data folder with these parts of pairs or documents."""
    documents = isinstance(parts[0][0], Document) if parts and parts[0] else False

    def make(place: Workplace) -> Counts:
        for number, rows in enumerate(parts):
            file = place.folder / f"0000-{number:04}.parquet"
            write_documents(file, rows) if documents else write_pairs(file, rows)  # type: ignore[arg-type]
        return {}

    name = "documents" if documents else "pairs"
    run_step(path / name, make, settings={}, inputs={}, code=())
    return DataFolder(path)


def marks_of(folder: DataFolder, step: str = "marks/duplicates") -> list[list[Mark]]:
    return [list(read_marks(path)) for path in folder.parts(step).values()]


def test_equal_pairs_are_marked_across_parts_and_sources(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        [pair("什么是散列？", "一种函数。", "a"), pair("What is it?", "A river.", "b")],
        [
            pair("什么是 散列", "一种函数", "c", source="t"),
            pair("WHAT IS IT", "Ａ ｒｉｖｅｒ", "d", source="t"),
        ],
    )
    record = dedupe_pairs(folder, DedupeConfig(), workers=1)
    assert marks_of(folder) == [
        [],
        [Mark(0, "c", "duplicate", 1.0, "a"), Mark(1, "d", "duplicate", 1.0, "b")],
    ]
    assert record.counts == {"rows": 4, "marked": {"t": {"duplicate": 2}}}
    assert folder.mark_steps() == ["marks/duplicates"]


@pytest.mark.parametrize(
    ("text", "other"),
    [(ZH, ZH.replace("密码", "口令")), (EN, EN.replace("three old", "four old"))],
    ids=["zh", "en"],
)
def test_near_pairs_are_marked_with_their_similarity(tmp_path: Path, text: str, other: str) -> None:
    folder = folder_of(tmp_path, [pair("散列函数", text, "a"), pair("散列函数", other, "b")])
    dedupe_pairs(folder, DedupeConfig(), workers=1)
    [[mark]] = marks_of(folder)
    assert (mark.id, mark.reason, mark.note) == ("b", "near duplicate", "a")
    shared, every = (
        sum(len(combine(one, two)) for one, two in sides(pair("散列函数", text), pair("散列函数", other)))
        for combine in (set.intersection, set.union)
    )
    assert mark.value == pytest.approx(shared / every) and mark.value >= 0.8


def sides(one: Pair, other: Pair) -> list[tuple[set[str], set[str]]]:
    """The shingles of both questions, and of both answers."""
    return [
        (shingles(one.text_a), shingles(other.text_a)),
        (shingles(one.text_b), shingles(other.text_b)),
    ]


def shingles(text: str) -> set[str]:
    key = match_key(text)
    return {key[at : at + 5] for at in range(max(1, len(key) - 4))}


def test_two_questions_that_one_passage_answers_both_stay(tmp_path: Path) -> None:
    asked = ["散列函数有什么用处", "怎样找到重复的段落", "Where does the river end?", "What nests there?"]
    folder = folder_of(tmp_path, [pair(question, ZH + EN) for question in asked])
    dedupe_pairs(folder, DedupeConfig(), workers=1)
    assert marks_of(folder) == [[]]


def test_judged_pairs_repeat_only_what_was_judged_alike(tmp_path: Path) -> None:
    rows = [
        pair(ZH, EN, "weak"),
        pair(ZH, EN, "sts", kind="sts", label=4.0),
        pair(ZH, EN, "nli", kind="nli", label=1.0),
        pair(ZH, EN, "sts again", kind="sts", label=3.0),
        pair(ZH + "吗", EN, "sts near", kind="sts", label=4.0),
        pair(ZH + "吧", EN, "sts other", kind="sts", label=0.0),
    ]
    folder = folder_of(tmp_path, rows)
    dedupe_pairs(folder, DedupeConfig(), workers=1)
    [marks] = marks_of(folder)
    assert [(mark.id, mark.reason, mark.note) for mark in marks] == [
        ("sts again", "duplicate", "sts"),
        ("sts near", "near duplicate", "sts"),
    ]


def test_a_marked_row_is_near_a_row_that_stays(tmp_path: Path) -> None:
    """A is near B and B near C, A and C are not: B goes, C stays, and so does not hang on a row that went."""
    chain = [ZH * 2 + EN, ZH * 2 + EN[:-30], ZH * 2 + EN[:-60]]
    similar = [
        len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other))
        for one, other in [*pairwise(chain), (chain[0], chain[2])]
    ]
    threshold = (min(similar[:2]) + similar[2]) / 2
    assert similar[2] < threshold < min(similar[:2])
    rows = [Document("s", str(number), "", text, "zh") for number, text in enumerate(chain)]
    folder = folder_of(tmp_path, [*rows, Document("s", "again", "", chain[1] + "。", "zh")])
    dedupe_documents(folder, DedupeConfig(near=threshold), workers=1)
    [marks] = marks_of(folder, "marks/documents")
    assert [(mark.id, mark.reason, mark.note) for mark in marks] == [
        ("1", "near duplicate", "s 0"),
        ("again", "near duplicate", "s 0"),
    ]
    assert marks[0].value == marks[1].value == pytest.approx(similar[0])


def test_documents_repeat_each_other_across_sources(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        [Document("wiki", "hash", "散列", ZH, "zh"), Document("wiki", "river", "River", EN, "en")],
        [
            Document("copy", "1", "", ZH.replace("，", ","), "zh"),
            Document("copy", "2", "", EN + " More.", "en"),
        ],
    )
    record = dedupe_documents(folder, DedupeConfig(), workers=1)
    found = marks_of(folder, "marks/documents")
    assert [(mark.id, mark.reason, mark.note) for mark in found[1]] == [
        ("1", "duplicate", "wiki hash"),
        ("2", "near duplicate", "wiki river"),
    ]
    assert record.counts["marked"] == {"copy": {"duplicate": 1, "near duplicate": 1}} and not found[0]
    assert folder.mark_steps(on="documents") == ["marks/documents"]


def test_sides_that_stand_in_too_many_pairs(tmp_path: Path) -> None:
    answers = [pair("第" + chr(0x4E00 + n) * 9, "见上文", f"a{n}") for n in range(4)]
    questions = [pair("概述", chr(0x5E00 + n) * 9, f"q{n}") for n in range(4)]
    judged = [pair("概述", chr(0x6E00 + n) * 9, f"j{n}", kind="sts", label=1.0) for n in range(4)]
    folder = folder_of(tmp_path, answers + questions + judged)
    dedupe_pairs(folder, DedupeConfig(answer_limit=3, question_limit=2), workers=1)
    assert marks_of(folder) == [
        [
            Mark(3, "a3", "repeated answer", 4.0, "a0"),
            Mark(6, "q2", "repeated question", 4.0, "q0"),
            Mark(7, "q3", "repeated question", 4.0, "q0"),
        ]
    ]
    dedupe_pairs(folder, DedupeConfig(answer_limit=None, question_limit=None), workers=1)
    assert marks_of(folder) == [[]]


WORDS = ["散列", "函数", "文本", "river", "boats", "今天", "重复", "north", "段落", "heron"]


@settings(max_examples=8, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_mark_is_right_and_no_equal_pair_is_missed(
    tmp_path_factory: pytest.TempPathFactory, rng: random.Random
) -> None:
    rows: list[Pair] = []
    for number in range(40):
        if rows and rng.random() < 0.5:
            old = rng.choice(rows)
            place = rng.randrange(len(old.text_b) + 1)
            text_a, text_b = old.text_a, old.text_b[:place] + rng.choice(["", "！", "x"]) + old.text_b[place:]
        else:
            text_a, text_b = ("".join(rng.choices(WORDS, k=size)) for size in (4, 30))
        rows.append(pair(text_a, text_b, str(number)))
    path = tmp_path_factory.mktemp("pairs")
    dedupe_pairs(folder_of(path, rows[:20], [], rows[20:]), DedupeConfig(), workers=1)
    marks = [mark for part in marks_of(DataFolder(path)) for mark in part]
    dropped = {int(mark.id) for mark in marks}
    for mark in marks:
        one, other = rows[int(mark.id)], rows[int(mark.note)]
        counts = [(len(a & b), len(a | b)) for a, b in sides(one, other)]
        assert mark.value == pytest.approx(sum(a for a, _ in counts) / sum(b for _, b in counts))
        assert mark.value >= 0.8 and int(mark.note) < int(mark.id) and int(mark.note) not in dropped
    kept = [(match_key(row.text_a), match_key(row.text_b)) for row in rows if int(row.pair_id) not in dropped]
    assert len(set(kept)) == len(kept)


def test_planted_near_pairs_are_found(tmp_path: Path) -> None:
    """Similar by 0.8 to 0.85: at least 95 in 100, and nothing else."""
    rng = random.Random(8)
    rows, planted = [], 0
    while len(rows) < 300:
        letters = "etaoinshrdlu" if len(rows) % 4 else "的一是在不了有和人这中大为上个国我以要他"
        text = "".join(rng.choices(letters, k=400))
        old, new = pair(text[:80], text[80:], f"old {len(rows)}"), list(text)
        while True:
            new[rng.randrange(len(new))] = "某"
            other = pair("".join(new[:80]), "".join(new[80:]), f"new {len(rows)}")
            counts = [(len(a & b), len(a | b)) for a, b in sides(old, other)]
            similar = sum(a for a, _ in counts) / sum(b for _, b in counts)
            if similar < 0.85:
                break
        if similar >= 0.8 and min(a / b for a, b in counts) >= 0.5:
            rows += [old, other]
            planted += 1
    folder = folder_of(tmp_path, rows)
    dedupe_pairs(folder, DedupeConfig(), workers=1)
    [marks] = marks_of(folder)
    assert all(mark.note.split() == ["old", mark.id.split()[1]] for mark in marks)
    assert len(marks) >= 0.95 * planted


def mark(folder: DataFolder, step: str, *rows: int) -> None:
    """Mark some rows of the only part, as an earlier step would."""

    def make(place: Workplace) -> Counts:
        write_marks(place.folder / "0000-0000.parquet", [Mark(row, "", "too short", 1.0) for row in rows])
        return {}

    on = "documents" if step == "marks/documents" else "pairs"
    inputs = {on: folder.need(on).digest}
    run_step(folder.path / step, make, settings=rows, inputs=inputs, code=())


def test_what_is_marked_already_repeats_nothing_and_takes_no_place(tmp_path: Path) -> None:
    again = ZH.replace("密码", "口令")
    rows = [pair("散列", ZH, "gone"), pair("散列", ZH, "first"), pair("散列", again, "near")]
    rows += [pair("第" + chr(0x4E00 + n) * 9, "见上文", f"a{n}") for n in range(5)]
    rows += [pair("Hash", EN, "gone too", label=1.0), pair("Hash", EN, "judged", label=1.0)]
    folder = folder_of(tmp_path, rows)
    mark(folder, "marks/filters", 0, 3, 4, 8)
    record = dedupe_pairs(folder, DedupeConfig(answer_limit=2), workers=1)
    [marks] = marks_of(folder)
    assert [(mark.id, mark.reason, mark.note) for mark in marks] == [
        ("near", "near duplicate", "first"),
        ("a4", "repeated answer", "a2"),
    ]
    assert record.counts["rows"] == len(rows)
    assert set(record.inputs) == {"pairs", "marks/filters"}


def test_pairs_of_marked_documents_repeat_nothing(tmp_path: Path) -> None:
    folder_of(tmp_path, [Document("s", "1", "", ZH, "zh"), Document("s", "2", "", EN, "en")])
    rows = [replace(pair("散列", ZH, f"p{doc}"), doc_id=doc) for doc in ("1", "2")]
    folder = folder_of(tmp_path, rows)
    mark(folder, "marks/documents", 0)
    record = dedupe_pairs(folder, DedupeConfig(), workers=1)
    assert marks_of(folder) == [[]] and set(record.inputs) == {"pairs", "marks/documents"}
    mark(folder, "marks/documents")
    assert dedupe_pairs(folder, DedupeConfig(), workers=1).counts["marked"] == {"s": {"duplicate": 1}}


def test_other_pairs_are_compared_though_later_marks_are_out_of_date(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [pair("散列", ZH, "a"), pair("散列", ZH, "b")])
    mark(folder, "marks/quality", 0)
    dedupe_pairs(folder, DedupeConfig(), workers=1)
    shutil.rmtree(tmp_path / "pairs")
    folder = folder_of(tmp_path, [pair("River", EN, "c")])
    assert dedupe_pairs(folder, DedupeConfig(), workers=1).counts == {"rows": 1, "marked": {}}
    mark(folder, "marks/filters", 0)
    shutil.rmtree(tmp_path / "pairs")
    folder = folder_of(tmp_path, [pair("River", EN, "d")])
    with pytest.raises(InputError, match=r"marks/filters.*yuyi data filter"):
        dedupe_pairs(folder, DedupeConfig(), workers=1)


def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    parts = [[pair(ZH, EN + str(n % 3), f"{p}-{n}") for n in range(5)] for p in range(3)]
    digests = set()
    for workers in (1, 2):
        folder = folder_of(tmp_path / str(workers), *parts)
        digests.add(dedupe_pairs(folder, DedupeConfig(), workers=workers).digest)
    assert len(digests) == 1


def test_no_pairs_at_all(tmp_path: Path) -> None:
    assert dedupe_pairs(folder_of(tmp_path, []), DedupeConfig(), workers=1).counts["rows"] == 0
    with pytest.raises(InputError, match="yuyi data extract"):
        dedupe_documents(DataFolder(tmp_path), DedupeConfig())


def test_exact_duplicates_alone(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [pair("问", ZH, "a"), pair("问", ZH + "吧", "b"), pair("问！", ZH, "c")])
    dedupe_pairs(folder, DedupeConfig(near=None), workers=1)
    assert [mark.id for mark in marks_of(folder)[0]] == ["c"]


def test_a_threshold_that_cannot_be_is_named() -> None:
    with pytest.raises(RecipeError, match=r"near.*less than 1"):
        check_settings(DedupeConfig, {"near": 1.5}, "data.yaml")
