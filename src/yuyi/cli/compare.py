"""`yuyi compare`: results side by side, and which of their differences are more than chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yuyi.cli.options import JsonOption
from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.evaluate.comparing.columns import Column
    from yuyi.evaluate.comparing.compare import Comparison
    from yuyi.evaluate.comparing.domain import Trained
    from yuyi.evaluate.comparing.sheet import Sheet

_ENDINGS = (".html", ".md", ".json")


def compare(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Folders that yuyi evaluate --results wrote.")
    ],
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against", metavar="MODEL", help="Published figures of a model, too; again for more models."
        ),
    ] = None,
    trained_on: Annotated[
        list[str] | None,
        typer.Option(
            "--trained-on",
            metavar="WHAT",
            help="Training sources: names between commas, a model folder, a data folder; MODEL=WHAT for one "
            "model of several. Again for more.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write a report here: .html, .md or .json. An older one is replaced."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show results side by side, and which differences are more than chance.

    A column is a model under one setting. Each is compared with the first on the tasks that both have, by a
    paired bootstrap over the examples of a task: its interval holds 95 of 100 draws. Published figures have
    no examples and so no intervals; a task counts as the published one where it bears its name.

    With --trained-on, averages over tasks whose data the model has seen and over the others stand apart; a
    task that lists no `sources` of its data is in neither. What `yuyi data decontaminate` found is told.

    \b
    Examples:
      yuyi compare results/
      yuyi compare before/ after/ -o difference.html
      yuyi compare results/ --against gte-small-zh --trained-on models/mine
      yuyi compare results/ --trained-on mine=afqmc_train,lcqmc_dev --json
    """
    from yuyi.artifacts import publish_file
    from yuyi.evaluate.comparing.compare import compare as find_differences
    from yuyi.evaluate.comparing.compare import open_columns
    from yuyi.evaluate.comparing.sheet import lay_out

    if output and output.suffix not in _ENDINGS:
        raise InputError(f"{output}: a report ends in .html, .md or .json. Name it so.")
    sides = open_columns(results, against or ())
    trained = _trained(trained_on or (), sides)
    comparisons = find_differences(sides)
    sheet = lay_out(sides, trained)
    if output:
        with publish_file(output) as temporary:
            temporary.write_text(_report(sheet, comparisons, trained, output.suffix), encoding="utf-8")
    if as_json:
        typer.echo(_report(sheet, comparisons, trained, ".json"), nl=False)
    elif not output:
        _print(sheet, comparisons, trained)


def _trained(places: Sequence[str], sides: Sequence[Column]) -> dict[str, Trained]:
    """What each model was trained on; a place without the name of a model is meant for all of them."""
    from yuyi.evaluate.comparing.domain import Trained, read_trained

    models = list(dict.fromkeys(column.model for column in sides if column.results))
    found: dict[str, Trained] = {}
    for place in places:
        name, sign, what = place.partition("=")
        if sign and name not in models:
            raise InputError(
                f"--trained-on {place}: no results are of {name}. They are of {', '.join(models)}."
            )
        told = read_trained(what if sign else place)
        for model in [name] if sign else models:
            found[model] = found.get(model, Trained()) | told
    return found


def _report(sheet: Sheet, comparisons: Sequence[Comparison], trained: dict[str, Trained], ending: str) -> str:
    """Everything as a page of HTML, Markdown or JSON."""
    from yuyi.evaluate.showing.differences import comparison_json, differences_markdown

    if ending == ".json":
        return comparison_json(sheet, comparisons, trained)
    if ending == ".md":
        from yuyi.evaluate.showing.report import sheet_markdown

        return "\n".join(
            [sheet_markdown(sheet), *_overlaps(trained), *map(differences_markdown, comparisons)]
        )
    from yuyi.evaluate.showing.page import sheet_page

    return sheet_page(sheet, comparisons, trained)


def _print(sheet: Sheet, comparisons: Sequence[Comparison], trained: dict[str, Trained]) -> None:
    from rich.console import Console

    from yuyi.evaluate.showing.differences import differences_table
    from yuyi.evaluate.showing.report import sheet_table

    console = Console(highlight=False)
    console.print(sheet_table(sheet))
    for line in _overlaps(trained):
        console.print(line, style="dim", markup=False)
    for found in comparisons:
        console.print()
        console.print(differences_table(found))


def _overlaps(trained: dict[str, Trained]) -> list[str]:
    """A line for each evaluation set that training data showed."""
    return [
        f"{model}: {overlap.found:,} training pairs showed a text of {name}; {overlap.kept:,} were kept.\n"
        for model, told in trained.items()
        for name, overlap in told.overlaps.items()
    ]
