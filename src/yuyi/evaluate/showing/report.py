"""Tables of scores x 100, for the terminal and in Markdown: a line a task, a column a model and setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len

from yuyi.evaluate.comparing.columns import columns
from yuyi.evaluate.comparing.sheet import lay_out
from yuyi.evaluate.showing.setting_line import setting_line, shared_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from yuyi.evaluate.comparing.domain import Trained
    from yuyi.evaluate.comparing.sheet import Line, Sheet
    from yuyi.evaluate.results import Result

# Tables are made for so many characters; names of tasks longer than the second take several lines.
_WIDTH, _LONGEST = 80, 36
_MODEL = "model"
_METRICS = {
    "cosine_spearman": "Spearman",
    "spearman": "Spearman",
    "cosine_ap": "AP",
    "similarity_ap": "AP",
    "max_ap": "best AP",
    "cosine_accuracy": "accuracy",
    "max_accuracy": "best acc.",
    "v_measure": "V-measure",
    "map_at_1000": "MAP",
}
_RANKED = {"ndcg": "nDCG", "map": "MAP", "mrr": "MRR"}


def table(results: Sequence[Result], trained: Mapping[str, Trained] | None = None) -> RenderableType:
    """A table for the terminal; several, one below the other, where there are many columns.

    Args:
        results: of any models and settings.
        trained: what models were trained on, by their names.

    Raises:
        InputError: there are no results, or a task was judged on several data.
    """
    return sheet_table(lay_out(columns(results), trained))


def markdown(results: Sequence[Result], trained: Mapping[str, Trained] | None = None) -> str:
    """The same table in Markdown, ending in a newline.

    Raises:
        InputError: there are no results, or a task was judged on several data.
    """
    return sheet_markdown(lay_out(columns(results), trained))


def sheet_table(sheet: Sheet) -> RenderableType:
    """The table of a sheet for the terminal; several where 80 characters do not hold all columns.

    Below stands what all columns have in common and is not the usual, such as cut vectors.
    """
    from rich.console import Group
    from rich.text import Text

    tables: list[RenderableType] = []
    for places in _parts(sheet):
        tables += [""] if tables else []
        tables.append(_part(sheet, places))
    if shared := shared_settings(sheet):
        tables += ["", Text(shared, style="dim")]
    return Group(*tables)


def sheet_markdown(sheet: Sheet) -> str:
    """The table of a sheet in Markdown, and how each column was made, ending in a newline."""
    labels = ["<br>".join(column.parts) for column in sheet.columns]
    heading = ["task", "metric", *map(_escaped, labels)]
    lines = [heading, ["---", "---", *("---:" for _ in sheet.columns)]]
    for section in sheet.sections:
        lines.append([f"**{section.type}**", *("" for _ in heading[1:])])
        lines += [_cells(line, metric_name(line.metric)) for line in section.lines]
        if len(section.lines) > 1:
            lines.append([f"*{cell}*" if cell else "" for cell in _cells(section.mean, "")])
    lines.append(["**averages**", *("" for _ in heading[1:])])
    lines += [
        _cells(line, f"pairs: {metric_name(line.metric)}" if line.metric else "") for line in sheet.averages
    ]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    made = "".join(f"\n{_escaped(setting_line(column))}\n" for column in sheet.columns if column.results)
    sources = "".join(f"\n{column.name}: {column.source}.\n" for column in sheet.columns if column.source)
    return text + made + sources


def metric_name(metric: str) -> str:
    """A metric as people write it, such as nDCG@10; mteb's own name where nobody does."""
    name, at, cutoff = metric.partition("_at_")
    return _METRICS.get(metric) or (f"{_RANKED.get(name, name)}@{cutoff}" if at else metric)


def cell(value: float | None, note: str = "") -> str:
    """A score with two decimals and what is noted beside it; a dash where there is neither."""
    return " ".join(filter(None, [f"{value:.2f}" if value is not None else "", note])) or "–"


def _parts(sheet: Sheet) -> list[list[int]]:
    """The places of columns that stand in one table: as many as fit, one at least."""
    parts: list[list[int]] = []
    for place in range(len(sheet.columns)):
        if parts and _width(sheet, [*parts[-1], place]) <= _WIDTH:
            parts[-1].append(place)
        else:
            parts.append([place])
    return parts


def _width(sheet: Sheet, places: Sequence[int]) -> int:
    """Characters that a table of these columns takes."""
    lines = [line for section in sheet.sections for line in (*section.lines, section.mean)]
    names = [f"  {line.name}" for line in lines] + [_average_name(line) for line in sheet.averages]
    title = max(len(f"{section.type} · {metric_name(section.lines[0].metric)}") for section in sheet.sections)
    headings = _headings(sheet, places)
    across = 0
    for place in places:
        label = sheet.columns[place].label
        cells = [cell(line.values[place], line.notes[place]) for line in (*lines, *sheet.averages)]
        across += 1 + max(map(cell_len, [*cells, *(label.get(name, "") for name in headings)]))
    return max(title, min(max(map(cell_len, names)), _LONGEST)) + across


def _headings(sheet: Sheet, places: Sequence[int]) -> list[str]:
    """What the labels of these columns tell; a model that all of them share is the table's title."""
    models = {sheet.columns[place].label.get(_MODEL) for place in places}
    told = {heading for place in places for heading in sheet.columns[place].label}
    if len(models) == 1 and len(told) > 1:
        told -= {_MODEL}
    return [heading for heading in sheet.headings if heading in told]


def _average_name(line: Line) -> str:
    return f"{line.name}, {metric_name(line.metric)}" if line.metric else line.name


def _part(sheet: Sheet, places: Sequence[int]) -> Table:
    """The table of some of the columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    headings = _headings(sheet, places)
    title = "" if _MODEL in headings else sheet.columns[places[0]].label.get(_MODEL, "")
    found = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, 1))
    found.title, found.title_style, found.title_justify = Text(title) if title else None, "bold", "left"
    found.add_column(Text("\n".join(headings), style="dim not bold"), overflow="fold")
    for place in places:
        label = sheet.columns[place].label
        found.add_column(Text("\n".join(label.get(name, "") for name in headings)), justify="right")

    def add(name: str, line: Line, style: str = "") -> None:
        cells = [cell(line.values[place], line.notes[place]) for place in places]
        found.add_row(Text(name), *cells, style=style)

    for section in sheet.sections:
        metrics = {metric_name(line.metric) for line in section.lines}
        shared = f" · {metrics.pop()}" if len(metrics) == 1 else ""
        found.add_row(Text.assemble((section.type, "bold"), (shared, "dim")))
        for line in section.lines:
            add(f"  {line.name}{'' if shared else f', {metric_name(line.metric)}'}", line)
        if len(section.lines) > 1:
            add(f"  {section.mean.name}", section.mean, "italic")
    found.add_section()
    for line in sheet.averages:
        add(_average_name(line), line)
    return found


def _cells(line: Line, metric: str) -> list[str]:
    return [_escaped(line.name), metric, *map(cell, line.values, line.notes)]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
