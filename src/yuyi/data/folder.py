"""The folder that making data works in: a folder of parts for each step, and the marks that they leave.

    FOLDER/documents/     what `extract` read: documents, and ready pairs in parts named `*.pairs.parquet`
    FOLDER/blocks/        what `clean` made of them: their blocks, with the reason where one is left out
    FOLDER/pairs/         what the rules made of the blocks, and the ready pairs
    FOLDER/marks/NAME/    why documents or pairs should not be used, one folder a step
    FOLDER/negatives/     hard negatives of the pairs
    FOLDER/mixture/       the training set and its manifest

A part of one step and the part of the next that was made from it have the same name, so a pair's document
lies in the part of that name, and a row's marks too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.data.step import read_record
from yuyi.errors import InputError
from yuyi.records import read_marks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from yuyi.data.step import StepRecord
    from yuyi.records import Mark

READY_SUFFIX = ".pairs.parquet"
# Which verb makes each folder, so that an error can name it.
_VERBS = {
    "documents": "extract",
    "blocks": "clean",
    "pairs": "pairs",
    "negatives": "mine",
    "mixture": "mix",
    "marks/documents": "dedupe",
    "marks/duplicates": "dedupe",
    "marks/filters": "filter",
    "marks/consistency": "consistency",
    "marks/quality": "quality",
    "marks/evaluation": "decontaminate",
}
# Marks on documents; all other marks are on pairs.
DOCUMENT_MARKS = ("marks/documents",)


class DataFolder:
    """The steps that were done in a folder, and their files.

    Args:
        path: the folder; it need not exist before the first step.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, step: str) -> StepRecord | None:
        """What a step says of itself, or None where it was not done."""
        return read_record(self.path / step)

    def need(self, step: str) -> StepRecord:
        """What a step says of itself.

        Raises:
            InputError: it was not done; the message names the command that does it.
        """
        record = self.record(step)
        if record is None:
            raise InputError(
                f"{self.path}: holds no finished {step}. Run: yuyi data {_VERBS[step]} {self.path}"
            )
        return record

    def parts(self, step: str) -> dict[str, Path]:
        """The Parquet parts of a step in order, by name without suffix.

        Files that lie beside them and have a second suffix, such as ready pairs, are left out.

        Raises:
            InputError: the step was not done.
        """
        return {
            name.removesuffix(".parquet"): self.path / step / name
            for name in self.need(step).parts
            if name.endswith(".parquet") and name.count(".") == 1
        }

    def ready_pairs(self) -> dict[str, Path]:
        """The parts of `documents` that hold ready pairs, by name without suffix.

        Raises:
            InputError: nothing was extracted.
        """
        return {
            name.removesuffix(READY_SUFFIX): self.path / "documents" / name
            for name in self.need("documents").parts
            if name.endswith(READY_SUFFIX)
        }

    def mark_steps(self, *, on: str = "pairs") -> list[str]:
        """The steps that have marked pairs (or, with `on="documents"`, documents), as `marks/NAME`.

        Raises:
            InputError: marks are there that belong to other pairs or documents than those that are there now.
        """
        names = sorted(f"marks/{file.parent.name}" for file in self.path.glob("marks/*/step.json"))
        found = [name for name in names if (name in DOCUMENT_MARKS) == (on == "documents")]
        for name in found:
            if self.need(name).inputs[on] != self.need(on).digest:
                raise InputError(
                    f"{self.path / name}: these marks belong to other {on} than are there now. "
                    f"Run again: yuyi data {_VERBS.get(name, name)} {self.path}"
                )
        return found

    def marks(self, part: str, steps: Collection[str]) -> Iterator[Mark]:
        """The marks that some steps, as `mark_steps` names them, put on the rows of a part."""
        for step in steps:
            file = self.path / step / f"{part}.parquet"
            if file.exists():
                yield from read_marks(file)

    def dropped_rows(self, part: str, *, without: Collection[str] = (), on: str = "pairs") -> set[int]:
        """Numbers of the rows of a part that some step marked, not counting the steps in `without`."""
        steps = [step for step in self.mark_steps(on=on) if step not in without]
        return {mark.row for mark in self.marks(part, steps)}
