"""`yuyi data`: training pairs out of documents."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yuyi.cli.options import JsonOption, QuietOption
from yuyi.errors import InputError
from yuyi.progress import progress

if TYPE_CHECKING:
    from yuyi.data.prepare import Report

app = typer.Typer(
    no_args_is_help=True, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]}
)


@app.callback()
def _data() -> None:
    """Make training pairs from documents."""


@app.command()
def pairs(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...", help="Folders, text or Markdown files, Parquet of documents or pairs."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The Parquet file that the pairs go to.")
    ],
    rules: Annotated[
        str | None,
        typer.Option(
            "--rules", metavar="NAMES", help="Rules to use, with commas between. Default: all of them."
        ),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            "--eval", metavar="FOLDER", help="Leave out what equals or resembles texts of these files."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Processes; one a core if not given.")
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make training pairs: a text that asks, and a text that answers.

    \b
      title_lead       a title, and the first text under it
      path_section     a heading, and the text under it
      question_answer  a heading that asks, or a text marked Q: or 问：, and the answer
      neighbours       a paragraph, and the next one

    Ready pairs (a Parquet file with text_a and text_b) are passed on cleaned. Equal pairs are kept once. A
    report of what was kept and dropped is written beside the output.

    \b
    Examples:
      yuyi data pairs docs/ -o pairs.parquet
      yuyi data pairs manual.md faq.txt -o pairs.parquet --rules title_lead,question_answer
      yuyi data pairs documents.parquet judged.parquet -o pairs.parquet --eval evaluation/
    """
    from yuyi.extras import require

    require("data")
    from yuyi.data.pairs import RULES
    from yuyi.data.prepare import prepare
    from yuyi.data.sources import holds_pairs, inputs_below

    if out.suffix.lower() != ".parquet":
        raise InputError(f"{out}: pairs are written as Parquet. Give a name that ends in .parquet.")
    names = (
        tuple(RULES) if rules is None else tuple(name.strip() for name in rules.split(",") if name.strip())
    )
    inputs = [found for path in paths for found in inputs_below(path)]
    pair_files = [path for path in inputs if path.is_file() and holds_pairs(path)]
    documents = [path for path in inputs if path not in pair_files]
    with progress("reading", shown=False if quiet else None) as done:
        report = prepare(
            documents, pair_files, out, rules=names, evaluation=evaluation, workers=workers, on_done=done
        )
    if as_json:
        typer.echo(json.dumps(asdict(report), ensure_ascii=False))
    elif not quiet:
        _print_table(out, report)


def _print_table(out: Path, report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("source", overflow="fold")
    table.add_column("kept", justify="right", no_wrap=True)
    table.add_column("of these", overflow="fold")
    table.add_column("dropped", overflow="fold")
    for source in sorted({*report.kept, *report.dropped}):
        kept, dropped = report.kept.get(source, {}), report.dropped.get(source, {})
        table.add_row(Text(source), f"{sum(kept.values()):,}", _counts(kept), _counts(dropped))
    console = Console(highlight=False)
    console.print(table)
    console.print(Text(f"{report.rows:,} pairs in {out}"))


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
