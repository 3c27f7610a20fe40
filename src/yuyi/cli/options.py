"""The options that several verbs share, each spelled and explained once."""

from __future__ import annotations

from typing import Annotated

import typer

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A model folder, or a name that `yuyi models` lists; without it, the model inside yuyi.",
    ),
]
DimOption = Annotated[
    int | None,
    typer.Option(
        "--dim", metavar="N", help="Keep the first N dimensions: shorter vectors, a little less exact."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
