"""`yuyi export`: a model in other forms, each with its measured cost."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yuyi.cli.options import JsonOption, QuietOption

if TYPE_CHECKING:
    from yuyi.parity import Parity

# In the order of `yuyi.parity.COLUMNS`.
_HEADINGS = ("form", "MB", "dim", "cosine", "lowest", "top 10", "STS", "texts/s", "start")


def _file(option: str, text: str) -> typer.models.OptionInfo:
    return typer.Option(option, metavar="FILE", help=text, show_default=False)  # type: ignore[no-any-return]


def export(
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Where the forms go, together.", show_default=False
        ),
    ],
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A model folder, or a name that `yuyi models` lists; without it, the model inside yuyi.",
        ),
    ] = None,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMS",
            help="Of onnx, onnx-int8, onnx-fp16, browser, static and folder, with commas between.",
        ),
    ] = "onnx",
    pooling: Annotated[
        str | None, typer.Option(help="For a plain folder: cls, mean, last, max or mean_sqrt_len.")
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option("--dim", metavar="N", help="Keep the first N dimensions, cut into the weights."),
    ] = None,
    layers: Annotated[
        int | None,
        typer.Option("--layers", metavar="N", help="Keep N layers, spread evenly; not for static."),
    ] = None,
    corpus: Annotated[
        Path | None, _file("--corpus", "Keep only the pieces of the vocabulary that occur in these texts.")
    ] = None,
    pieces: Annotated[
        int | None,
        typer.Option(
            "--pieces", metavar="N", help="Keep N pieces at most, the rarest in --corpus going first."
        ),
    ] = None,
    distil: Annotated[
        Path | None,
        _file("--distil", "For static: texts whose words become pieces, and on which the table learns."),
    ] = None,
    distil_dim: Annotated[
        int, typer.Option("--distil-dim", metavar="N", help="For static: length of a row of the table.")
    ] = 256,
    distil_pieces: Annotated[
        int, typer.Option("--distil-pieces", metavar="N", help="With --distil: rows of the table at most.")
    ] = 30_000,
    calibration: Annotated[
        Path | None, _file("--calibration", "Texts by which numbers are rounded. Default: yuyi's own")
    ] = None,
    passages: Annotated[
        Path | None,
        _file("--passages", "Texts among which the ten nearest are compared. Default: yuyi's own"),
    ] = None,
    sts: Annotated[
        Path | None,
        _file("--sts", "Pairs with the columns sentence1, sentence2 and score. Default: yuyi's own"),
    ] = None,
    least: Annotated[
        float | None,
        typer.Option("--least", metavar="X", help="The least mean cosine, in place of each form's own."),
    ] = None,
    javascript: Annotated[
        Path | None,
        typer.Option(
            "--javascript",
            metavar="FOLDER",
            help="Compare in Node and Chromium, too: with node_modules/@huggingface/transformers.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in the folder.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write MODEL in other forms, and measure what each of them costs.

    Each form is compared with the model in float32: cosines of the vectors of 200 texts of many kinds, the
    ten nearest of 10,000 passages, the scores of pairs, size, speed and cold start. One that is too far off
    is not written, nor are the others. The figures are in parity.json and README.md of the folder.

    \b
    Forms:
      onnx       float32, any batch and length, the vector as second output
      onnx-int8  whole numbers, the products that suffer kept wider
      onnx-fp16  half the size, for GPUs and WebGPU
      browser    what Transformers.js opens: onnx and onnx-int8 under its names
      static     a token table; an encoder is distilled into one, best with --distil
      folder     float32 weights for torch and sentence-transformers

    \b
    Examples:
      yuyi export my-model -o out --to onnx,onnx-int8
      yuyi export 模型/ -o 浏览器/ --to browser --javascript web/
      yuyi export my-model -o small --to browser --layers 3 --dim 256 --corpus 语料.txt --pieces 12000
      yuyi export my-model -o table --to static --distil 语料.jsonl
      yuyi export -o embedded --to onnx
    """
    from yuyi.export.distilling.settings import Distilling
    from yuyi.export.export import export as run
    from yuyi.export.settings import ExportSettings
    from yuyi.export.smaller import Smaller
    from yuyi.progress import progress

    # Both are checked by what takes them.
    targets: Any = tuple(dict.fromkeys(part.strip() for part in to.split(",") if part.strip()))
    pooled: Any = pooling
    settings = ExportSettings(
        targets=targets,
        pooling=pooled,
        smaller=Smaller(dim=dim, layers=layers, corpus=corpus, pieces=pieces),
        distilling=Distilling(corpus=distil, dim=distil_dim, pieces=distil_pieces),
        calibration=calibration,
        passages=passages,
        sts=sts,
        least=least,
        javascript=javascript,
    )
    with progress("exporting", shown=False) if quiet else nullcontext():
        parity = run(model, out, settings, force=force)
    if as_json:
        typer.echo(json.dumps(asdict(parity), ensure_ascii=False))
    elif not quiet:
        _print(out, parity)


def _print(out: Path, parity: Parity) -> None:
    """The table of forms, and what was written."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for place, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for row in parity.rows():
        table.add_row(*map(Text, row))
    files = [path for path in out.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    console = Console(highlight=False)
    console.print(table)
    console.print(Text(f"{out}: {len(files)} files, {size:.1f} MB"), soft_wrap=True)
