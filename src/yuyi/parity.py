"""What the forms of a model cost, as `parity.json` in an exported folder says; `yuyi export` writes it.

Cards read it: rooms meet in this file, like in `training.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from yuyi.errors import ModelError
from yuyi.pipeline import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PARITY = "parity.json"

COLUMNS = ("form", "megabytes", "dim", "mean", "lowest", "overlap", "sts", "speed", "start")
"""Of the table that `Parity.rows` gives."""

FORMS_BEGIN, FORMS_END = "<!-- forms -->", "<!-- /forms -->"
"""Around the section on forms in a card, so that the next export writes it anew."""

_NOTHING = "–"

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Measured:
    """A form, run by a runtime, beside the model in float32.

    Attributes:
        target: the form, as it was asked for; of the model itself, engine and number type.
        runtime: what ran it: `yuyi`, `node`, `chromium`.
        files: what it needs beside tokenizer and settings, as paths in the folder.
        bytes: of these files together.
        dim: length of its vectors.
        mean: mean cosine to the model over the texts, both cut to this length; of a graph, by whichever of
            its outputs it is lower. None where the form has a space of its own.
        lowest: the lowest of these cosines.
        overlap: mean share of the ten nearest passages that are the same as the model's; None where that was
            not measured.
        sts: Spearman correlation of the cosines with the scores of the pairs, times 100.
        texts_per_second: of the same texts, on the machine that the report names; the middle of three rounds.
        cold_start: seconds from the start of a process to its first vector; likewise.
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
    overlap: float | None
    sts: float | None
    texts_per_second: float
    cold_start: float
    least: float | None
    worst: tuple[tuple[str, float], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        """Whether it is near enough to be published."""
        return self.least is None or (self.mean is not None and self.mean >= self.least)


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
        about: where and when: `date`, `machine`, `cores`, versions of libraries by name, and the files that
            passages and pairs are from.
    """

    model: str
    fingerprint: str
    reference: Measured
    forms: tuple[Measured, ...]
    texts: int
    passages: int
    pairs: int
    about: dict[str, str]

    def rows(self) -> list[tuple[str, ...]]:
        """A table, the model itself first: cells as text under `COLUMNS`."""
        return [_row(each, self.reference) for each in (self.reference, *self.forms)]


def write_parity(folder: Path, parity: Parity) -> None:
    """Write `parity.json` into a folder."""
    text = json.dumps(asdict(parity), ensure_ascii=False, indent=2)
    (folder / PARITY).write_text(f"{text}\n", encoding="utf-8")


def read_parity(folder: Path) -> Parity | None:
    """The report in a model folder; None where there is none.

    Raises:
        ModelError: it is damaged.
    """
    path = folder / PARITY
    if not path.is_file():
        return None
    values = read_json(path)
    try:
        forms = tuple(_measured(each) for each in values["forms"])
        return _record(Parity, values, reference=_measured(values["reference"]), forms=forms)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(
            f"{path}: damaged, it is no report of an export ({error!r}). Export the model again."
        ) from error


def _measured(values: Mapping[str, Any]) -> Measured:
    worst = tuple((str(text), float(cosine)) for text, cosine in values["worst"])
    return _record(Measured, values, files=tuple(values["files"]), worst=worst)


def _record(kind: type[Record], values: Mapping[str, Any], **made: Any) -> Record:
    """An object of a dataclass out of JSON values; keys that it does not know are passed over."""
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: made[name] if name in made else values[name] for name in names})


def _row(each: Measured, reference: Measured) -> tuple[str, ...]:
    megabytes = each.bytes / 1e6
    change = "" if each is reference or each.sts is None else f" ({each.sts - (reference.sts or 0.0):+.2f})"
    return (
        each.target if each.runtime == "yuyi" else f"{each.target}, {each.runtime}",
        f"{megabytes:.2f}" if megabytes < 10 else f"{megabytes:.1f}",
        str(each.dim),
        _number(each.mean, 5),
        _number(each.lowest, 5),
        _NOTHING if each.overlap is None else f"{100 * each.overlap:.1f} %",
        _number(each.sts, 2) + change,
        f"{each.texts_per_second:,.0f}",
        f"{each.cold_start:.2f}",
    )


def _number(value: float | None, decimals: int) -> str:
    return _NOTHING if value is None else f"{value:.{decimals}f}"
