"""The tables of `yuyi train plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from yuyi.cli.train_view import clock

if TYPE_CHECKING:
    from yuyi.train.planning.plan import Plan


def print_plan(name: str, plan: Plan) -> None:
    """Print what a run would take: the model, its data, its steps, memory and time."""
    console = Console(highlight=False)
    for title, table in (
        (f"Model {name}", _model(plan)),
        ("Data", _data(plan)),
        ("Steps", _steps(plan)),
        ("Memory of each device, about, at the worst moment", _memory(plan)),
    ):
        if table.row_count:
            console.print(title, style="bold")
            console.print(table)
            console.print()
    seconds = sum(plan.estimate.seconds.values())
    console.print(
        f"Time on {plan.ranks} x {plan.device}: about {clock(seconds)} "
        f"({plan.speed.flops / 1e9:,.0f} Gflop/s measured; checkpoints, probes and reading not counted)"
    )


def _table(*columns: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", header_style="dim")
    return table


def _model(plan: Plan) -> Table:
    table = _table("part", "parameters")
    for part, count in plan.estimate.parameters.items():
        table.add_row(part, f"{count:,}")
    table.add_row("together", f"{sum(plan.estimate.parameters.values()):,}", style="bold")
    return table


def _data(plan: Plan) -> Table:
    table = _table("source", "rows", "tokens asking", "answering", "with negatives")
    for each in plan.found:
        asking, answering = plan.tokens[each.name, each.kind]
        share = each.with_negatives / each.rows
        table.add_row(
            f"{each.name} ({each.kind})",
            f"{each.rows:,}",
            f"{asking:.0f}",
            f"{answering:.0f}",
            f"{share:.0%}",
        )
    rows, tokens = plan.documents
    if rows:
        table.add_row("documents, in rows", f"{rows:,}", f"{tokens / rows:.0f}")
    return table


def _steps(plan: Plan) -> Table:
    table = _table("task", "share", "batch", "steps/epoch", "epochs", "tokens/step", "s/step")
    for task in plan.estimate.tasks:
        table.add_row(
            f"{task.stage} {task.objective}",
            f"{task.share:.0%}",
            f"{task.batch:,}",
            f"{task.epoch:,}",
            f"{task.times:,.1f}",
            f"{task.tokens:,}",
            f"{task.seconds:.3g}",
        )
    for stage, seconds in plan.estimate.seconds.items():
        table.add_row(f"{stage} in all", "", "", "", "", "", clock(seconds), style="bold")
    return table


def _memory(plan: Plan) -> Table:
    table = _table("what", "MiB")
    for what, size in plan.estimate.memory.items():
        table.add_row(what, _mebibytes(size))
    table.add_row("together", _mebibytes(sum(plan.estimate.memory.values())), style="bold")
    return table


def _mebibytes(size: int) -> str:
    number = size / 2**20
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"
