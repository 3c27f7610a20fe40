"""The verbs of `yuyi data` that only show: report, sample, trace."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yuyi.cli.options import JsonOption, QuietOption

if TYPE_CHECKING:
    from rich.console import Console

    from yuyi.data.showing.statistics import Statistics, Tally
    from yuyi.data.showing.trace import Sample, Span

FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The folder that `extract` made.", show_default=False)
]

# Characters of a side that `sample` shows.
_SHOWN = 300


def report(
    folder: FolderArgument,
    images: Annotated[bool, typer.Option("--png", help="Write the charts as PNG files, too.")] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print what was made and what was marked, and write a page with charts and examples.

    \b
    Example:
      yuyi data report pairs/      # then open pairs/report.html
    """
    from yuyi.extras import require

    require("data")
    from yuyi.data.folder import DataFolder
    from yuyi.data.showing.charts import write_charts
    from yuyi.data.showing.report import write_report
    from yuyi.data.showing.statistics import find_statistics

    where = DataFolder(folder)
    found = find_statistics(where)
    written = [write_report(where, found), *(write_charts(where, found) if images else ())]
    if as_json:
        typer.echo(json.dumps(_figures(found), ensure_ascii=False))
    elif not quiet:
        _print_tallies("source", found.sources)
        _print_tallies("rule", found.rules)
        _print_reasons(found)
    if not as_json:
        for path in written:
            typer.echo(path)


def sample(
    folder: FolderArgument,
    n: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 5,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="NAME", help="Only pairs of this rule; may be repeated."),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="NAME", help="Only of this source; may be repeated."),
    ] = None,
    reasons: Annotated[
        list[str] | None,
        typer.Option("--reason", metavar="NAME", help="Pairs marked for this, instead of kept ones."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another number draws others.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Print pairs drawn at random, with where they came from.

    \b
    Examples:
      yuyi data sample pairs/ -n 20 --rule question_answer
      yuyi data sample pairs/ --reason "near duplicate"
    """
    from yuyi.extras import require

    require("data")
    from yuyi.data.folder import DataFolder
    from yuyi.data.showing.trace import sample as draw

    found = draw(DataFolder(folder), n, seed, kinds or (), sources or (), reasons or ())
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False))
        return
    console = _console()
    for each in found:
        _print_sample(console, each, _SHOWN)
        console.print()


def trace(
    folder: FolderArgument,
    pair_id: Annotated[str, typer.Argument(metavar="PAIR_ID", help="As `sample` and the report show it.")],
    as_json: JsonOption = False,
) -> None:
    """Print the document and the span that a pair came from, its marks and its negatives.

    \b
    Example:
      yuyi data trace pairs/ 1f0c2ab94d3e5a67
    """
    from yuyi.extras import require

    require("data")
    from yuyi.data.folder import DataFolder
    from yuyi.data.showing.trace import trace as find

    found = find(DataFolder(folder), pair_id)
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False))
        return
    console = _console()
    _print_sample(console, found.sample, None)
    for side, span in (("text_a", found.text_a), ("text_b", found.text_b)):
        if span is not None:
            _print_span(console, side, span)
    for negative in found.negatives:
        _print(console, "negative  ", "magenta", negative)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _print(console: Console, label: str, style: str, text: str) -> None:
    """A label and a text that may hold anything, also what looks like markup or a terminal's orders."""
    from rich.control import strip_control_codes
    from rich.text import Text

    console.print(Text.assemble((label, style), strip_control_codes(text)))


def _print_sample(console: Console, found: Sample, most: int | None) -> None:
    pair = found.pair
    label = "" if pair.label is None else f"  label {pair.label:g}"
    place = f"  {pair.source}/{pair.doc_id}" if pair.doc_id else f"  {pair.source}"
    _print(console, pair.pair_id, "bold", f"  {pair.kind}  {pair.lang}{label}{place}")
    for name, text in (("a  ", pair.text_a), ("b  ", pair.text_b)):
        _print(console, name, "cyan", text if most is None or len(text) <= most else f"{text[:most]} …")
    for mark in found.marks:
        note = f" ({mark.note})" if mark.note else ""
        _print(console, "marked  ", "yellow", f"{mark.reason} {mark.value:g}{note}")


def _print_span(console: Console, side: str, span: Span) -> None:
    from rich.control import strip_control_codes
    from rich.text import Text

    where = f"{span.source}/{span.doc_id} ({span.lang})"
    if not span.text:
        _print(console, f"\n{side}  ", "bold", f"{where}, put together from several places")
        return
    _print(console, f"\n{side}  ", "bold", f"{where}, characters {span.start} to {span.end}")
    if span.headings:
        _print(console, "under  ", "dim", " > ".join(span.headings))
    before, inside, after = (strip_control_codes(part) for part in (span.before, span.text, span.after))
    console.print(Text.assemble((f"…{before}", "dim"), "▶", (inside, "green"), "◀", (f"{after}…", "dim")))


def _print_tallies(what: str, tallies: dict[str, Tally]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(what, overflow="fold")
    for name in ("made", "kept", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, tally in tallies.items():
        share = f"{100 * tally.kept / tally.made:.0f} %" if tally.made else ""
        table.add_row(Text(name), f"{tally.made:,}", f"{tally.kept:,}", share)
    _console().print(table, "")


def _print_reasons(found: Statistics) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("reason", overflow="fold")
    table.add_column("pairs", justify="right", no_wrap=True)
    table.add_column("this alone", justify="right", no_wrap=True)
    for figures in found.reasons:
        table.add_row(Text(figures.reason), f"{figures.pairs:,}", f"{figures.alone:,}")
    console = _console()
    console.print(table)
    console.print(f"\n{found.pairs.kept:,} of {found.pairs.made:,} pairs are kept.")


def _figures(found: Statistics) -> dict[str, object]:
    return {
        "pairs": asdict(found.pairs),
        "sources": {name: asdict(tally) for name, tally in found.sources.items()},
        "rules": {name: asdict(tally) for name, tally in found.rules.items()},
        "reasons": {each.reason: {"pairs": each.pairs, "alone": each.alone} for each in found.reasons},
    }
