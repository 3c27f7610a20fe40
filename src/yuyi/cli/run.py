"""`yuyi run`: run a recipe, with a line for each stage and more lines for what takes long."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yuyi.cli.options import QuietOption

if TYPE_CHECKING:
    from collections.abc import Callable


def run(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the model and all on the way to it. Default: runs/NAME"),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Data folder, instead of the one that the recipe names.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Make a token table as a recipe says, from raw documents and pairs to a folder with its card.

    Stages that are done are kept: a run that was stopped goes on where it was, a changed setting reruns
    what depends on it. The training log is written to training.jsonl in the output folder.

    \b
    Examples:
      yuyi run recipes/static-zh-en.yaml
      yuyi run 我的配方.yaml --data ~/文档 -o runs/mine
    """
    from yuyi.extras import require

    require("train")
    from yuyi.recipe.run import run_recipe

    say: Callable[[str], None] = (lambda line: None) if quiet else (lambda line: typer.echo(line, err=True))
    numbers = count(1)

    def log(entry: dict[str, Any]) -> None:
        step, of = entry["step"], entry["of"]
        if not quiet and (next(numbers) % 5 == 0 or step == of):
            losses = "  ".join(f"{name} {value}" for name, value in entry.get("loss", {}).items())
            typer.echo(f"  {entry['stage']}: {step}/{of}  {losses}", err=True)

    typer.echo(str(run_recipe(recipe, out, data, say, log)))
