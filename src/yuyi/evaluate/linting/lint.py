"""Checking a model card against its own figures and the settings beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.evaluate.linting.averages import check_averages
from yuyi.evaluate.linting.card import Finding, read_card
from yuyi.evaluate.linting.folder import check_settings
from yuyi.evaluate.linting.index import check_index
from yuyi.evaluate.linting.others import check_others
from yuyi.evaluate.linting.tables import average_columns, upright

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.evaluate.linting.card import Card

__all__ = ["Finding", "has_figures", "lint"]


def lint(path: Path) -> list[Finding]:
    """What a card says that its model-index or the model's files contradict; empty for a sound card.

    Findings about the front matter come first, the others in the order of their lines.

    Args:
        path: the card, mostly README.md, or the folder that holds it under that name.

    Raises:
        InputError: the card is missing or is none; the message names the file and the key.
        ModelError: a settings file beside the card is damaged.
        MissingExtra: PyYAML is not installed.
    """
    card = _open(path)
    of_text = [*check_averages(card), *check_others(card), *check_settings(card)]
    return [*check_index(card.entries), *sorted(of_text, key=lambda finding: finding.line or 0)]


def has_figures(path: Path) -> bool:
    """Whether a card has a model-index or a table of averages, without which there is little to check.

    Raises:
        InputError: the card is missing or is none.
        MissingExtra: PyYAML is not installed.
    """
    card = _open(path)
    return bool(card.entries) or any(average_columns(table) for table in map(upright, card.tables))


def _open(path: Path) -> Card:
    return read_card(path / "README.md" if path.is_dir() else path)
