"""Differences of columns for the terminal, in Markdown and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from yuyi.evaluate.showing.report import metric_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from yuyi.evaluate.comparing.columns import Column
    from yuyi.evaluate.comparing.compare import Change, Comparison
    from yuyi.evaluate.comparing.domain import Trained
    from yuyi.evaluate.comparing.sheet import Line, Sheet

# A finished task is not scored again while its result is there; some tasks never have examples.
_NO_EXAMPLES = (
    " –: no examples beside the result. If it is a task that has them, remove its .json and evaluate again "
    "with --results."
)
_NO_EXAMPLES_IN_CHINESE = "–：成绩旁没有逐例结果。若该任务本应有，请删除其 .json，再用 --results 重新评测。"
_DATA = {True: "as the suite pins", False: "other", None: "–"}


def differences_table(found: Comparison) -> RenderableType:
    """A table for the terminal: a line for each shared task, the means of types, and the mean of all."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, 1))
    first, *others = _headings(found)
    shown.add_column(Text(first), overflow="fold")
    for heading in others:
        shown.add_column(Text(heading), justify="right")
    for each, cells in _lines(found):
        real = each.interval is not None and each.interval.real and not each.by
        style = ("green" if each.value > 0 else "red") if real else ""
        name, difference, *rest = cells
        shown.add_row(Text(name), Text(difference, style=style), *map(Text, rest))
    title = Text.assemble((found.other.name, "bold"), " less ", (found.first.name, "bold"))
    return Group(title, Text(verdict(found), style="dim"), shown)


def differences_markdown(found: Comparison) -> str:
    """The same table in Markdown, below a heading, ending in a newline."""
    headings = _headings(found)
    rows = [headings, ["---", *("---:" for _ in headings[1:])], *(cells for _, cells in _lines(found))]
    lines = "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)
    return f"### {found.other.name} less {found.first.name}\n\n{verdict(found)}\n\n{lines}"


def verdict(found: Comparison) -> str:
    """How many differences are beyond chance, in words."""
    if found.first.source:
        return f"Published: {found.first.source}. Without its examples no difference has an interval."
    known, better, worse = beyond_chance(found)
    missing = _NO_EXAMPLES if any(each.interval is None for each in found.tasks) else ""
    if not known:
        return "Without examples of both sides by the score shown, no difference has an interval." + missing
    return (
        f"Of {known} task{'' if known == 1 else 's'} with examples, {better} higher and {worse} lower beyond "
        "chance: the interval of a paired bootstrap over examples leaves out 0. One in twenty that are no "
        f"difference looks real.{missing}"
    )


def verdict_in_chinese(found: Comparison) -> str:
    """The same in Chinese."""
    if found.first.source:
        return f"已发表的分数，出自 {found.first.source}。没有逐例结果，差异不带区间。"
    known, better, worse = beyond_chance(found)
    missing = _NO_EXAMPLES_IN_CHINESE if any(each.interval is None for each in found.tasks) else ""
    if not known:
        return "双方没有所示指标的逐例结果，差异不带区间。" + missing
    return (
        f"{known} 个任务有逐例结果，其中 {better} 个显著更高、{worse} 个显著更低："
        "对样例做成对自助抽样，区间不含 0。实际无差异的任务，平均二十个里也会有一个看似显著。" + missing
    )


def beyond_chance(found: Comparison) -> tuple[int, int, int]:
    """How many tasks have an interval of the score shown, and how many of them are higher and lower."""
    known = [each.interval for each in found.tasks if each.interval and not each.by]
    better = sum(each.real and each.difference > 0 for each in known)
    return len(known), better, sum(each.real for each in known) - better


def signed(value: float) -> str:
    """A difference in percent points with its sign."""
    return f"{value:+.2f}".replace("-", "−") if round(value, 2) else "0.00"


def row_name(each: Change) -> str:
    """The task, or the type and the number of tasks that the mean is over."""
    return each.name if each.metric else f"{each.name}, mean of {each.tasks}"


def last_cells(each: Change, *, published: bool) -> list[str]:
    """What stands behind a difference: interval and p, or the data where figures are published."""
    if published:
        return [_DATA[each.pinned]]
    if each.interval is None:
        return ["–", "–"]
    low, high = (signed(100 * end) for end in (each.interval.low, each.interval.high))
    by = f" by {metric_name(each.by)}" if each.by else ""
    return [f"{low} to {high}{by}", f"{'≤ ' if each.interval.rarest else ''}{each.interval.p:.3f}"]


def comparison_json(
    sheet: Sheet, comparisons: Sequence[Comparison], trained: Mapping[str, Trained] | None = None
) -> str:
    """Columns, averages and differences as JSON; scores, differences and their intervals in percent."""
    record = {
        "columns": [_column(column) for column in sheet.columns],
        "averages": [_average(line) for line in sheet.averages],
        "comparisons": [
            {
                "first": each.first.name,
                "other": each.other.name,
                "tasks": list(map(_change, each.tasks)),
                "types": list(map(_change, each.types)),
                "overall": _change(each.overall),
            }
            for each in comparisons
        ],
        "trained": {
            model: {
                "sources": sorted(told.sources),
                "overlaps": {name: asdict(overlap) for name, overlap in told.overlaps.items()},
            }
            for model, told in (trained or {}).items()
        },
    }
    return json.dumps(record, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _headings(found: Comparison) -> list[str]:
    last = ["our test data"] if found.first.source else ["95 % interval", "p"]
    return ["task", "difference", *last]


def _lines(found: Comparison) -> Iterator[tuple[Change, list[str]]]:
    for each in (*found.tasks, *found.types, found.overall):
        metric = f", {metric_name(each.metric)}" if each.metric else ""
        cells = last_cells(each, published=bool(found.first.source))
        yield each, [row_name(each) + metric, signed(each.value), *cells]


def _change(change: Change) -> dict[str, Any]:
    """A change with its interval in percent, as its value is."""
    record = asdict(change)
    if change.interval:
        ends = {name: 100 * getattr(change.interval, name) for name in ("difference", "low", "high")}
        record["interval"] = {**record["interval"], **ends}
    return record


def _column(column: Column) -> dict[str, Any]:
    first = column.first if column.results else None
    return {
        "name": column.name,
        "model": asdict(first.model) if first else {"name": column.model},
        "setting": asdict(first.setting) if first else None,
        "source": column.source or None,
        "scores": {task: dict(metrics) for task, metrics in column.scores.items()},
    }


def _average(line: Line) -> dict[str, Any]:
    return {"name": line.name, "values": list(line.values), "notes": list(line.notes)}
