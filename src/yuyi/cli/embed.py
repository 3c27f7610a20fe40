"""`yuyi embed`: a vector for every row of a file, or for every passage of a folder."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import numpy as np
import typer

import yuyi
from yuyi.cli.options import DimOption, JsonOption, ModelOption, QuietOption
from yuyi.cli.table import Table, open_table
from yuyi.encode.bulk import Totals, embed_table
from yuyi.encode.output import int8_scale
from yuyi.encode.shards import Shards, only_run
from yuyi.encode.vector_files import check_suffix, vector_file
from yuyi.encode.workers import WorkerPool, encode_shard
from yuyi.errors import InputError
from yuyi.machine import available_cores
from yuyi.progress import progress
from yuyi.text.rows import STANDARD_INPUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yuyi.encode import Encoder
    from yuyi.encode.devices import Workers
    from yuyi.encode.load import BackendName, Dtype

# Rows and characters of a shard, the work that a kill can undo. Where a transformer runs on a processor they
# are for each of its cores, and take it some seconds or, with the largest models, a minute.
_SLOW_SHARD = (512, 1 << 16)
_FAST_SHARD = (16_384, 1 << 22)


def embed(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A .txt, .jsonl, .csv, .tsv or .parquet file, a folder of Markdown or text files, or - for "
            "standard input.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where to: .npy, .parquet or .jsonl.")
    ],
    column: Annotated[
        str, typer.Option("--column", help="The key or column that holds the text: JSONL, CSV, Parquet.")
    ] = "text",
    model: ModelOption = None,
    dim: DimOption = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="What to compute in: auto, float32, bfloat16, float16 or int8.")
    ] = "auto",
    backend: Annotated[
        str, typer.Option("--backend", help="The engine: auto, torch, onnx or static.")
    ] = "auto",
    device: Annotated[
        str | None, typer.Option("--device", help="Where to compute, such as cpu or cuda:0.")
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="Share the work among N processes, or one a device (cuda:0,cuda:1), or as many as cores and "
            "memory allow (auto).",
        ),
    ] = None,
    overflow: Annotated[
        str,
        typer.Option("--overflow", help="What to do with texts that are too long: cut, pool or error."),
    ] = "cut",
    prompt: Annotated[
        str | None,
        typer.Option("--prompt-name", help="Which of the model's prompts stands before each text."),
    ] = None,
    precision: Annotated[
        str, typer.Option("--precision", help="float32, float16, int8 or binary: how a value is stored.")
    ] = "float32",
    force: Annotated[
        bool, typer.Option("--force", help="Replace the output, and unfinished work that differs.")
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn every row of a file into a vector: a line of text, JSONL or CSV, a row of Parquet.

    A .npy file holds one matrix, (rows, dimensions). A .parquet or .jsonl file keeps the columns of the input
    and adds `embedding`. Row i of the output is row i of the input; blank lines in JSONL and CSV are no rows.
    Of a folder, each passage of its Markdown and text files is a row, with the columns path, line, heading
    and text; its headings are embedded with it.

    Files of any length pass in little memory, and the output appears when it is complete. Until then finished
    work is kept beside it, in OUT.parts: after a kill, the same command goes on where it stopped.

    \b
    Examples:
      yuyi embed 问题.txt -o 问题.npy
      yuyi embed questions.csv --column question -o vectors.parquet
      yuyi embed docs/ -o docs.jsonl --model gte-small-zh --overflow pool
      grep -v '^#' notes.txt | yuyi embed - -o notes.npy --dim 128
    """
    started = time.monotonic()
    _check_free(out, force)
    with only_run(out):
        # Input and output first: a model may take minutes to arrive and to be read.
        skip = (lambda line: None) if quiet else _note
        table = open_table(source, column, whole_rows=out.suffix != ".npy", skip=skip)
        _check_readable(source, table)
        encoder = yuyi.load(
            model,
            truncate_dim=dim,
            dtype=cast("Dtype", dtype),
            backend=cast("BackendName", backend),
            device=device,
        )
        options = {"overflow": overflow, "prompt_name": prompt, "precision": precision}
        shards = None
        if table.identity is not None:
            key = {"input": table.identity, "column": column, "model": encoder.fingerprint}
            version = {"version of yuyi": yuyi.__version__}
            shards = Shards(out, {**key, **options, **version}, _shard_size(encoder), start_over=force)
        with _explained(shards, quiet):
            totals = _run(table, encoder, out, shards, _workers(workers), options, quiet)
        if shards:
            shards.remove()
    seconds = time.monotonic() - started
    scale = int8_scale(encoder.dim) if precision == "int8" else None
    if as_json:
        about = {"dim": encoder.dim, "model": encoder.name, "fingerprint": encoder.fingerprint}
        summary = {"out": str(out), **asdict(totals), **about, "scale": scale, "seconds": round(seconds, 3)}
        typer.echo(json.dumps(summary, ensure_ascii=False))
    elif not quiet:
        _note(_sentence(out, totals, encoder, scale, seconds))


def _run(
    table: Table,
    encoder: Encoder,
    out: Path,
    shards: Shards | None,
    workers: Workers | None,
    options: dict[str, Any],
    quiet: bool,
) -> Totals:
    """Embed the table into the output, which is published whole."""
    nothing = encoder.encode([], **options)
    total = table.count() if sys.stderr.isatty() and not quiet else None
    with ExitStack() as stack:
        scale = int8_scale(encoder.dim) if nothing.dtype == np.int8 else None
        write = stack.enter_context(vector_file(out, nothing.shape[1], nothing.dtype, scale))
        encode, threads = partial(encode_shard, encoder, **options), 1
        if workers is not None:
            pool = stack.enter_context(WorkerPool(encoder, workers))
            encode, threads = partial(pool.encode, **options), len(pool)
        done = stack.enter_context(progress("embedding", total=total, shown=False if quiet else None))
        blocks = table.blocks(*(shards.size if shards else _shard_size(encoder)))
        totals = embed_table(blocks, encode, write, shards, threads, done)
        if not totals.rows:
            raise InputError(f"{table.source}: holds no text. Give at least one line or row.")
    return totals


@contextmanager
def _explained(shards: Shards | None, quiet: bool) -> Iterator[None]:
    """A block whose end, if it comes too early, is followed by what is kept of its work."""
    kept = shards.rows if shards else 0
    if kept and not quiet:
        _note(f"going on after {kept:,} rows that an earlier run finished")
    try:
        yield
    except BaseException:  # Ctrl-C above all
        if shards and not quiet and (kept := shards.rows):
            _note(f"{kept:,} rows are kept in {shards.folder}; the same command goes on from there")
        raise


def _shard_size(encoder: Encoder) -> tuple[int, int]:
    """Rows and characters of a shard."""
    if encoder.backend_name == "static" or encoder.device != "cpu":
        return _FAST_SHARD
    rows, characters = _SLOW_SHARD
    return rows * available_cores(), characters * available_cores()


def _workers(given: str | None) -> Workers | None:
    """A number of processes, or their devices, as `WorkerPool` takes them."""
    if given is None or given == "auto":
        return cast("Literal['auto'] | None", given)
    return int(given) if given.isdecimal() else given.split(",")


def _note(line: str) -> None:
    typer.echo(line, err=True)


def _check_free(out: Path, force: bool) -> None:
    check_suffix(out)
    try:
        taken = out.exists() and not force
    except OSError as error:
        raise InputError(f"{out}: cannot be a file name ({error.strerror}). Choose another.") from error
    if taken:
        raise InputError(f"{out}: exists already. Add --force to replace it, or name another file.")


def _check_readable(source: str, table: Table) -> None:
    """Return when the input's first row can be read; what can be read but once is left alone."""
    path = Path(source)
    if source != STANDARD_INPUT and (path.is_file() or not path.exists()):
        next(table.blocks(1, 1), None)


def _sentence(out: Path, totals: Totals, encoder: Encoder, scale: float | None, seconds: float) -> str:
    text = f"{out}: {totals.rows:,} vectors of {encoder.dim} dimensions in {seconds:.1f} s"
    if scale is not None:
        text += f"; a step of a value is {scale:.9g}"
    if totals.resumed:
        text += f", {totals.resumed:,} of them from an earlier run"
    if totals.empty:
        text += f"; {totals.empty:,} of them zero, for texts that are empty or hold nothing the model knows"
    for count, fate in (
        (totals.cut, f"cut: {totals.dropped:,} tokens dropped; --overflow pool keeps them"),
        (totals.pooled, "read in chunks"),
    ):
        if count:
            be = "was" if count == 1 else "were"
            longer = f"{be} longer than {encoder.max_tokens or 0:,} tokens and {be}"
            text += f"; {count:,} of {totals.rows:,} texts {longer} {fate}"
    return text
