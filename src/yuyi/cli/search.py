"""`yuyi search`: the passages of files, or the lines of standard input, that answer a question."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

import yuyi
from yuyi.cli.options import DimOption, JsonOption, ModelOption
from yuyi.errors import InputError
from yuyi.progress import progress
from yuyi.text.rows import STANDARD_INPUT, standard_input_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from yuyi.encode import Encoder
    from yuyi.search.corpus import Corpus
    from yuyi.search.query import Hit

_WIDEST = 100
_INDENT = 4
_BAR_CELLS = 10
_NOTES_SHOWN = 5
# A passage is never longer; of a line of standard input this much is shown.
_SHOWN_CHARACTERS = 600
# Room for the longest Chinese passage at 80 columns; a passage of many short lines is cut.
_SHOWN_LINES = 15


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What you want to know, in your own words.")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...",
            help="Files and folders; without any, or with -, the lines of standard input.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", "-n", metavar="N", min=1, help="How many passages to show.")
    ] = 10,
    model: ModelOption = None,
    dim: DimOption = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither use nor keep an index.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print results and errors alone, no counts and notes.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the passages of files that answer a question, by meaning rather than by spelling.

    Folders are searched for .md, .markdown, .rst and .txt files; hidden ones are left out. A file you name is
    searched whatever its name. Each passage is shown with its score (the cosine of its vector and the
    question's), its file and line, and the headings it stands under.

    The first search of a folder reads all of it and keeps an index in $YUYI_CACHE, or else in ~/.cache/yuyi,
    where you may delete it at any time. Later ones read only what has changed.

    Given lines instead of files, it puts them in order: a reranker for what another search has found.

    \b
    Examples:
      yuyi search "怎么更换护照" documents/
      yuyi search "how to undo the last commit" notes/ README.md --top 3
      grep -h 退款 *.log | yuyi search "多久能收到退款" --json
    """
    from yuyi.search.query import encode_question

    encoder = yuyi.load(model, truncate_dim=dim)
    question = encode_question(query, encoder)
    if not paths or paths == [STANDARD_INPUT]:
        from yuyi.search.rerank import rank_lines

        if not paths and sys.stdin.isatty():
            raise InputError(
                "no PATH and nothing on standard input. Name a file or folder, or pipe lines in."
            )
        with progress("ranking", shown=False if quiet else None) as done:
            hits = rank_lines(standard_input_lines(), question, encoder, top, done)
        notes = [] if hits else ["nothing to rank: standard input holds no text"]
    elif STANDARD_INPUT in paths:
        raise InputError(
            "-: stands for standard input and cannot be mixed with files. Give one or the other."
        )
    else:
        from yuyi.search.corpus import cache_folder, open_corpus

        with progress("indexing", shown=False if quiet else None) as done:
            corpus = open_corpus(paths, encoder, None if no_cache else cache_folder(), done)
        hits = corpus.search(question, top)
        notes = _corpus_notes(corpus)
    if as_json:
        typer.echo(json.dumps([_as_row(rank, hit) for rank, hit in enumerate(hits, 1)], ensure_ascii=False))
    else:
        _print_hits(query, hits, encoder)
    if not quiet:
        for note in notes:
            typer.echo(note, err=True)


def _corpus_notes(corpus: Corpus) -> list[str]:
    """What went wrong, then one line on what was searched."""
    notes = [f"note: {note}" for note in corpus.notes[:_NOTES_SHOWN]]
    if len(corpus.notes) > _NOTES_SHOWN:
        notes.append(f"note: and {len(corpus.notes) - _NOTES_SHOWN:,} more like these")
    counts = f"{corpus.passages:,} passages in {corpus.files:,} files"
    if not corpus.passages:
        counts = f"nothing to search: no text in {corpus.files:,} files"
    if corpus.embedded:
        counts += f", {corpus.embedded:,} of them new or changed"
    left_out = [f"{count:,} {reason}" for reason, count in corpus.skipped.items() if count]
    return [*notes, f"{counts}; left out: {', '.join(left_out)}" if left_out else counts]


def _as_row(rank: int, hit: Hit) -> dict[str, object]:
    passage = hit.passage
    return {
        "rank": rank,
        "score": round(hit.score, 6),
        "file": hit.file,
        "line": passage.line,
        "path": passage.path,
        "text": passage.text,
    }


def _print_hits(query: str, hits: Sequence[Hit], encoder: Encoder) -> None:
    from rich.console import Console
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from yuyi.cli.wrapping import wrap
    from yuyi.search.matches import matched_spans

    console = Console(highlight=False)
    width = min(console.width, _WIDEST)
    for rank, hit in enumerate(hits, 1):
        place = f"line {hit.passage.line}" if hit.file == STANDARD_INPUT else f"{hit.file}:{hit.passage.line}"
        head = Table.grid(padding=(0, 2, 0, 0))
        head.add_column(justify="right", width=_INDENT - 2)
        head.add_column()
        head.add_column(width=_BAR_CELLS)
        head.add_column(overflow="fold")
        bar = ProgressBar(total=1.0, completed=max(0.0, hit.score))
        head.add_row(str(rank), f"{hit.score:.3f}", bar, Text(_printable(place), style="bold"))
        path = Text(_printable(" › ".join(hit.passage.path)), style="cyan")
        shown = _printable(_shortened(hit.passage.text))
        text = Text(shown)
        for start, end in matched_spans(query, shown, encoder.tokens):
            text.stylize("bold magenta", start, end)
        console.print(head, width=width)
        lines = wrap(text, width - _INDENT)
        if len(lines) > _SHOWN_LINES:
            lines[_SHOWN_LINES - 1 :] = [Text("…")]
        for line in [*(wrap(path, width - _INDENT) if path else []), *lines]:
            console.print(Text.assemble(" " * _INDENT, line), no_wrap=True, overflow="ignore")
        if rank < len(hits):
            console.print()


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def _printable(text: str) -> str:
    """The text without what a terminal would obey: a file must not be able to move its cursor."""
    return "".join(_printable_characters(text.replace("\t", "    ")))


def _printable_characters(text: str) -> Iterable[str]:
    return (char if char.isprintable() or char == "\n" else " " for char in text)
