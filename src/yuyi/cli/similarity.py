"""`yuyi similarity`: one text against others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

import yuyi
from yuyi.cli.options import DimOption, JsonOption, ModelOption
from yuyi.errors import InputError
from yuyi.text.rows import STANDARD_INPUT, is_whole, standard_input_lines

_BAR_CELLS = 20
# More than any terminal line holds; a text of megabytes is not measured cell by cell.
_SHOWN_CHARACTERS = 1_000


def similarity(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT OTHER...", help="Texts; - stands for the lines of standard input."),
    ],
    model: ModelOption = None,
    dim: DimOption = None,
    as_json: JsonOption = False,
) -> None:
    """How close in meaning the other texts are to the first one, closest first.

    A score is the cosine of two vectors: 1 for the same meaning, about 0 for nothing in common.
    Compare scores with each other; what counts as close depends on the texts and the model.

    \b
    Examples:
      yuyi similarity "胡子长得太快怎么办？" "胡子长得快怎么办？" "香港买手表哪里好"
      yuyi similarity "How do I renew my passport?" "护照到期了怎么换" "今天天气很好"
      yuyi similarity "退款多久到账" - --json < questions.txt
    """
    given = _expand(texts)
    if len(given) < 2:
        raise InputError(f"{len(given)} text given, and two are needed. Name another text to compare with.")
    encoder = yuyi.load(model, truncate_dim=dim)
    vectors = encoder.encode(given)
    for number, (text, vector) in enumerate(zip(given, vectors, strict=True), 1):
        if not vector.any():
            raise InputError(
                f"text {number} ({text[:40]!r}): holds no word that {encoder.name} knows. Give words."
            )
    scores = encoder.similarity(vectors[0], vectors[1:])[0].tolist()
    ranked = sorted(zip(given[1:], scores, strict=True), key=lambda pair: -pair[1])
    if as_json:
        others = [{"text": text, "score": round(score, 6)} for text, score in ranked]
        answer = {"model": encoder.name, "dim": encoder.dim, "text": given[0], "others": others}
        typer.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _print_table(given[0], ranked)


def _expand(texts: list[str]) -> list[str]:
    """The texts with the lines of standard input, blank ones left out, in the place of `-`."""
    if texts.count(STANDARD_INPUT) > 1:
        raise InputError("-: given twice, and standard input can be read once. Name it once.")
    given: list[str] = []
    for number, text in enumerate(texts, 1):
        if text == STANDARD_INPUT:
            given.extend(line for line in standard_input_lines() if line.strip())
        elif not is_whole(text):
            raise InputError(
                f"text {number}: is not valid UTF-8. Set the terminal to UTF-8 and type it again."
            )
        else:
            given.append(text)
    return given


def _print_table(text: str, ranked: Sequence[tuple[str, float]]) -> None:
    from rich.console import Console
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column(width=min(_BAR_CELLS, console.width // 4))
    table.add_column(no_wrap=True, overflow="ellipsis")
    for other, score in ranked:
        bar = ProgressBar(total=1.0, completed=max(0.0, score))
        table.add_row(f"{score:.3f}", bar, Text(_one_line(other)))
    console.print(Text(_one_line(text), style="bold"), no_wrap=True, overflow="ellipsis")
    console.print(table)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:_SHOWN_CHARACTERS])
