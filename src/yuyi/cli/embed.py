"""`yuyi embed`: a vector for every row of a file."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

import yuyi
from yuyi.cli.options import DimOption, JsonOption, ModelOption, QuietOption
from yuyi.cli.progress import progress
from yuyi.encode.vector_files import vector_file
from yuyi.errors import InputError
from yuyi.text.rows import read_texts


@dataclass(frozen=True, slots=True)
class Summary:
    """What was done.

    Attributes:
        out: the file written.
        rows: number of vectors in it.
        empty: how many of them are zero, because the model knows nothing in the text.
        dim: length of a vector.
        model: the model's name.
        fingerprint: the model's fingerprint; vectors of different fingerprints must not be compared.
        seconds: how long it took.
    """

    out: str
    rows: int
    empty: int
    dim: int
    model: str
    fingerprint: str
    seconds: float


def embed(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A .txt, .jsonl or .parquet file, or - for standard input.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where the vectors go: .npy or .parquet.")
    ],
    column: Annotated[
        str, typer.Option("--column", help="The key or column that holds the text, in JSONL and Parquet.")
    ] = "text",
    model: ModelOption = None,
    dim: DimOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn every row of a file into a vector: each line of text, each line of JSONL, each row of Parquet.

    A .npy file holds one matrix, (rows, dimensions) float32. A .parquet file keeps the columns of the input
    and adds `embedding`. Row i of the output is row i of the input: an empty text gives a zero vector. Blank
    lines in JSONL are no rows. Files of any length pass in little memory, and the output appears when it is
    complete.

    \b
    Examples:
      yuyi embed 问题.txt -o 问题.npy
      yuyi embed questions.parquet --column question -o vectors.parquet
      grep -v '^#' notes.txt | yuyi embed - -o notes.npy --dim 128
    """
    started = time.monotonic()
    _check_free(out, force)
    encoder = yuyi.load(model, truncate_dim=dim)
    rows = known = 0
    with progress("embedding", quiet=quiet) as done, vector_file(out, encoder.dim) as write:
        for block in read_texts(source, column, whole_rows=out.suffix == ".parquet"):
            vectors = encoder.encode(block.texts)
            write(vectors, block.columns)
            rows += len(vectors)
            known += int(vectors.any(axis=1).sum())
            done(len(vectors))
        if not rows:
            raise InputError(f"{source}: holds no text. Give at least one line or row.")
    seconds = round(time.monotonic() - started, 3)
    summary = Summary(str(out), rows, rows - known, encoder.dim, encoder.name, encoder.fingerprint, seconds)
    if as_json:
        typer.echo(json.dumps(asdict(summary), ensure_ascii=False))
    elif not quiet:
        typer.echo(_sentence(summary), err=True)


def _check_free(out: Path, force: bool) -> None:
    try:
        taken = out.exists() and not force
    except OSError as error:
        raise InputError(f"{out}: cannot be a file name ({error.strerror}). Choose another.") from error
    if taken:
        raise InputError(f"{out}: exists already. Add --force to replace it, or name another file.")


def _sentence(summary: Summary) -> str:
    text = f"{summary.out}: {summary.rows:,} vectors of {summary.dim} dimensions in {summary.seconds:.1f} s"
    if summary.empty:
        text += f"; {summary.empty:,} of them zero, for texts that are empty or hold nothing the model knows"
    return text
