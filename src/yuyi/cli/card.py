"""`yuyi card`: what a model card says, against its own figures and the files beside it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yuyi.cli.options import JsonOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.evaluate.lint import Finding


def card(
    lint: Annotated[
        Path, typer.Option("--lint", metavar="PATH", help="Check this card, or the README.md of this folder.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Check a model card against its own figures, and against the model's settings beside it.

    Averages in its tables are recomputed from its model-index; dimensions, lengths and pooling are compared
    with config.json and the files of sentence-transformers. Revisions that are missing and values that cannot
    be are told, too.

    Exit code 0: nothing found; 1: something found; 2: not a card that can be read.

    \b
    Examples:
      yuyi card --lint README.md
      yuyi card --lint 模型/ --json
    """
    from yuyi.evaluate.lint import lint as check

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

    console = Console(highlight=False)
    for finding in findings:
        place = f"line {finding.line}, {finding.where}" if finding.line else finding.where
        console.print(Text.assemble((finding.rule, "bold yellow"), " ", (place, "dim")))
        console.print(Text(finding.message))
        console.print()
    count = "nothing found" if not findings else f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
    console.print(Text(f"{path}: {count}"))
