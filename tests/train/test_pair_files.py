"""Rows of files of pairs: what is read of a cell, and what is refused by the name of its row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from yuyi.errors import InputError
from yuyi.train.reading.pair_files import Row, read_pair_file

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, *rows: dict[str, Any]) -> list[Row]:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), "utf-8")
    return [row for block in read_pair_file(path) for row in block]


PAIR = {"query": "怎么换护照", "pos": "去出入境大厅。"}


@pytest.mark.parametrize(
    ("cells", "scores"),
    [
        ({"scores": 0.5}, (0.5,)),
        ({"pos_scores": 0.5}, (0.5,)),
        ({"pos_scores": 0.0, "neg_scores": 0.1, "neg": "在厨房。"}, (0.0, 0.1)),
        ({"pos_scores": [0.9], "neg_scores": 0, "neg": ["in the kitchen"]}, (0.9, 0.0)),
    ],
)
def test_a_score_by_itself_is_one_score(
    tmp_path: Path, cells: dict[str, Any], scores: tuple[float, ...]
) -> None:
    (row,) = read(tmp_path, PAIR | cells)
    assert row.scores == scores


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"lang": 7}, "line 1: lang 7 is no text. Mend the row"),
        ({"kind": 1.5}, r"line 1: kind 1\.5 is no text"),
        ({"source": ["a"]}, r"line 1: source \['a'\] is no text"),
        ({"query": ["第一", "第二"]}, "line 1: has 2 queries, the first is '第一'. Make a row of each"),
        ({"scores": "0.5"}, "line 1: score '0.5' is no finite number"),
        ({"neg_scores": 0.1, "neg": "x"}, "line 1: has 0 pos_scores for 1 positives"),
    ],
)
def test_cells_that_cannot_be_used_are_named(tmp_path: Path, cells: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, PAIR | cells)


def test_one_query_may_stand_in_a_list(tmp_path: Path) -> None:
    (row,) = read(tmp_path, PAIR | {"query": ["怎么换护照"]})
    assert row.text_a == "怎么换护照"


def test_negatives_that_teach_nothing_go_with_their_scores(tmp_path: Path) -> None:
    against = ["", "去出入境大厅。", "在厨房。", "  ", "the office ", "in the kitchen"]
    rows = read(
        tmp_path,
        {
            "query": "怎么换护照", "pos": ["去出入境大厅。", "the office"], "neg": against,
            "pos_scores": [0.9, 0.8], "neg_scores": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        },
        {**PAIR, "neg": [""]},
    )  # fmt: skip
    assert [row.negatives for row in rows] == [
        ("在厨房。", "the office ", "in the kitchen"),
        ("去出入境大厅。", "在厨房。", "in the kitchen"),
        (),
    ]
    assert [row.scores for row in rows] == [(0.9, 0.3, 0.5, 0.6), (0.8, 0.2, 0.3, 0.6), ()]
