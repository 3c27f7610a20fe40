"""`yuyi info`: what a model is and where it came from."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

import yuyi
from yuyi.cli.options import JsonOption
from yuyi.errors import ModelError

# What a training run leaves beside the model, for people and for programs.
_CARD = "README.md"
_PROVENANCE = "provenance.json"

# Longer lists within a list, such as the hashes of all inputs, are for programs.
_MOST_ENTRIES = 3


def info(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A model folder, or a name that `yuyi models` lists; without it, the model inside yuyi.",
        ),
    ] = None,
    tokens: Annotated[
        str | None, typer.Option("--tokens", metavar="TEXT", help="Show also how a text is cut into tokens.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What a model is: dimensions, languages, licence, size, engine, fingerprint, what it was trained from.

    Vectors can be compared when the fingerprints of their models are equal.

    \b
    Examples:
      yuyi info
      yuyi info my-model --json
      yuyi info gte-small-zh
      yuyi info --tokens "胡子长得太快怎么办？"
    """
    encoder = yuyi.load(model)
    card = encoder.folder / _CARD
    facts: dict[str, Any] = {
        "name": encoder.name,
        "folder": str(encoder.folder),
        "dims": list(encoder.dims),
        "languages": list(encoder.languages),
        "max_tokens": encoder.max_tokens,
        "prompts": encoder.prompts,
        "license": encoder.license,
        "vocabulary": encoder.vocabulary_size,
        "bytes": sum(file.stat().st_size for file in encoder.folder.rglob("*") if file.is_file()),
        "engine": {"backend": encoder.backend_name, "dtype": encoder.dtype, "device": encoder.device},
        "fingerprint": encoder.fingerprint,
        "card": str(card) if card.is_file() else None,
        "trained_from": _provenance(encoder.folder / _PROVENANCE),
        "versions": {
            "yuyi": yuyi.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "tokenizers", "safetensors")},
        },
    }
    if tokens is not None:
        facts["tokens"] = encoder.tokens(tokens)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
    else:
        _print_facts(facts)


def _provenance(path: Path) -> dict[str, Any] | None:
    """What the training run wrote about itself, or None where it wrote nothing."""
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelError(
            f"{path}: damaged, it is not JSON ({error}). Copy the model folder again."
        ) from error
    return facts if isinstance(facts, dict) else None


def _print_facts(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value:
            table.add_row(name.replace("_", " "), Text(_in_words(name, value)))
    Console(highlight=False).print(table)


def _nested(name: str, value: Any) -> str:
    if isinstance(value, dict) and len(value) > _MOST_ENTRIES:
        return f"({len(value)} entries, see --json)"
    return _in_words(name, value)


def _in_words(name: str, value: Any) -> str:
    match value:
        case dict():
            return "\n".join(f"{key} {_nested(key, inner)}" for key, inner in value.items())
        case list() if name == "tokens":
            return " | ".join(value)
        case list() if any(isinstance(inner, dict | list) for inner in value):
            return f"({len(value)} entries, see --json)"
        case list():
            return ", ".join(map(str, value))
        case int() if name == "bytes":
            return f"{value:,}"
        case int() if name == "vocabulary":
            return f"{value:,} pieces"
    return str(value)
