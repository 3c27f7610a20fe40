"""Differences of two columns on a page: a tick for each task, and the interval it lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.evaluate.charts import interval
from yuyi.evaluate.report import metric_name
from yuyi.page import head, safe

if TYPE_CHECKING:
    from yuyi.evaluate.compare import Change, Comparison

_DATA = {True: "as the suite pins", False: "other", None: "–"}


def difference(found: Comparison) -> str:
    """A table with a row for each shared task, the means of types, and the mean of all."""
    largest = max(abs(end) for each in (*found.tasks, *found.types, found.overall) for end in _reach(each))
    rows = [_row(each, largest, "", published=bool(found.first.source)) for each in found.tasks]
    rows += [_row(each, largest, "mean", published=bool(found.first.source)) for each in found.types]
    rows.append(_row(found.overall, largest, "total", published=bool(found.first.source)))
    last = (
        [("our test data <i>测试数据</i>", "num")]
        if found.first.source
        else [("95 % interval <i>区间</i>", "num"), ("p", "num")]
    )
    first = head(("task <i>任务</i>", ""), ("", "wide"), ("difference <i>差异</i>", "num"), *last)
    return (
        f'<div class="card"><h3>{safe(found.other.name)} <i>less</i> {safe(found.first.name)}</h3>'
        f"<p>{verdict(found)}</p><table>{first}{''.join(rows)}</table></div>"
    )


def verdict(found: Comparison) -> str:
    """How many differences are beyond chance, in words."""
    known = [each.interval for each in found.tasks if each.interval]
    if found.first.source:
        return f"Published: {safe(found.first.source)}. Without its examples no difference has an interval."
    if not known:
        return "Without the examples of both sides no difference has an interval."
    better = sum(each.real and each.difference > 0 for each in known)
    worse = sum(each.real and each.difference < 0 for each in known)
    return (
        f"Of {len(known)} tasks with examples, {better} higher and {worse} lower beyond chance: the interval "
        "of a paired bootstrap over examples leaves out 0. One in twenty that are no difference looks real."
    )


def signed(value: float) -> str:
    """A difference in percent points with its sign."""
    return f"{value:+.2f}".replace("-", "−")


def _reach(each: Change) -> tuple[float, ...]:
    """How far a row reaches on the axis."""
    ends = (100 * each.interval.low, 100 * each.interval.high) if each.interval else ()
    return (each.value, *ends)


def _row(each: Change, largest: float, kind: str, *, published: bool) -> str:
    known = each.interval
    ends = (100 * known.low, 100 * known.high) if known else None
    name = f"{each.name}, mean of {each.tasks} tasks" if kind else each.name
    metric = f' <span class="dim">{safe(metric_name(each.metric))}</span>' if each.metric else ""
    chart = interval(each.value, ends, largest, real=bool(known and known.real and not each.by))
    by = f" by {metric_name(each.by)}" if each.by else ""
    last = (
        [_DATA[each.pinned]]
        if published
        else [
            f"{signed(ends[0])} to {signed(ends[1])}{by}" if ends else "–",
            f"{known.p:.3f}" if known else "–",
        ]
    )
    cells = "".join(f'<td class="num dim">{safe(text)}</td>' for text in last)
    return (
        f'<tr class="{kind}"><td class="name">{safe(name)}{metric}</td><td class="wide">{chart}</td>'
        f'<td class="num">{signed(each.value)}</td>{cells}</tr>'
    )
