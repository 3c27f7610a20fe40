"""What a card says of the forms that an exported folder holds: how far each is from the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.markdown import table
from yuyi.parity import COLUMNS, FORMS_BEGIN, FORMS_END

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
        reference=parity.reference.target,
        texts=parity.texts,
        passages=parity.passages,
        pairs=parity.pairs,
        passages_of=_of(about.get("passages", "yuyi"), words),
        pairs_of=_of(about.get("pairs", "yuyi"), words),
        date=about.get("date", ""),
        machine=words["cores"].format(machine=about.get("machine", ""), count=about.get("cores", "")),
    )
    heading = [words[f"column {name}"] for name in COLUMNS]
    section = f"## {words['forms']}\n\n{told}\n\n{table(heading, parity.rows())}"
    return f"{FORMS_BEGIN}\n{section}{FORMS_END}\n"


def _of(source: str, words: Mapping[str, str]) -> str:
    """The file of the user's that something was taken from; "" where it is yuyi's own."""
    return "" if source == "yuyi" else words["taken from"].format(source=source)
