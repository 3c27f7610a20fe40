"""Tables of scores x 100, for the terminal and in Markdown: a line a task, a column a model and setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.evaluate.columns import columns
from yuyi.evaluate.sheet import lay_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from yuyi.evaluate.domain import Trained
    from yuyi.evaluate.results import Result
    from yuyi.evaluate.sheet import Line, Sheet

# As many columns as fit into 80 characters beside names and metrics.
_ACROSS = 6
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
    """The table of a sheet for the terminal."""
    from rich.console import Group

    count = len(sheet.columns)
    tables: list[RenderableType] = []
    for first in range(0, count, _ACROSS):
        tables += [""] if tables else []
        tables.append(_part(sheet, range(first, min(first + _ACROSS, count))))
    return Group(*tables)


def sheet_markdown(sheet: Sheet) -> str:
    """The table of a sheet in Markdown, ending in a newline."""
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
    return text + "".join(f"\n{column.name}: {column.source}.\n" for column in sheet.columns if column.source)


def metric_name(metric: str) -> str:
    """A metric as people write it, such as nDCG@10; mteb's own name where nobody does."""
    name, at, cutoff = metric.partition("_at_")
    return _METRICS.get(metric) or (f"{_RANKED.get(name, name)}@{cutoff}" if at else metric)


def cell(value: float | None, note: str = "") -> str:
    """A score with two decimals and what is noted beside it; a dash where there is neither."""
    return " ".join(filter(None, [f"{value:.2f}" if value is not None else "", note])) or "–"


def _part(sheet: Sheet, places: range) -> Table:
    """The table of some of the columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    found = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, 1))
    found.add_column(Text("\n".join(sheet.headings), style="dim not bold"), overflow="fold")
    for place in places:
        label = sheet.columns[place].label
        found.add_column(Text("\n".join(label.get(name, "") for name in sheet.headings)), justify="right")

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
        add(f"{line.name}{f', {metric_name(line.metric)}' if line.metric else ''}", line)
    return found


def _cells(line: Line, metric: str) -> list[str]:
    return [_escaped(line.name), metric, *map(cell, line.values, line.notes)]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
