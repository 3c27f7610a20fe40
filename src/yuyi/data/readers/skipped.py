"""What a reader passes over, so that it can be counted and listed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file, or something in it, that did not become a document.

    Attributes:
        file: the file's name below the source's path.
        reason: a stable short phrase.
        note: what is wrong with it in particular.
    """

    file: str
    reason: str
    note: str = ""
