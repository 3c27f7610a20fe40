"""`yuyi evaluate`: mteb's scores of a model on local labelled files."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yuyi.evaluate import Report

# Shorter than mteb's names, so that three dimensions fit into 80 columns.
_METRICS = {"spearman": "Spearman", "similarity_ap": "AP", "ndcg_at_10": "nDCG@10"}


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="Folder of Parquet files with labelled texts.")],
    model: Annotated[
        str | None, typer.Argument(help="Name or folder of a model; the embedded one if left out.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Score this set only; give it again for more.")
    ] = None,
    dim: Annotated[
        str | None,
        typer.Option(
            "--dim", help="Cut vectors to these lengths, such as 256,128,64. Default: their full length."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write the report here: .json or .md. An older report is replaced."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Score a model on labelled files, with mteb's own metrics and without any network.

    What a file measures follows from its columns:

    \b
      sentence1, sentence2, score     similarity: Spearman correlation of the cosine
      sentence1, sentence2, label     same or different: average precision
      text, label, split              classification: accuracy
      sentence1, sentence2            translations: how many find their partner
      NAME.queries, .corpus, .qrels   three files for retrieval: nDCG@10

    Scores are shown x 100. The report also keeps the model's fingerprint, the versions and the SHA-256 of
    every file.

    \b
    Examples:
      yuyi evaluate --data eval
      yuyi evaluate my-model --data eval --task STS13 --dim 256,64
      yuyi evaluate --data eval -o scores.json
    """
    import yuyi
    from yuyi.artifacts import publish_file
    from yuyi.evaluate import evaluate as score

    dims = None if dim is None else _parse_dims(dim)
    if output and output.suffix not in {".json", ".md"}:
        raise InputError(f"{output}: a report ends in .json or .md. Name it so.")
    encoder = yuyi.load(model)
    # The place is tried before the work begins; the report appears in it only when it is whole.
    with publish_file(output) if output else nullcontext() as temporary:
        with _progress(shown=not quiet and sys.stderr.isatty()) as progress:
            report = score(encoder, data, task, dims, on_set=progress)
        if temporary:
            text = report.to_markdown() if output and output.suffix == ".md" else report.to_json()
            temporary.write_text(text, encoding="utf-8")
    if as_json:
        typer.echo(report.to_json(), nl=False)
    else:
        _print_table(report)


def _parse_dims(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"--dim {text}: not a list of whole numbers. Write it as 256,128,64.") from error


@contextmanager
def _progress(shown: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A function to call before each set; it moves a bar on standard error, which is gone at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    # The stream is named because scoring redirects standard error while the bar is moving.
    with Progress(*columns, console=Console(file=sys.stderr), transient=True, disable=not shown) as bars:
        bar = bars.add_task("reading", total=None)
        yield lambda name, place, total: bars.update(bar, description=name, completed=place, total=total)


def _print_table(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    dims = sorted({score.dim for score in report.scores}, reverse=True)
    columns = [report.values(dim) for dim in dims]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("set", "task", "metric"):
        table.add_column(name, overflow="fold")
    for dim in dims:
        table.add_column(str(dim), justify="right", no_wrap=True)
    for score in report.scores:
        if score.dim == dims[0]:
            cells = [f"{column[score.set]:.2f}" for column in columns]
            table.add_row(score.set, score.task, _METRICS.get(score.metric, score.metric), *cells)
    console = Console()
    console.print(table)
    model = report.model
    console.print(f"{model['name']} · {str(model['fingerprint'])[:12]} · {report.seconds:.0f} s", style="dim")
