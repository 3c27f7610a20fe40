"""Differences of two columns on a page: a tick for each task, and the interval it lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.evaluate.showing.charts import interval
from yuyi.evaluate.showing.differences import last_cells, row_name, signed, verdict, verdict_in_chinese
from yuyi.evaluate.showing.report import metric_name
from yuyi.page import head, safe

if TYPE_CHECKING:
    from yuyi.evaluate.comparing.compare import Change, Comparison


def difference(found: Comparison) -> str:
    """A table with a row for each shared task, the means of types, and the mean of all."""
    largest = max(abs(end) for each in (*found.tasks, *found.types, found.overall) for end in _reach(each))
    rows = [_row(each, largest, "", published=bool(found.first.source)) for each in found.tasks]
    rows += [_row(each, largest, "mean", published=bool(found.first.source)) for each in found.types]
    rows.append(_row(found.overall, largest, "total", published=bool(found.first.source)))
    last = (
        [("our test data <i>测试数据</i>", "num")]
        if found.first.source
        else [("95 % interval <i>区间</i>", "num"), ("p", "num"), ("over <i>样本</i>", "num over")]
    )
    first = head(("task <i>任务</i>", ""), ("", "wide"), ("difference <i>差异</i>", "num"), *last)
    return (
        f'<div class="card"><h3>{safe(found.other.name)} <i>less 减去</i> {safe(found.first.name)}</h3>'
        f'<p>{safe(verdict(found), 400)} <span lang="zh">{safe(verdict_in_chinese(found), 400)}</span></p>'
        f'<table class="differences">{first}{"".join(rows)}</table></div>'
    )


def _reach(each: Change) -> tuple[float, ...]:
    """How far a row reaches on the axis."""
    ends = (100 * each.interval.low, 100 * each.interval.high) if each.interval else ()
    return (each.value, *ends)


def _row(each: Change, largest: float, kind: str, *, published: bool) -> str:
    known = each.interval
    ends = (100 * known.low, 100 * known.high) if known else None
    metric = f' <span class="dim">{safe(metric_name(each.metric))}</span>' if each.metric else ""
    chart = interval(each.value, ends, largest, real=bool(known and known.real and not each.by))
    texts = last_cells(each, published=published)
    last = "".join(f'<td class="num dim">{safe(text)}</td>' for text in texts)
    if not published:
        over = f"{known.n:,} {each.of}".strip() if known else "–"
        last += f'<td class="num dim over">{safe(over)}</td>'
    return (
        f'<tr class="{kind}"><td class="name">{safe(row_name(each))}{metric}</td>'
        f'<td class="wide">{chart}</td><td class="num">{signed(each.value)}</td>{last}</tr>'
    )
