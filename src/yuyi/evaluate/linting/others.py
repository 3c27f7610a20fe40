"""What a card's tables print of other models, against what their own makers published."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yuyi.evaluate.linting.card import Finding
from yuyi.evaluate.linting.tables import average_columns, find_model, printed_rows, upright

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from yuyi.evaluate.linting.card import Card
    from yuyi.evaluate.linting.tables import Row

# So many figures of a row must agree before the others count as slips: a row that was measured anew, or by
# another convention, differs in most of them.
_FEWEST = 4


def check_others(card: Card) -> Iterator[Finding]:
    """Figures that differ from what is published of a model, in rows that otherwise repeat it."""
    names = [card.path.absolute().parent.name, *(entry.model for entry in card.entries)]
    own = [model for name in names if (model := find_model(name)) is not None]
    for table in map(upright, card.tables):
        if not average_columns(table):
            continue
        for at, cells in enumerate(table.rows):
            known = next((model for cell in cells if (model := find_model(cell)) is not None), None)
            if known is None or known in own:
                continue
            for row in printed_rows(table, [at]):
                for means in known.scores.values():
                    yield from _check_row(known.name, row, means)


def _check_row(name: str, row: Row, means: Mapping[str, float]) -> Iterator[Finding]:
    published = {kind: means[key] for kind in row.printed if (key := _key(kind)) in means}
    slips = [kind for kind, value in published.items() if not row.agrees(kind, value)]
    if len(published) - len(slips) < max(_FEWEST, len(slips) + 1):
        return
    for kind in slips:
        message = (
            f"{row.printed[kind]} is printed, its makers published {row.text(published[kind])}. Mend it."
        )
        yield Finding("other", f"{name}, {kind}", message, row.line)


def _key(kind: str) -> str:
    """The key of `Known.scores` for a kind of average: `PairClassification` is `pair_classification`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
