"""Scores on a page of HTML that stands alone, with charts: how well models do, and how far they differ."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.artifacts import hash_json
from yuyi.evaluate.comparing.columns import columns
from yuyi.evaluate.comparing.sheet import lay_out
from yuyi.evaluate.showing import charts
from yuyi.evaluate.showing.page_differences import difference
from yuyi.evaluate.showing.page_facts import data, reproduce, settings, training, versions
from yuyi.evaluate.showing.report import cell, metric_name
from yuyi.evaluate.type_names import CHINESE
from yuyi.page import Section, head, safe
from yuyi.page import page as whole
from yuyi.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from yuyi.evaluate.comparing.columns import Column
    from yuyi.evaluate.comparing.compare import Comparison
    from yuyi.evaluate.comparing.domain import Trained
    from yuyi.evaluate.comparing.sheet import Line, Sheet
    from yuyi.evaluate.comparing.sheet import Section as Tasks
    from yuyi.evaluate.results import Result

# So many columns have a tile of their own at the top.
_TILES = 6


def page(
    results: Sequence[Result],
    comparisons: Sequence[Comparison] = (),
    trained: Mapping[str, Trained] | None = None,
) -> str:
    """The whole page.

    Args:
        results: of any models and settings.
        comparisons: of their columns, and with published figures.
        trained: what models were trained on, by their names.

    Raises:
        InputError: there are no results, or a task was judged on several data.
    """
    published = {each.first.name: each.first for each in comparisons if each.first.source}
    return sheet_page(lay_out([*columns(results), *published.values()], trained), comparisons, trained)


def sheet_page(
    sheet: Sheet, comparisons: Sequence[Comparison] = (), trained: Mapping[str, Trained] | None = None
) -> str:
    """The page of a sheet."""
    models = list(dict.fromkeys(column.model for column in sheet.columns if column.results))
    sections = [
        Section("types", "By type", "分类型得分", _types(sheet)),
        Section("dimensions", "Dimensions", "向量维度", _dimensions(sheet)),
        Section("differences", "Differences", "差异", _differences(comparisons)),
        Section("tasks", "Tasks", "各任务得分", _tasks(sheet)),
        Section("training", "Training data", "训练数据", training(sheet, trained or {})),
        Section("settings", "Settings", "设置", settings(sheet.columns)),
        Section("data", "Test data", "测试数据", data(sheet)),
        Section("versions", "Versions", "版本", versions(sheet.columns)),
        Section("reproduce", "How to reproduce", "复现", reproduce(sheet.columns)),
    ]
    return whole(
        ", ".join(models),
        "Scores × 100, by mteb's own tasks and metrics. "
        '<span lang="zh">得分均乘以 100，任务与指标均出自 mteb。</span>',
        _tiles(sheet),
        sections,
        style=Path(__file__).with_name("page.css").read_text("utf-8"),
        footer=f"yuyi {__version__}",
    )


def _tiles(sheet: Sheet) -> str:
    """The mean over all tasks, for the first columns."""
    overall, *others = sheet.averages
    tiles = []
    for place, column in enumerate(sheet.columns[:_TILES]):
        named = [
            f"{safe(line.name)} {cell(line.values[place])}"
            for line in others
            if line.metric and line.values[place] is not None
        ]
        tiles.append(
            f'<div class="tile {"main" if place == 0 else ""}">{safe(column.name)}'
            f"<b>{cell(overall.values[place])}</b>"
            f"<small>{'<br>'.join([safe(overall.name), *named])}</small></div>"
        )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _key(shown: Sequence[Column]) -> str:
    """Which colour is which column; nothing for one alone."""
    if len(shown) < 2:
        return ""
    names = "".join(
        f'<span class="c{place % charts.COLOURS}">{safe(column.name)}</span>'
        for place, column in enumerate(shown)
    )
    return f'<div class="key">{names}</div>'


def _types(sheet: Sheet) -> str:
    """A bar for each type and column, and for all tasks."""
    groups = [(_type_name(section), section.mean) for section in sheet.sections]
    if len(groups) > 1:
        groups.append(('all tasks <span class="dim" lang="zh">全部</span>', sheet.averages[0]))
    rows = []
    for name, line in groups:
        shown = [(place, value) for place, value in enumerate(line.values) if value is not None]
        for number, (place, value) in enumerate(shown):
            ends = "first " * (number == 0) + "last" * (number == len(shown) - 1)
            title = (
                f'<td class="name" rowspan="{len(shown)}">{name}<br><span class="dim">{safe(line.name)}'
                "</span></td>"
                if number == 0
                else ""
            )
            rows.append(
                f'<tr class="{ends}" title="{safe(sheet.columns[place].name)}">{title}'
                f'<td class="wide">{charts.bar(value, place)}</td><td class="num">{value:.2f}</td></tr>'
            )
    return f'<div class="card">{_key(sheet.columns)}<table class="bars">{"".join(rows)}</table></div>'


def _type_name(section: Tasks) -> str:
    chinese = CHINESE.get(section.type, "")
    return f'{safe(section.type)} <span class="dim" lang="zh">{chinese}</span>'


def _dimensions(sheet: Sheet) -> str:
    """Scores against the dimension, for models that were cut to several; a chart for each type."""
    groups = _cut(sheet.columns)
    if not groups:
        return ""
    means = [(section.type, section.mean) for section in sheet.sections]
    if len(means) > 1:
        means.append(("all tasks", sheet.averages[0]))
    figures = []
    for title, mean in means:
        lines = {
            name: {
                sheet.columns[place].first.setting.dim: value
                for place in places
                if (value := mean.values[place]) is not None
            }
            for name, places in groups.items()
        }
        lines = {name: line for name, line in lines.items() if len(line) > 1}
        if lines:
            order = [list(groups).index(name) for name in lines]
            figures.append(charts.over_dimensions(title, mean.name, lines, order))
    names = "".join(
        f'<span class="c{place % charts.COLOURS}">{safe(name)}</span>' for place, name in enumerate(groups)
    )
    key = f'<div class="key">{names}</div>' if len(groups) > 1 else ""
    note = (
        "<p>Each chart has an axis of its own, from just below its lowest score to just above its highest. "
        '<span lang="zh">各图纵轴不同，范围随各自的得分而定。</span></p>'
    )
    return f'<div class="card">{note}{key}<div class="panels">{"".join(figures)}</div></div>'


def _cut(shown: Sequence[Column]) -> dict[str, list[int]]:
    """Places of columns that differ in nothing but the dimension, by what else their label says."""
    groups: dict[str, list[int]] = {}
    for place, column in enumerate(shown):
        if column.results:
            model, setting = column.first.model, column.first.setting
            values = [getattr(setting, name) for name in setting.__slots__ if name not in ("dim", "prompts")]
            key = hash_json([model.name, model.fingerprint, values, dict(setting.prompts)])
            groups.setdefault(key, []).append(place)
    named = {}
    for places in groups.values():
        if len(places) > 1:
            parts = [
                part
                for heading, part in zip(shown[places[0]].label, shown[places[0]].parts, strict=True)
                if heading != "dimension"
            ]
            named[" · ".join(parts) or shown[places[0]].model] = places
    return named


def _differences(comparisons: Sequence[Comparison]) -> str:
    """All comparisons, below what they are."""
    about = (
        "<p>Score of the one less that of the other, in percent points. –: no examples, so no interval. "
        '<span lang="zh">前者得分减后者得分，单位为百分点；– 表示缺少逐例结果，没有区间。</span></p>'
    )
    return about + "".join(map(difference, comparisons)) if comparisons else ""


def _tasks(sheet: Sheet) -> str:
    """The table of all scores; the best of a line is bold."""
    rows = "".join(_rows(sheet))
    dash = (
        "<p>–: no score, or no mean because a score is missing. "
        '<span lang="zh">– 表示没有得分，或因缺少得分而没有平均值。</span></p>'
    )
    table = f'<table class="tasks">{_heading(sheet.columns)}{rows}</table>'
    return f'<div class="card">{dash if ">–<" in rows else ""}{table}</div>'


def _heading(shown: Sequence[Column]) -> str:
    """The labels, the model above its settings where columns are of several models."""
    several = [column.label.get("model", "") for column in shown]
    parts = [
        [part for part in column.parts if part != model] for column, model in zip(shown, several, strict=True)
    ]
    first = head(
        ("task <i>任务</i>", ""),
        ("metric <i>指标</i>", ""),
        *(("<br>".join(map(safe, each)), "num") for each in parts),
    )
    if not any(several):
        return first
    groups = [(model, len(list(columns))) for model, columns in groupby(several)]
    cells = "".join(f'<th class="group" colspan="{count}">{safe(model)}</th>' for model, count in groups)
    return f'<tr><th colspan="2"></th>{cells}</tr>{first if any(parts) else ""}'


def _rows(sheet: Sheet) -> Iterator[str]:
    for section in sheet.sections:
        yield f'<tr class="type"><td colspan="{2 + len(sheet.columns)}">{_type_name(section)}</td></tr>'
        for line in section.lines:
            yield _row(line, metric_name(line.metric), "")
        if len(section.lines) > 1:
            yield _row(section.mean, "", "mean")
    for line in sheet.averages:
        yield _row(line, f"pairs: {metric_name(line.metric)}" if line.metric else "", "total")


def _row(line: Line, metric: str, kind: str) -> str:
    known = [round(value, 2) for value in line.values if value is not None]
    best = max(known) if len(known) > 1 and min(known) < max(known) else None
    cells = "".join(
        f'<td class="num{" best" if value is not None and round(value, 2) == best else ""}">'
        f"{safe(cell(value, note))}</td>"
        for value, note in zip(line.values, line.notes, strict=True)
    )
    return (
        f'<tr class="{kind}"><td class="name">{safe(line.name)}</td><td class="dim">{safe(metric)}</td>'
        f"{cells}</tr>"
    )
