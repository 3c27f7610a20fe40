"""Which tables of a card print averages, and which of their rows are about the card's own model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.evaluate.linting.card import Table
from yuyi.known import find

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yuyi.evaluate.linting.card import Card, Entry
    from yuyi.known import Known

ALL, TYPES = "average", "mean of the types"
# Headings, in lower case and letters alone, by what stands below them.
_HEADINGS = {
    ALL: ("average", "avg", "mean", "overall", "averagescore", "平均", "平均分", "均分", "平均值"),
    TYPES: ("meantasktype", "averagetasktype"),
    "Classification": ("classification", "class", "classif", "分类"),
    "Clustering": ("clustering", "clust", "cluster", "聚类"),
    "PairClassification": ("pairclassification", "pairclass", "pairclassif", "句对分类", "文本对分类"),
    "Reranking": ("reranking", "rerank", "重排", "重排序"),
    "Retrieval": ("retrieval", "retr", "检索"),
    "STS": ("sts", "semantictextualsimilarity", "语义相似度", "文本相似度", "相似度"),
    "Summarization": ("summarization", "summ", "摘要"),
    "BitextMining": ("bitextmining", "bitext", "双语匹配"),
}
_KINDS = {heading: kind for kind, headings in _HEADINGS.items() for heading in headings}
_BRACKETS = re.compile(r"[（(\[].{0,100}?[)）\]]")
_COUNT = re.compile(r"[（(](\d{1,3})(?!\d)")
_MODEL_HEADING = re.compile(r"model|模型|^\W*name\W*$", re.IGNORECASE)
_SETTING_HEADING = re.compile(r"dim|length|dtype|precision|gpu|device|setting|维|长度|精度", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\]]{0,300})\]\([^)]{0,300}\)")
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.\d{1,20})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """The averages that a row prints; there is one at least.

    Attributes:
        line: of the card.
        label: what sets the row apart from the others of its model.
        printed: the text of each figure by what it averages: `ALL`, `TYPES` or a type of task.
        counts: how many tasks the heading of a figure says there are, where it says so.
    """

    line: int
    label: str
    printed: Mapping[str, str]
    counts: Mapping[str, int]

    @property
    def unit(self) -> float:
        """What turns the figures into percent: 100 where all of them are at most 1."""
        return 100.0 if all(abs(float(text)) <= 1 for text in self.printed.values()) else 1.0

    def value(self, kind: str) -> float:
        """The figure in percent."""
        return float(self.printed[kind]) * self.unit

    def agrees(self, kind: str, percent: float) -> bool:
        """Whether the figure may stand for that value.

        It may be off by less than one unit of the row's last decimal: some cards round down, others twice. A
        figure of one decimal less may be rounded to that.
        """
        off = abs(self.value(kind) - percent) - 1e-9
        decimals = max(_decimals(text) for text in self.printed.values())
        shorter = 0 < _decimals(self.printed[kind]) == decimals - 1
        return off < self.unit * 10.0**-decimals * (5 if shorter else 1)

    def text(self, percent: float) -> str:
        """A value as the row would print it."""
        return f"{percent / self.unit:.{4 if self.unit > 1 else 2}f}"


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def average_columns(table: Table) -> dict[int, str]:
    """What each column that holds averages holds; empty for a table of other things."""
    columns = {at: kind for at, text in enumerate(table.heading) if (kind := heading_kind(text))}
    # An average that stands alone may be one of milliseconds, unless it says over how many tasks.
    return columns if len(columns) > 1 or any(_COUNT.search(table.heading[at]) for at in columns) else {}


def heading_kind(text: str) -> str:
    """What stands below a heading: `ALL`, `TYPES` or the averages of a type of task; else empty."""
    for part in (text, _BRACKETS.sub("", plain(text))):
        letters = "".join(filter(str.isalpha, part)).casefold()
        if letters in _KINDS:
            return _KINDS[letters]
    return ""


def upright(table: Table) -> Table:
    """The table with a column for each kind of average: turned where it has a row for each."""
    if average_columns(table) or sum(bool(heading_kind(row[0])) for row in table.rows) < 2:
        return table
    turned = tuple(zip(table.heading, *table.rows, strict=True))
    return Table(table.line, turned[0], turned[1:], (table.line,) * (len(turned) - 1))


def own_rows(card: Card, entry: Entry, table: Table) -> list[int]:
    """Numbers of the rows that are about the model of an index."""
    named = next((at for at, text in enumerate(table.heading) if _MODEL_HEADING.search(text)), 0)
    names = {_key(entry.model), _key(card.path.absolute().parent.name)} - {""}
    known = find_model(entry.model)
    found = [
        at
        for at, row in enumerate(table.rows)
        if _key(row[named]) in names or (known is not None and find_model(row[named]) is known)
    ]
    if found or len(card.entries) > 1 or _MODEL_HEADING.search(table.heading[named]):
        return found
    # A table of the settings of one model needs no column for its name.
    return list(range(len(table.rows))) if _SETTING_HEADING.search(table.heading[0]) else []


def printed_rows(table: Table, rows: list[int]) -> list[Row]:
    """The averages of those rows of a table that have any."""
    columns = average_columns(table)
    counts = {
        kind: int(found[1]) for at, kind in columns.items() if (found := _COUNT.search(table.heading[at]))
    }
    made = []
    for number in rows:
        cells = {kind: plain(table.rows[number][at]) for at, kind in columns.items()}
        printed = {kind: text for kind, text in cells.items() if _NUMBER.fullmatch(text)}
        if printed:
            made.append(Row(table.lines[number], _label(table, rows, number, columns), printed, counts))
    return made


def find_model(cell: str) -> Known | None:
    """The known model that a cell names, with or without its owner."""
    return find(plain(cell)) or find(plain(cell).rpartition("/")[2])


def plain(cell: str) -> str:
    """A cell without links, emphasis and the signs of footnotes."""
    return _LINK.sub(r"\1", cell).strip(" *_`~†‡%")


def _label(table: Table, rows: list[int], number: int, columns: Mapping[int, str]) -> str:
    row = table.rows[number]
    differing = [
        plain(cell)
        for at, cell in enumerate(row)
        if at not in columns and any(table.rows[other][at] != cell for other in rows)
    ]
    return ", ".join(differing) or plain(row[0])


def _key(name: str) -> str:
    """A name without its owner and what stands in brackets, in letters and digits alone."""
    bare = _BRACKETS.sub("", plain(name)).rpartition("/")[2]
    return "".join(filter(str.isalnum, bare)).casefold()
