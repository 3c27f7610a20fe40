"""`yuyi models`: what is known of the models people use, and which of them are on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from yuyi import hub, known
from yuyi.cli.options import JsonOption
from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.text import Text

_BOARDS = {"C-MTEB (35)": "C-MTEB", "MTEB English (56)": "MTEB"}

_NUMBERS = {"size", "dim", "tokens", *_BOARDS.values()}

# Narrower terminals see short names and no licence: the longest hub id alone takes 39 columns.
_WIDE = 98

_LEGEND = (
    "● on this machine. size: parameters; dim: dimensions, those it may be cut to after the slash. "
    "C-MTEB, MTEB: averages as published, over 35 Chinese and 56 English sets. "
    "What is not known for certain is left blank. Dimmed models are here for comparison only."
)


def models(
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="Only models with this in their name; without it, all of them."),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option("--language", "-l", metavar="CODE", help="Only models for this language, such as zh."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The models that yuyi knows by name, best published average first.

    Give a name from this list, or its part after the slash, wherever a model is asked for. With --json comes
    everything that is known: layers, prompts, averages of each kind of task, and the folder on this machine.

    \b
    Examples:
      yuyi models
      yuyi models gte --language zh
      yuyi models bge-small-zh-v1.5 --json
    """
    chosen = [model for model in known.all_models() if _fits(model, text, language)]
    if not chosen:
        asked = " ".join(filter(None, (text, language and f"--language {language}")))
        raise InputError(f"{asked}: no known model fits. `yuyi models` alone lists them all.")
    chosen.sort(key=lambda model: (_first_language(model), -_best(model)))
    folders = {model.name: hub.find_local(model.name) for model in chosen if model.opens}
    if as_json:
        rows = [{**asdict(model), "folder": _as_text(folders.get(model.name))} for model in chosen]
        typer.echo(json.dumps(rows, ensure_ascii=False))
    else:
        _print_table(chosen, folders)


def _fits(model: known.Known, text: str | None, language: str | None) -> bool:
    names = f"{model.name} {model.id or ''}".casefold()
    return (text or "").casefold() in names and (not language or language.lower() in model.languages)


def _first_language(model: known.Known) -> int:
    order = ("zh", "en", "multilingual")
    first = model.languages[0] if model.languages else ""
    return order.index(first) if first in order else len(order)


def _best(model: known.Known) -> float:
    return max((means["average"] for means in model.scores.values()), default=0.0)


def _as_text(folder: Path | None) -> str | None:
    return str(folder) if folder else None


def _print_table(models: Sequence[known.Known], folders: Mapping[str, Path | None]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    wide = console.width >= _WIDE
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(" ", no_wrap=True)
    table.add_column("model", overflow="fold")
    for heading in _headings(wide):
        table.add_column(heading, justify="right" if heading in _NUMBERS else "left", no_wrap=True)
    group = _first_language(models[0])
    for model in models:
        if _first_language(model) != group:
            table.add_row()
            group = _first_language(model)
        here = Text("●", style="green") if folders.get(model.name) else ""
        table.add_row(here, _name(model, wide), *_cells(model, wide), style=None if model.opens else "dim")
    console.print(table)
    console.print()
    console.print(_LEGEND, style="dim")


def _headings(wide: bool) -> list[str]:
    licence = ["licence"] if wide else []
    return ["size", "dim", "pool", "tokens", "lang", *licence, *_BOARDS.values()]


def _name(model: known.Known, wide: bool) -> Text:
    """The hub id with its owner dimmed, or the short name on a narrow terminal."""
    from rich.text import Text

    name = model.name if model.id is None or not wide else model.id
    owner, slash, last = name.rpartition("/")
    return Text.assemble((owner + slash, "dim"), (last, "bold" if model.opens else ""))


def _cells(model: known.Known, wide: bool) -> Iterator[str]:
    """What stands below `_headings`; nothing where it is not known."""
    yield _size(model.parameters)
    yield "/".join(map(str, model.dims))
    yield model.pooling or ""
    yield str(model.max_tokens or "")
    yield "many" if "multilingual" in model.languages else " ".join(model.languages)
    if wide:
        yield model.license or ""
    for board in _BOARDS:
        yield f"{model.scores[board]['average']:.2f}" if board in model.scores else ""


def _size(millions: float | None) -> str:
    if millions is None:
        return ""
    return f"{millions / 1000:.1f}B" if millions >= 1000 else f"{millions:.0f}M"
