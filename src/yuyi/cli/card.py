"""`yuyi card`: the card of a model written from its results, and cards against their own figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yuyi.cli.options import JsonOption
from yuyi.evaluate.cards import Language, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.evaluate.linting.lint import Finding


def card(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Write the card of this model.", show_default=False),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="FOLDER", help="What `yuyi evaluate --results` wrote about it."),
    ] = None,
    name: Annotated[
        str,
        typer.Option("--name", metavar="OWNER/NAME", help="The model's name on the hub.", show_default=False),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Where it goes. Default: README.md in FOLDER"),
    ] = None,
    shape: Annotated[
        Shape,
        typer.Option(help="Of its model-index: every metric as mteb 1 had it, or mteb 2's main scores."),
    ] = "mteb1",
    language: Annotated[Language, typer.Option(help="Of its prose.")] = "en",
    speed: Annotated[
        bool, typer.Option("--speed", help="Measure texts a second on this machine, for the card.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a card that yuyi did not write, or that was edited.")
    ] = False,
    lint: Annotated[
        Path | None,
        typer.Option("--lint", metavar="PATH", help="Check this card, or the README.md of this folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the model card of FOLDER from its results, or check one against its own figures.

    A card is written from what the folder says, the results of `yuyi evaluate` and, where `yuyi train` made
    the model, the record of its training. It is checked at once.

    Of a card, averages in tables are recomputed from its model-index; dimensions, lengths and pooling are
    compared with config.json and the files of sentence-transformers. Revisions that are missing and values
    that cannot be are told, too.

    Exit code 0: nothing found; 1: something found; 2: no card that can be read, or written.

    \b
    Examples:
      yuyi card my-model --results results/
      yuyi card 模型/ --results 成绩/ --name someone/zh-small --language zh
      yuyi card --lint README.md
      yuyi card --lint 模型/ --json
    """
    from yuyi.errors import InputError
    from yuyi.evaluate.linting.lint import lint as check

    if (folder is None) == (lint is None):
        given = "neither FOLDER nor --lint is given" if folder is None else "both FOLDER and --lint are given"
        raise typer.BadParameter(
            f"{given}. Give FOLDER with --results to write a card, or --lint to check one."
        )
    if folder is not None:
        if results is None:
            raise InputError(f"{folder}: a card needs results. Give --results, as yuyi evaluate wrote them.")
        from yuyi.evaluate.cards.card import write_card

        lint = write_card(
            folder, results, name=name, out=out, force=force, shape=shape, language=language, speed=speed
        )
    assert lint is not None
    findings = check(lint)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        _print(lint, findings)
    if findings:
        raise typer.Exit(1)


def _print(path: Path, findings: Sequence[Finding]) -> None:
    """A paragraph for each finding, and their number."""
    from rich.console import Console
    from rich.text import Text

    from yuyi.evaluate.linting.lint import has_figures

    console = Console(highlight=False)
    for finding in findings:
        place = f"line {finding.line}, {finding.where}" if finding.line else finding.where
        console.print(Text.assemble((finding.rule, "bold yellow"), " ", (place, "dim")))
        console.print(Text(finding.message))
        console.print()
    if findings:
        said = f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
    elif has_figures(path):
        said = "nothing found"
    else:
        said = "nothing to check: no model-index and no table of averages"
    console.print(Text(f"{path}: {said}"))
