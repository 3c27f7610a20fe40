"""The averages that a card prints, against those of its model-index."""

from __future__ import annotations

import re
from statistics import fmean
from typing import TYPE_CHECKING

from yuyi.evaluate.linting.card import Finding
from yuyi.evaluate.linting.index import conventions
from yuyi.evaluate.linting.tables import ALL, TYPES, average_columns, own_rows, plain, printed_rows, upright

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yuyi.evaluate.linting.card import Card, Entry, Table
    from yuyi.evaluate.linting.index import Convention
    from yuyi.evaluate.linting.tables import Row

# That the lowest of several runs is the one to believe; of scores, not of latencies.
_LOWEST = re.compile(
    r"最低[^。\n]{0,12}(?:精度|成绩|结果|得分|分数|测试|一次|一轮)|(?:精度|成绩|结果|得分|分数)[^。\n]{0,4}最低"
    r"|\b(?:lowest|worst)\b[^.\n]{0,60}\b(?:run|score|result|average|figure|setting|test)s?\b",
    re.IGNORECASE,
)
_IMPOSSIBLE = re.compile(r"nan|[+-]?inf|[+-]?\d{3,}(?:\.\d+)?", re.IGNORECASE | re.ASCII)


def check_averages(card: Card) -> Iterator[Finding]:
    """Averages in the card's tables that its model-index does not bear out."""
    entries = [entry for entry in card.entries if entry.results]
    for table in map(upright, card.tables):
        if not average_columns(table):
            continue
        yield from _check_bounds(table)
        if not entries:
            message = "averages are printed, and no model-index says of what. Add the results by task."
            yield Finding("average", "table", message, table.line)
        for entry in entries:
            rows = printed_rows(table, own_rows(card, entry, table))
            every = conventions(entry)
            if rows and every:
                yield from _check_rows(card, entry, rows, every)


def _check_bounds(table: Table) -> Iterator[Finding]:
    """Figures of any model that are no percentage."""
    for line, row in zip(table.lines, table.rows, strict=True):
        for column in average_columns(table):
            text = plain(row[column])
            if _IMPOSSIBLE.fullmatch(text) and not abs(float(text)) <= 100:
                message = (
                    f"{plain(table.heading[column])} is {text}, which no average can be. Mend the figure."
                )
                yield Finding("value", f"table, {plain(row[0])}", message, line)


def _check_rows(
    card: Card, entry: Entry, rows: Sequence[Row], every: Sequence[Convention]
) -> Iterator[Finding]:
    """Findings about one model's rows of a table; of several runs, one only need be that of the index."""
    judged = [(row, _closest(row, every)) for row in rows]
    row, convention = min(judged, key=lambda pair: len(_disagreeing(*pair)))
    told = row.counts.get(ALL)
    if told and all(convention.suite.size != told for convention in every):
        suites = dict.fromkeys(convention.suite.name for convention in every)
        message = (
            f"{row.printed.get(ALL, 'the average')} is said to be over {told} tasks; the index holds "
            f"{' and '.join(suites)}. Make both the same."
        )
        yield Finding("average", _place(entry, ALL), message, row.line)
    else:
        for kind in _disagreeing(row, convention):
            message = _explain(row, kind, convention, every)
            yield Finding("average", _place(entry, kind), message, row.line)
        yield from _check_lowest(card, entry, rows, convention)


def _check_lowest(card: Card, entry: Entry, rows: Sequence[Row], convention: Convention) -> Iterator[Finding]:
    """Whether the index holds the lowest of several runs, if the text says that it counts."""
    runs = [row for row in rows if ALL in row.printed]
    claims = ((passage, _LOWEST.search(passage.content)) for passage in card.prose)
    passage, claim = next(((passage, claim) for passage, claim in claims if claim), (None, None))
    overall = _figure(convention, ALL)
    if passage is None or claim is None or overall is None or len(runs) < 2:
        return
    lowest = min(runs, key=lambda row: row.value(ALL))
    if lowest.agrees(ALL, overall):
        return
    same = next((f", as does the run {row.label}" for row in runs if row.agrees(ALL, overall)), "")
    yield Finding(
        "lowest",
        _place(entry, ALL),
        f'"{claim[0]}", says the text, and the lowest of {len(runs)} runs is {lowest.printed[ALL]} '
        f"({lowest.label}); the index averages {lowest.text(overall)}{same}. Put the lowest run into the "
        "index, or say which run it holds.",
        passage.line_at(claim.start()),
    )


def _place(entry: Entry, kind: str) -> str:
    return f"{entry.model}, {kind}" if entry.model else kind


def _closest(row: Row, every: Sequence[Convention]) -> Convention:
    """The convention with which most figures agree; of the size that the heading tells, if any has it."""
    told = row.counts.get(ALL)
    fitting = [convention for convention in every if convention.suite.size == told] or every
    return min(fitting, key=lambda convention: len(_disagreeing(row, convention)))


def _disagreeing(row: Row, convention: Convention) -> list[str]:
    figures = {kind: _figure(convention, kind) for kind in row.printed}
    return [kind for kind, value in figures.items() if value is not None and not row.agrees(kind, value)]


def _figure(convention: Convention, kind: str) -> float | None:
    """What the index gives for a printed average, in percent; None where it has no such task."""
    by_type = convention.averages.by_type
    if kind == TYPES:
        return fmean(by_type.values())
    return convention.averages.overall if kind == ALL else by_type.get(kind)


def _explain(row: Row, kind: str, convention: Convention, every: Sequence[Convention]) -> str:
    """Both figures and, where it is known, the likely cause."""
    texts = {
        other.pair_metric: row.text(value)
        for other in every
        if other.suite is convention.suite and (value := _figure(other, kind)) is not None
    }
    recomputed = texts.pop(convention.pair_metric)
    others = [f"{text} with {metric}" for metric, text in texts.items() if text != recomputed]
    if others:
        recomputed += f" with {convention.pair_metric} ({', '.join(others)})"
    cause = _cause(row, kind, convention, every)
    return f"{row.printed[kind]} is printed, the index gives {recomputed}.{cause} Print what the index gives."


def _cause(row: Row, kind: str, convention: Convention, every: Sequence[Convention]) -> str:
    """A sentence on why the printed figure may differ, with a blank before it; empty where none is known."""
    suite = convention.suite
    counts = {name: len(tasks) for name, tasks in suite.by_type().items()}
    if kind == ALL and all(name in row.printed for name in counts):
        beside = sum(row.value(name) * count for name, count in counts.items()) / suite.size
        if row.agrees(ALL, beside):
            return " It is the mean of the averages printed beside it, so it repeats their fault."
    if kind == ALL and (value := _figure(convention, TYPES)) is not None and row.agrees(ALL, value):
        return " It is the mean over the types; the customary average is the mean over all tasks."
    for other in every:
        value = _figure(other, kind)
        if value is not None and row.agrees(kind, value):
            return f" It is the average of {other.label}."
    value, overall = _figure(convention, kind), _figure(convention, ALL)
    if value is not None and _one_digit_differs(row.printed[kind], row.text(value)):
        fits = overall is not None and ALL in row.printed and row.agrees(ALL, overall)
        return " One digit differs" + (", and the average of all tasks fits the index." if fits else ".")
    if kind in counts and row.counts.get(kind, counts[kind]) != counts[kind]:
        return f" The heading speaks of {row.counts[kind]} tasks, the index has {counts[kind]} of that type."
    return ""


def _one_digit_differs(printed: str, recomputed: str) -> bool:
    return len(printed) == len(recomputed) and sum(map(str.__ne__, printed, recomputed)) == 1
