"""What was measured of the forms of a model, and the file that says so beside them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

FILE = "parity.json"


@dataclass(frozen=True, slots=True)
class Measured:
    """A form, run by a runtime, beside the model in float32.

    Attributes:
        target: the form, as it was asked for.
        runtime: what ran it: `yuyi`, `node`, `chromium`.
        files: what it needs beside tokenizer and settings, as paths in the folder.
        bytes: of these files together.
        dim: length of its vectors.
        mean: mean cosine of the vectors of the texts; None where they cannot be compared, since the form has
            fewer dimensions or a space of its own.
        lowest: the lowest of these cosines.
        overlap: mean share of the ten nearest passages that are the same.
        sts: Spearman correlation with the scores of the pairs, times 100.
        texts_per_second: of the same texts, on the machine that the report names.
        cold_start: seconds from the start of a process to its first vector.
        least: the mean cosine that the gate asks for; None where there is none.
        worst: texts with the lowest cosines, lowest first, each with its cosine.
        facts: what else the maker of the form knows, such as what it kept wider.
    """

    target: str
    runtime: str
    files: tuple[str, ...]
    bytes: int
    dim: int
    mean: float | None
    lowest: float | None
    overlap: float
    sts: float
    texts_per_second: float
    cold_start: float
    least: float | None
    worst: tuple[tuple[str, float], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        """Whether it is near enough to be published."""
        return self.least is None or self.mean is None or self.mean >= self.least


@dataclass(frozen=True, slots=True)
class Parity:
    """The report of an export.

    Attributes:
        model: name of the model.
        fingerprint: of the model that forms were compared with.
        reference: that model itself, measured in the same way; its cosines are 1.
        forms: what was written.
        texts: number of texts compared.
        passages: number of passages among which the nearest were looked for.
        pairs: number of scored pairs.
        about: where and when: `date`, `machine`, `cores` and versions of libraries, by name.
    """

    model: str
    fingerprint: str
    reference: Measured
    forms: tuple[Measured, ...]
    texts: int
    passages: int
    pairs: int
    about: dict[str, str]


def write_parity(folder: Path, parity: Parity) -> None:
    """Write `parity.json` into a folder."""
    text = json.dumps(asdict(parity), ensure_ascii=False, indent=2)
    (folder / FILE).write_text(f"{text}\n", encoding="utf-8")
