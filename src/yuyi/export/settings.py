"""How a model is exported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yuyi.errors import InputError
from yuyi.export.distilling.settings import Distilling
from yuyi.export.form import TARGETS, Target
from yuyi.export.smaller import Smaller

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.pipeline import Pooling


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """What is written of a model, and by which texts it is judged.

    Attributes:
        targets: the forms.
        pooling: needed for a plain folder of a model that is not known.
        smaller: what is cut off the model first.
        distilling: how `static` makes a token table of an encoder.
        calibration: a file of texts by which numbers are rounded; None for yuyi's own sample.
        passages: a file of texts among which each form's ten nearest are compared; None for yuyi's own.
        sts: a file of scored pairs, whose rank correlation is compared; None for yuyi's own.
        least: the least mean cosine of a form, in place of each form's own.
        javascript: a folder with `node_modules/@huggingface/transformers`, where forms are run by Node and
            Chromium as well.
    """

    targets: tuple[Target, ...]
    pooling: Pooling | None = None
    smaller: Smaller = field(default_factory=Smaller)
    distilling: Distilling = field(default_factory=Distilling)
    calibration: Path | None = None
    passages: Path | None = None
    sts: Path | None = None
    least: float | None = None
    javascript: Path | None = None

    def __post_init__(self) -> None:
        unknown = [target for target in self.targets if target not in TARGETS]
        if unknown or not self.targets:
            given = f"{unknown[0]!r}: no such form" if unknown else "no form is asked for"
            raise InputError(f"--to: {given}. Choose of {', '.join(TARGETS)}.")
        self._check_effects()
        if self.least is not None and not 0 <= self.least <= 1:
            raise InputError(f"--least {self.least}: no cosine to ask for. Give a number from 0 to 1.")

    @property
    def written(self) -> list[Target]:
        """The forms in the order of writing; with that for browsers the float32 that it holds."""
        held: set[Target] = {"onnx"} if "browser" in self.targets else set()
        return sorted(held.union(self.targets), key=TARGETS.index)

    def _check_effects(self) -> None:
        """Raise where an option is given that none of the forms heeds."""
        usual = Distilling()
        for option, given, heeding in (
            ("--distil", self.distilling.corpus is not None, ("static",)),
            ("--distil-dim", self.distilling.dim != usual.dim, ("static",)),
            ("--calibration", self.calibration is not None, ("onnx-int8", "browser")),
        ):
            if given and not set(heeding).intersection(self.targets):
                raise InputError(
                    f"{option}: for {' and '.join(heeding)} alone, and --to has {', '.join(self.targets)}. "
                    "Leave it out, or add a form."
                )
