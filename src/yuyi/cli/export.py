"""`yuyi export`: a model in other forms, each with its measured cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A model folder, or a name that `yuyi models` lists."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Where the forms go, together.", show_default=False
        ),
    ],
    to: Annotated[
        str,
        typer.Option("--to", metavar="FORMS", help="onnx, onnx-int8, onnx-fp16, browser, static, folder."),
    ] = "onnx",
    pooling: Annotated[
        str | None, typer.Option(help="For a plain folder: cls, mean, last, max or mean_sqrt_len.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in the folder.")] = False,
) -> None:
    """Write MODEL in other forms, and measure what each of them costs.

    \b
    Examples:
      yuyi export my-model -o out --to onnx,onnx-int8
      yuyi export 模型/ -o 浏览器/ --to browser
    """
    from yuyi.export.export import export as run
    from yuyi.export.settings import ExportSettings

    targets = tuple(dict.fromkeys(part.strip() for part in to.split(",") if part.strip()))
    settings = ExportSettings(targets=targets, pooling=pooling)  # type: ignore[arg-type]
    for form in run(model, out, settings, force=force).forms:
        typer.echo(f"{form.target} {form.mean:.6f} {', '.join(form.files)}")
