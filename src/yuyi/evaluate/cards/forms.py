"""What a card says of the forms that an exported folder holds: how far each is from the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.markdown import table
from yuyi.parity import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yuyi.parity import Parity


def forms_section(parity: Parity | None, words: Mapping[str, str]) -> str:
    """The section as Markdown; empty for a model that was not exported."""
    if parity is None:
        return ""
    about = parity.about
    told = words["compared"].format(
        model=parity.model,
        texts=parity.texts,
        passages=parity.passages,
        pairs=parity.pairs,
        date=about.get("date", ""),
        machine=words["cores"].format(machine=about.get("machine", ""), count=about.get("cores", "")),
    )
    heading = [words[f"column {name}"] for name in COLUMNS]
    return f"## {words['forms']}\n\n{told}\n\n{table(heading, parity.rows())}"
